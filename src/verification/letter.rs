//! The mail with the link.

use bytes::Bytes;

use crate::identity::AccountName;
use crate::mail::dsn::phrase;
use crate::mail::{BodyType, Date, Domain, Mailbox, QueueId};

/// All that the mail is made of.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The name of this relay.
    pub hostname: &'a Domain,
    /// The sender in `From:`.
    pub from: &'a Mailbox,
    /// The name in `From:`. It may hold anything.
    pub from_name: &'a str,
    /// To whom, and as what the account wants to send.
    pub to: &'a Mailbox,
    /// The account.
    pub account: &'a AccountName,
    /// When it is written.
    pub date: Date,
    /// Until when the link can be used.
    pub until: Date,
    /// Its id in the queue.
    pub queue_id: QueueId,
}

/// A mail ready to be queued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Header and body.
    pub octets: Bytes,
    /// The BODY= that its envelope needs.
    pub body: BodyType,
    /// Whether its envelope needs SMTPUTF8.
    pub smtputf8: bool,
}

impl Letter<'_> {
    /// Writes it with this link.
    pub fn write(&self, link: &str) -> Written {
        let plain = |mailbox: &Mailbox| mailbox.to_ascii().unwrap_or_else(|| mailbox.clone());
        let (from, to) = (plain(self.from), plain(self.to));
        let text = self.text(&to, link);
        let encoding = if text.is_ascii() { "7bit" } else { "8bit" };
        let smtputf8 = !from.is_ascii() || !to.is_ascii();
        let header = [
            format!("From: {} <{from}>", phrase(self.from_name)),
            format!("To: <{to}>"),
            "Subject: Please confirm a sender address".to_owned(),
            format!("Date: {}", self.date),
            format!(
                "Message-ID: <{}.v@{}>",
                self.queue_id,
                self.hostname.as_ascii()
            ),
            "Auto-Submitted: auto-generated".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
            format!("Content-Transfer-Encoding: {encoding}"),
        ];
        let octets = format!("{}\r\n\r\n{text}", header.join("\r\n"));
        Written {
            body: if octets.is_ascii() {
                BodyType::SevenBit
            } else {
                BodyType::EightBitMime
            },
            octets: octets.into(),
            smtputf8,
        }
    }

    fn text(&self, to: &Mailbox, link: &str) -> String {
        let lines = [
            format!(
                "The account \"{}\" of the mail server {}",
                self.account,
                self.hostname.as_given()
            ),
            "wants to send mail with this address as its sender:".to_owned(),
            String::new(),
            format!("    {to}"),
            String::new(),
            "If that is right, open this page and press the button there:".to_owned(),
            String::new(),
            format!("    {link}"),
            String::new(),
            format!("The page can be used once, until {}.", self.until),
            String::new(),
            "If you know nothing of this, do nothing: the account may not use your".to_owned(),
            "address then.".to_owned(),
            String::new(),
        ];
        lines.join("\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn written(from_name: &str, to: &str, account: &str) -> Written {
        let now = Timestamp::from_unix_millis(1_795_243_860_000);
        Letter {
            hostname: &Domain::parse("relay.example").unwrap(),
            from: &Mailbox::parse("mailer-daemon@relay.example").unwrap(),
            from_name,
            to: &Mailbox::parse(to).unwrap(),
            account: &AccountName::parse(account).unwrap(),
            date: now.into(),
            until: now.into(),
            queue_id: QueueId::from_number(7),
        }
        .write("https://relay.example/verify/TOKEN")
    }

    #[test]
    fn it_has_the_link_on_a_line_of_its_own_and_says_what_happens() {
        let written = written("Mail\r\nBcc: x", "me@b.example", "shop");
        let text = String::from_utf8(written.octets.to_vec()).unwrap();
        assert!(text.contains("\r\n    https://relay.example/verify/TOKEN\r\n"));
        assert!(text.contains("\r\nAuto-Submitted: auto-generated\r\n"));
        assert!(!text.contains("\r\nBcc:"), "{text}");
        assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
        assert_eq!(
            (written.body, written.smtputf8),
            (BodyType::SevenBit, false)
        );
    }

    #[test]
    fn it_asks_for_no_more_of_servers_than_it_needs() {
        let account = written("M", "me@b.example", "läden");
        assert_eq!(
            (account.body, account.smtputf8),
            (BodyType::EightBitMime, false)
        );
        let domain = written("M", "me@bücher.example", "shop");
        assert_eq!((domain.body, domain.smtputf8), (BodyType::SevenBit, false));
        let local = written("M", "bücher@b.example", "shop");
        assert_eq!((local.body, local.smtputf8), (BodyType::EightBitMime, true));
    }
}
