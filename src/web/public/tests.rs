use std::sync::Mutex;

use super::*;
use crate::web::autoconfig::{Outgoing, Security};

/// One link, `open`, which can be used once.
#[derive(Default)]
struct OneLink {
    is_used: Mutex<bool>,
    is_broken: bool,
}

const NASTY: &str = "\"<script>alert(1)</script>\"@b.example";

#[async_trait]
impl Confirmations for OneLink {
    fn look(&self, token: &str) -> Link {
        let claim = Claim {
            account: "shop<b>".to_owned(),
            sender: NASTY.to_owned(),
        };
        match token {
            "open" if *self.is_used.lock().unwrap() => Link::Confirmed(claim),
            "open" => Link::Open(claim),
            "expired" => Link::Expired,
            _ => Link::Unknown,
        }
    }

    async fn confirm(&self, token: &str, _: IpAddr) -> Result<Link, NotRecorded> {
        if self.is_broken {
            return Err(NotRecorded);
        }
        let link = self.look(token);
        *self.is_used.lock().unwrap() = true;
        Ok(link)
    }
}

fn site(confirmations: OneLink) -> PublicSite {
    let offer = Offer {
        hostname: "relay.example".to_owned(),
        outgoing: vec![Outgoing {
            port: 465,
            security: Security::Tls,
        }],
        login: Login::Address,
        incoming: None,
    };
    let (hostname, confirmations) = ("relay.example".to_owned(), Arc::new(confirmations));
    PublicSite::new(hostname, confirmations, Some(offer))
}

async fn ask(site: &PublicSite, method: Method, target: &str, content: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let answer = site.answer(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        host: None,
        content: content.to_owned().into(),
        peer: IpAddr::from([127, 0, 0, 1]),
    });
    let answer = answer.await;
    let content = String::from_utf8(answer.content.to_vec()).unwrap();
    (answer.status.as_u16(), content)
}

#[tokio::test]
async fn looking_changes_nothing_and_the_button_works_once() {
    let site = site(OneLink::default());
    for _ in 0..3 {
        let (status, page) = ask(&site, Method::Get, "/verify/open", "").await;
        assert_eq!(status, 200);
        assert!(page.contains("<form method=\"post\">"), "{page}");
    }
    let (status, page) = ask(&site, Method::Post, "/verify/open", "").await;
    assert_eq!(status, 200);
    assert!(page.contains("<h1>Confirmed</h1>"), "{page}");
    for method in [Method::Post, Method::Get] {
        let (status, page) = ask(&site, method, "/verify/open", "").await;
        assert_eq!(status, 410);
        assert!(page.contains("has been used"), "{page}");
        assert!(!page.contains("<form"), "{page}");
    }
}

#[tokio::test]
async fn addresses_and_names_are_no_markup() {
    let site = site(OneLink::default());
    for method in [Method::Get, Method::Post] {
        let (_, page) = ask(&site, method, "/verify/open", "").await;
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("shop&lt;b&gt;"), "{page}");
    }
}

#[tokio::test]
async fn links_that_are_worth_nothing_say_why() {
    let site = site(OneLink::default());
    for method in [Method::Get, Method::Post] {
        let (status, page) = ask(&site, method, "/verify/expired", "").await;
        assert_eq!(
            (status, page.contains("has expired")),
            (410, true),
            "{page}"
        );
        let (status, page) = ask(&site, method, "/verify/other", "").await;
        assert_eq!(
            (status, page.contains("is not valid")),
            (404, true),
            "{page}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_said_to_be_confirmed() {
    let site = site(OneLink {
        is_broken: true,
        ..OneLink::default()
    });
    let (status, page) = ask(&site, Method::Post, "/verify/open", "").await;
    assert_eq!(status, 503);
    assert!(!page.contains("Confirmed"), "{page}");
}

#[tokio::test]
async fn mail_programs_ask_in_their_ways() {
    let site = site(OneLink::default());
    for path in [
        "/mail/config-v1.1.xml",
        "/.well-known/autoconfig/mail/config-v1.1.xml",
    ] {
        let target = format!("{path}?emailaddress=me%40b.example");
        let (status, text) = ask(&site, Method::Get, &target, "").await;
        assert_eq!(status, 200);
        assert!(text.contains("<domain>b.example</domain>"), "{text}");
    }
    let request =
        "<Autodiscover><Request><EMailAddress>me@b.example</EMailAddress></Request></Autodiscover>";
    let path = "/Autodiscover/Autodiscover.xml";
    let (status, text) = ask(&site, Method::Post, path, request).await;
    assert_eq!(status, 200);
    assert!(
        text.contains("<LoginName>me@b.example</LoginName>"),
        "{text}"
    );
    let (status, _) = ask(&site, Method::Get, path, "").await;
    assert_eq!(status, 404);
    let (status, _) = ask(&site, Method::Get, "/", "").await;
    assert_eq!(status, 404);
}
