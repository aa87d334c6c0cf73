use mail_parser::{MessageParser, PartType};
use proptest::prelude::*;

use super::*;
use crate::alert::{Kind, Target};

fn item(text: &str) -> Item {
    Item {
        id: 3,
        kind: Kind::UpstreamParked,
        account: None,
        tenant: None,
        upstream: Some("main".to_owned()),
        text: text.to_owned(),
        first: Timestamp::from_unix_millis(1_795_597_920_000),
        last: Timestamp::from_unix_millis(1_795_600_000_000),
        count: 42,
    }
}

fn written(items: Vec<Item>, to: &str, from_name: &str) -> Composed {
    let errand = Errand {
        id: 9,
        target: Target::Mail(to.to_owned()),
        made: Timestamp::from_unix_millis(7),
        items,
        left_out: 0,
        tries: 0,
        next: Timestamp::default(),
    };
    Letter {
        hostname: &Domain::parse("relay.example").unwrap(),
        from: &Mailbox::parse("mailer-daemon@relay.example").unwrap(),
        from_name,
        to: &Mailbox::parse(to).unwrap(),
        errand: &errand,
        now: Timestamp::from_unix_millis(1_795_600_000_000),
    }
    .write()
}

fn header(mail: &Composed) -> String {
    let text = String::from_utf8(mail.octets.to_vec()).unwrap();
    text.split("\r\n\r\n").next().unwrap().to_owned()
}

fn body(mail: &Composed) -> String {
    let message = MessageParser::default().parse(&mail.octets).unwrap();
    let PartType::Text(text) = &message.parts[0].body else {
        panic!("it is text");
    };
    text.to_string()
}

#[test]
fn a_letter_is_a_plain_mail_that_answers_nothing() {
    let mail = written(
        vec![item("login refused: 535 5.7.8")],
        "ops@example.com",
        "Mail",
    );
    assert_eq!(
        header(&mail),
        "From: \"Mail\" <mailer-daemon@relay.example>\r\n\
         To: <ops@example.com>\r\n\
         Subject: [relay.example] upstream parked: upstream main\r\n\
         Date: Wed, 25 Nov 2026 09:46:40 +0000\r\n\
         Message-ID: <alert.7.9@relay.example>\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\
         Content-Transfer-Encoding: 7bit"
    );
    let body = body(&mail);
    assert!(body.contains("  login refused: 535 5.7.8\r\n  And 41 more since Wednesday, 25 November 2026, 09:12 UTC.\r\n"), "{body}");
    assert!(!mail.smtputf8);
}

#[test]
fn several_alerts_are_one_letter() {
    let mail = written(vec![item("x"), item("y")], "ops@example.com", "Mail");
    assert!(header(&mail).contains("Subject: [relay.example] 2 alerts\r\n"));
}

#[test]
fn what_is_not_ascii_is_encoded() {
    let mut strange = item("Passwort für »Müller« abgelehnt");
    strange.upstream = Some("süd".to_owned());
    let mail = written(vec![strange], "ops@müller.example", "Störungsdienst");
    assert!(mail.octets.is_ascii());
    let message = MessageParser::default().parse(&mail.octets).unwrap();
    assert_eq!(
        message.subject(),
        Some("[relay.example] upstream parked: upstream süd")
    );
    assert_eq!(
        message.from().unwrap().first().unwrap().name(),
        Some("Störungsdienst")
    );
    assert!(body(&mail).contains("für »Müller«"));
}

#[test]
fn nothing_begins_a_field_or_commands_a_terminal() {
    let mut strange = item("x\r\nBcc: all@example.com\r\n\r\n\u{1b}[2J.\r\n.\r\n");
    strange.upstream = Some("a\r\nBcc: b".to_owned());
    let mail = written(vec![strange], "ops@example.com", "a\"\r\nBcc: x");
    let text = String::from_utf8(mail.octets.to_vec()).unwrap();
    assert!(
        !text.contains("\nBcc") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert_eq!(text.matches("\r\n\r\n").count(), 3, "{text}");
}

proptest! {
    #[test]
    fn whatever_is_told_the_mail_has_short_ascii_lines(
        text in "\\PC{0,2000}|[\\x00-\\x7f]{0,2000}",
        name in "\\PC{0,200}",
        from_name in any::<String>(),
    ) {
        let mut strange = item(&text);
        strange.upstream = Some(name);
        let mail = written(vec![strange], "ops@example.com", &from_name);
        prop_assert!(mail.octets.is_ascii());
        for line in mail.octets.split(|octet| *octet == b'\n') {
            prop_assert!(line.len() <= 999);
            prop_assert!(line.is_empty() || line.ends_with(b"\r"));
            prop_assert!(line.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\r')));
        }
        let message = MessageParser::default().parse(&mail.octets).unwrap();
        prop_assert!(message.message_id().is_some() && message.subject().is_some());
    }
}
