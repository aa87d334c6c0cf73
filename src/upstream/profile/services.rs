//! Services for programs, and mailboxes of other providers.

use std::time::Duration;

use crate::upstream::classify::{Answer, Meaning};

use super::Profile;

/// developers.brevo.com, "SMTP relay integration": TLS on port 465.
pub(super) static BREVO: Profile = Profile::at("brevo", "smtp-relay.brevo.com").with_implicit_tls();

/// fastmail.help, "Server names and ports". What may be sent depends on the plan.
pub(super) static FASTMAIL: Profile =
    Profile::at("fastmail", "smtp.fastmail.com").with_implicit_tls();

/// support.apple.com, "iCloud Mail server settings" and "Mailbox size and message sending limits".
pub(super) static ICLOUD: Profile = Profile {
    rate: &["1000/d"],
    recipients_per_message: Some(500),
    ..Profile::at("icloud", "smtp.mail.me.com")
};

/// documentation.mailgun.com, "Send via SMTP"; accounts in the EU write host = "smtp.eu.mailgun.org".
pub(super) static MAILGUN: Profile = Profile::at("mailgun", "smtp.mailgun.org");

/// dev.mailjet.com, "SMTP relay".
pub(super) static MAILJET: Profile = Profile::at("mailjet", "in-v3.mailjet.com");

/// postmarkapp.com, "Sending email with SMTP".
pub(super) static POSTMARK: Profile = Profile {
    recipients_per_message: Some(50),
    ..Profile::at("postmark", "smtp.postmarkapp.com")
};

/// twilio.com, "Integrating with the SMTP API": 5,000 messages of each connection, 1,000 recipients of each message.
pub(super) static SENDGRID: Profile = Profile {
    recipients_per_message: Some(1000),
    messages_per_connection: Some(5000),
    answers: &[Answer::to(&[])
        .saying("maximum credits exceeded")
        .means(Meaning::SPENT)],
    ..Profile::at("sendgrid", "smtp.sendgrid.net")
};

/// developers.sparkpost.com, "SMTP": 100 messages of each connection; accounts in the EU write
/// host = "smtp.eu.sparkpostmail.com".
pub(super) static SPARKPOST: Profile = Profile {
    messages_per_connection: Some(100),
    ..Profile::at("sparkpost", "smtp.sparkpostmail.com")
};

/// help.yahoo.com, "POP access settings". What may be sent is not published.
pub(super) static YAHOO: Profile = Profile::at("yahoo", "smtp.mail.yahoo.com").with_implicit_tls();

/// zoho.com, "SMTP server configuration"; organisations write host = "smtppro.zoho.com", other regions their own.
pub(super) static ZOHO: Profile = Profile {
    answers: &[
        Answer::to(&[550])
            .status(4, 6)
            .saying("unusual sending activity")
            .means(Meaning::Throttled {
                pause: Some(Duration::from_hours(1)),
            }),
        Answer::to(&[554])
            .saying("email outgoing blocked")
            .means(Meaning::Unusable),
    ],
    ..Profile::at("zoho", "smtp.zoho.com").with_implicit_tls()
};
