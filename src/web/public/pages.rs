//! The pages: plain HTML that needs neither style sheet nor script, since the policy of their answers lets none be used.

use crate::web::server::{Response, StatusCode};
use crate::web::xml::escaped;

use super::Claim;

/// What stands on a page.
pub(super) struct Page {
    title: &'static str,
    /// HTML, in which everything from outside has been escaped.
    body: String,
}

/// Returns a page as an answer.
pub(super) fn page(status: StatusCode, hostname: &str, page: &Page) -> Response {
    let (title, body) = (page.title, &page.body);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{body}<hr>\n<p><small>{}</small></p>\n</body>\n</html>\n",
        escaped(hostname)
    );
    Response::new(status, "text/html; charset=utf-8", html)
}

/// The page with the button.
pub(super) fn question(claim: &Claim, hostname: &str) -> Page {
    Page {
        title: "Confirm a sender address",
        body: format!(
            "<p>The account <strong>{}</strong> of the mail server {} wants to send mail as</p>\n\
             <p><strong>{}</strong></p>\n\
             <p>Is this your address, and may it?</p>\n\
             <form method=\"post\">\n<p><button type=\"submit\">Yes, confirm</button></p>\n</form>\n\
             <p>If not, close this page. Nothing happens then.</p>\n",
            escaped(&claim.account),
            escaped(hostname),
            escaped(&claim.sender),
        ),
    }
}

/// The page after the button.
pub(super) fn confirmed(claim: &Claim) -> Page {
    Page {
        title: "Confirmed",
        body: format!(
            "<p>The account <strong>{}</strong> may send mail as <strong>{}</strong> from now on.</p>\n\
             <p>You can close this page.</p>\n",
            escaped(&claim.account),
            escaped(&claim.sender),
        ),
    }
}

pub(super) fn used() -> Page {
    Page {
        title: "This link has been used",
        body:
            "<p>The address has been confirmed with it already. There is nothing left to do.</p>\n\
               <p>If that was not you, tell whoever runs this mail server.</p>\n"
                .to_owned(),
    }
}

pub(super) fn expired() -> Page {
    Page {
        title: "This link has expired",
        body: "<p>It could be used for 24 hours. Nothing has been confirmed.</p>\n\
               <p>Ask whoever wanted you to confirm the address to send another one.</p>\n"
            .to_owned(),
    }
}

pub(super) fn unknown() -> Page {
    Page {
        title: "This link is not valid",
        body: "<p>Perhaps it was not copied whole, or a newer one has been sent: look for the latest mail.</p>\n\
               <p>Nothing has been confirmed.</p>\n"
            .to_owned(),
    }
}

pub(super) fn unavailable() -> Page {
    Page {
        title: "Not now",
        body: "<p>Your confirmation could not be stored. Please try again in some minutes; the link stays valid.</p>\n"
            .to_owned(),
    }
}
