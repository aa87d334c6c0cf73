use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::mail::address::{ForwardPath, ReversePath};
use crate::mail::envelope::OriginalRecipient;
use crate::mail::outcome::{Cause, Stage};
use crate::mail::status::EnhancedStatusCode;

const HEADER: &str =
    "From: me@own.example\r\nSubject: Invoice\r\n 17\r\nMessage-ID: <m@own.example>\r\n";

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// All that a report needs, to be changed by each test.
struct Fixture {
    hostname: Domain,
    from: Mailbox,
    from_name: String,
    envelope: Envelope,
    original: Vec<u8>,
}

impl Fixture {
    fn new(recipients: &[&str]) -> Self {
        let recipient = |text: &&str| Recipient::new(ForwardPath::from(mailbox(text)));
        Self {
            hostname: Domain::parse("relay.example").unwrap(),
            from: mailbox("postmaster@relay.example"),
            from_name: "Mail Delivery System".to_owned(),
            envelope: Envelope {
                recipients: recipients.iter().map(recipient).collect(),
                ..Envelope::new(ReversePath::Mailbox(mailbox("me@own.example")))
            },
            original: format!("{HEADER}\r\nThe body.\r\n").into_bytes(),
        }
    }

    fn dsn<'a>(&'a self, recipients: &'a [(RecipientIndex, Action<'a>)]) -> Dsn<'a> {
        Dsn {
            hostname: &self.hostname,
            from: &self.from,
            from_name: &self.from_name,
            date: Date::from_unix_seconds(1_795_243_860),
            queue_id: QueueId::from_number(7),
            envelope: &self.envelope,
            accepted: Date::from_unix_seconds(1_795_243_000),
            original: Original::Whole(&self.original),
            remote: Some("mx.there.example"),
            recipients,
        }
    }

    /// Writes a report that the first recipient failed.
    fn failed(&self, failure: &Failure) -> Report {
        let recipients = [(RecipientIndex(0), Action::Failed(failure))];
        self.dsn(&recipients).write().unwrap()
    }
}

fn response(text: &str) -> Response {
    Response {
        code: 550,
        status: EnhancedStatusCode::parse("5.1.1"),
        text: text.into(),
    }
}

fn refused(text: &str) -> Failure {
    Failure::new(Stage::Recipient, Cause::Response(response(text)))
}

fn parse(report: &Report) -> Message<'_> {
    MessageParser::default().parse(&report.octets[..]).unwrap()
}

/// Returns the content of the three parts as text, however they are typed.
fn parts(report: &Report) -> [String; 3] {
    let message = parse(report);
    let PartType::Multipart(children) = &message.parts[0].body else {
        panic!(
            "not a multipart: {}",
            String::from_utf8_lossy(&report.octets)
        );
    };
    let content = |&id: &u32| {
        let part = &message.parts[usize::try_from(id).unwrap()];
        let (start, end) = (part.raw_body_offset(), part.raw_end_offset());
        let octets = &report.octets[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
        String::from_utf8_lossy(octets).into_owned()
    };
    let contents: Vec<String> = children.iter().map(content).collect();
    contents.try_into().expect("three parts")
}

fn types(report: &Report) -> Vec<String> {
    let message = parse(report);
    let typed = |part: &mail_parser::MessagePart<'_>| {
        let content_type = part.content_type().unwrap();
        format!(
            "{}/{}",
            content_type.ctype(),
            content_type.subtype().unwrap()
        )
    };
    message.parts.iter().map(typed).collect()
}

#[test]
fn a_report_is_a_multipart_of_three() {
    let report = Fixture::new(&["you@there.example"]).failed(&refused("no such user"));
    let message = parse(&report);
    let content_type = message.content_type().unwrap();
    assert_eq!(
        content_type.attribute("report-type"),
        Some("delivery-status")
    );
    assert_eq!(
        types(&report),
        [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    assert_eq!((report.body, report.smtputf8), (BodyType::SevenBit, false));
}

#[test]
fn its_header_marks_it_as_automatic_and_as_an_answer() {
    let report = Fixture::new(&["you@there.example"]).failed(&refused("no"));
    let text = String::from_utf8(report.octets.to_vec()).unwrap();
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        header.split("\r\nContent-Type").next().unwrap(),
        "From: \"Mail Delivery System\" <postmaster@relay.example>\r\n\
         To: <me@own.example>\r\n\
         Subject: Your message could not be delivered\r\n\
         Date: Sat, 21 Nov 2026 06:51:00 +0000\r\n\
         Message-ID: <0000000000007.0.f@relay.example>\r\n\
         Auto-Submitted: auto-replied\r\n\
         MIME-Version: 1.0\r\n\
         In-Reply-To: <m@own.example>\r\n\
         References: <m@own.example>"
    );
}

#[test]
fn people_read_who_why_and_what_to_do() {
    let report = Fixture::new(&["you@there.example"]).failed(&refused("no such user"));
    assert_eq!(
        parts(&report)[0].trim_end(),
        "This is the mail server relay.example.\r\n\
         \r\n\
         Your message \"Invoice 17\" of Sat, 21 Nov 2026 06:36:40 +0000 could not be\r\n\
         delivered to the following recipients, and will not be tried again:\r\n\
         \r\n  you@there.example\r\n    \
             The mail server it had to be given to refused it and said: 550 5.1.1 no such\r\n    \
             user\r\n    \
             What you can do: check the address for typing mistakes. It may no longer\r\n    \
             exist; ask the recipient by other means.\r\n\
         \r\n\
         If you need help, forward this whole message, with its attachments, to the\r\n\
         people who look after your mail. The attachments hold the technical details."
    );
}

#[test]
fn programs_read_the_fields_of_rfc_3464() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.envelope_id = Some("QQ314159".into());
    fixture.envelope.recipients[0].original = Some(OriginalRecipient {
        address_type: "rfc822".into(),
        address: "alias@there.example".into(),
    });
    let report = fixture.failed(&refused("no such user"));
    assert_eq!(
        parts(&report)[1].trim_end(),
        "Reporting-MTA: dns; relay.example\r\n\
         Original-Envelope-Id: QQ314159\r\n\
         Arrival-Date: Sat, 21 Nov 2026 06:36:40 +0000\r\n\
         \r\n\
         Original-Recipient: rfc822; alias@there.example\r\n\
         Final-Recipient: rfc822; you@there.example\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mx.there.example\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
         Last-Attempt-Date: Sat, 21 Nov 2026 06:51:00 +0000"
    );
}

#[test]
fn each_recipient_has_its_own_action() {
    let fixture = Fixture::new(&["a@b.c", "d@e.f", "g@h.i", "k@l.m"]);
    let (failure, timeout) = (refused("no"), Failure::new(Stage::Connect, Cause::Timeout));
    let relayed = Response {
        code: 250,
        status: None,
        text: "ok".into(),
    };
    let until = Date::from_unix_seconds(1_795_600_000);
    let recipients = [
        (RecipientIndex(0), Action::Relayed(&relayed)),
        (
            RecipientIndex(1),
            Action::Delayed {
                reason: &timeout,
                until,
            },
        ),
        (RecipientIndex(2), Action::Expired(&timeout)),
        (RecipientIndex(3), Action::Failed(&failure)),
    ];
    let report = fixture.dsn(&recipients).write().unwrap();
    let fields = &parts(&report)[1];
    let of = |name: &str| -> Vec<&str> {
        let prefix = format!("{name}: ");
        fields
            .lines()
            .filter_map(|line| line.strip_prefix(&*prefix))
            .collect()
    };
    assert_eq!(of("Action"), ["relayed", "delayed", "failed", "failed"]);
    assert_eq!(of("Status"), ["2.0.0", "4.4.2", "5.4.7", "5.1.1"]);
    assert_eq!(of("Will-Retry-Until"), ["Wed, 25 Nov 2026 09:46:40 +0000"]);
    assert_eq!(of("Remote-MTA").len(), 2);
}

#[test]
fn a_delay_does_not_sound_like_a_failure() {
    let timeout = Failure::new(Stage::Connect, Cause::Timeout);
    let until = Date::from_unix_seconds(1_795_600_000);
    let recipients = [(
        RecipientIndex(0),
        Action::Delayed {
            reason: &timeout,
            until,
        },
    )];
    let fixture = Fixture::new(&["a@b.c"]);
    let report = fixture.dsn(&recipients).write().unwrap();
    assert_eq!(parse(&report).subject(), Some("Your message is delayed"));
    assert!(parts(&report)[0].contains("You need not send it again"));
}

#[test]
fn nobody_hears_of_a_message_with_a_null_reverse_path() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.reverse_path = ReversePath::Null;
    let failure = refused("no");
    let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
    assert_eq!(fixture.dsn(&recipients).write(), None);
}

#[test]
fn recipients_outside_the_envelope_are_left_out() {
    let fixture = Fixture::new(&["you@there.example"]);
    let failure = refused("no");
    let recipients = [(RecipientIndex(1), Action::Failed(&failure))];
    assert_eq!(fixture.dsn(&recipients).write(), None);
}

#[test]
fn ret_full_returns_the_whole_message() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.failed(&refused("no"));
    assert_eq!(types(&report)[3], "message/rfc822");
    let text = String::from_utf8_lossy(&report.octets).into_owned();
    assert!(text.contains(std::str::from_utf8(&fixture.original).unwrap()));
}

#[test]
fn the_header_alone_is_returned_unless_all_is_wished_and_there() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    assert_eq!(
        parts(&fixture.failed(&refused("no")))[2].trim_end(),
        HEADER.trim_end()
    );
    fixture.envelope.ret = Some(DsnReturn::Full);
    let failure = refused("no");
    let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
    let mut dsn = fixture.dsn(&recipients);
    dsn.original = Original::Beginning(&fixture.original);
    let report = dsn.write().unwrap();
    assert!(!String::from_utf8_lossy(&report.octets).contains("The body."));
}

#[test]
fn a_returned_header_is_cut_at_a_field() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    let field = format!("X-Long: {}\r\n", "x".repeat(900));
    fixture.original = field.repeat(200).into_bytes();
    let report = fixture.failed(&refused("no"));
    let returned = parts(&report)[2].clone();
    assert!(returned.len() <= MAX_RETURNED_HEADER && returned.len() > MAX_RETURNED_HEADER - 2000);
    assert!(returned.lines().all(|line| line == field.trim_end()));
}

#[test]
fn a_cut_off_beginning_gives_whole_fields() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.original = b"From: a@b\r\nSubject: x\r\nTo: trunc".to_vec();
    let report = fixture.failed(&refused("no"));
    assert_eq!(parts(&report)[2].trim_end(), "From: a@b\r\nSubject: x");
}

#[test]
fn overlong_lines_and_octets_zero_are_not_returned() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    fixture.original = [b"A: b\r\nB: ", &[b'x'; 1000][..], b"\r\n\r\n\0\r\n"].concat();
    let report = fixture.failed(&refused("no"));
    assert_eq!(parts(&report)[2].trim_end(), "A: b");
}

#[test]
fn a_message_without_a_header_is_reported_too() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.original = b"\r\nbody\r\n".to_vec();
    let report = fixture.failed(&refused("no"));
    assert!(parts(&report)[0].contains("Your message of Sat"));
    assert_eq!(parts(&report)[2].trim_end(), "");
}

#[test]
fn an_international_recipient_of_an_ascii_sender_is_written_in_ascii() {
    let report = Fixture::new(&["żółw@bücher.example"]).failed(&refused("no"));
    assert!(
        parts(&report)[1]
            .contains("Final-Recipient: utf-8; \\x{17C}\\x{F3}\\x{142}w@xn--bcher-kva.example\r\n")
    );
    assert_eq!(types(&report)[2], "message/delivery-status");
    assert_eq!(
        (report.body, report.smtputf8),
        (BodyType::EightBitMime, false)
    );
}

#[test]
fn an_international_domain_needs_no_international_report() {
    let mut fixture = Fixture::new(&["you@bücher.example"]);
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("me@bücher.example"));
    let report = fixture.failed(&refused("no"));
    assert!(report.octets.is_ascii() && !report.smtputf8);
    assert!(parts(&report)[1].contains("Final-Recipient: rfc822; you@xn--bcher-kva.example\r\n"));
}

#[test]
fn an_international_sender_gets_an_international_report() {
    let mut fixture = Fixture::new(&["żółw@there.example"]);
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("jürgen@own.example"));
    let report = fixture.failed(&refused("no"));
    assert_eq!(
        types(&report),
        [
            "multipart/report",
            "text/plain",
            "message/global-delivery-status",
            "message/global-headers"
        ]
    );
    assert!(parts(&report)[1].contains("Final-Recipient: utf-8; żółw@there.example\r\n"));
    assert!(report.smtputf8);
}

#[test]
fn the_name_of_the_sender_may_hold_anything() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    for (name, shown) in [
        ("A \"b\" \\ c", "A \"b\" \\ c"),
        ("x\r\nBcc: a@b.c", "x??Bcc: a@b.c"),
        (
            "Zustellbericht für Kundinnen und Kunden der Posthalterei",
            "Zustellbericht für Kundinnen und Kunden der Posthalterei",
        ),
        ("", ""),
    ] {
        name.clone_into(&mut fixture.from_name);
        let report = fixture.failed(&refused("no"));
        let message = parse(&report);
        let from = message.from().unwrap().first().unwrap();
        assert_eq!(from.address(), Some("postmaster@relay.example"), "{name}");
        assert_eq!(from.name().unwrap_or_default(), shown);
        assert!(message.bcc().is_none());
    }
}

#[test]
fn a_boundary_in_the_message_is_not_used_again() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    fixture.original =
        format!("{HEADER}\r\n--=_0000000000007.1/\r\n\r\n--=_0000000000007.2/--\r\n").into_bytes();
    let report = fixture.failed(&refused("--=_0000000000007.3/ x"));
    assert_eq!(
        parse(&report).content_type().unwrap().attribute("boundary"),
        Some("=_0000000000007.4/")
    );
    let _ = parts(&report);
}

#[test]
fn the_status_fits_the_advice() {
    for (status, advice) in [
        ("5.2.2", "mailbox is full"),
        ("5.3.4", "too large"),
        ("5.7.1", "a rule of the other side"),
        ("5.1.8", "your own address"),
        ("5.6.7", "simpler form"),
        ("5.0.0", "reason"),
    ] {
        let mut response = response("x");
        response.status = EnhancedStatusCode::parse(status);
        let failure = Failure::new(Stage::Recipient, Cause::Response(response));
        let report = Fixture::new(&["you@there.example"]).failed(&failure);
        let text = parts(&report)[0].replace("\r\n   ", "");
        assert!(text.contains(advice), "{status}: {text}");
    }
}

proptest! {
    #[test]
    fn no_text_from_outside_leaves_its_place(
        answer in "[ -~]{0,60}|[\r\n\\-=_0-9.:/A-Z ]{0,60}|\\PC{0,200}",
        envelope_id in "[\r\n :A-Za-z\u{2028}é]{0,30}",
        original in "[\r\n ;:A-Za-zé]{0,30}",
        remote in "[\r\n :A-Za-z.]{0,20}",
        local_part in "[ -~]{1,30}",
        subject in "[ -~é]{0,60}",
    ) {
        let quoted = local_part.replace('\\', "\\\\").replace('"', "\\\"");
        let mut fixture = Fixture::new(&[&format!("\"{quoted}\"@there.example")]);
        fixture.envelope.envelope_id = Some(envelope_id.into());
        fixture.envelope.recipients[0].original = Some(OriginalRecipient {
            address_type: original.clone().into(),
            address: original.into(),
        });
        fixture.original = format!("Subject: {subject}\r\n\r\n").into_bytes();
        let failure = refused(&answer);
        let recipients = [(RecipientIndex(0), Action::Failed(&failure))];
        let mut dsn = fixture.dsn(&recipients);
        dsn.remote = Some(&remote);
        let report = dsn.write().unwrap();
        prop_assert!(report.octets.split(|&octet| octet == b'\n').all(|line| line.len() <= 999));
        let [_, fields, returned] = parts(&report);
        let mut blocks = fields.trim_end().split("\r\n\r\n");
        let names = |block: &str| {
            let block = format!("{block}\r\n");
            let header = Header::parse(block.as_bytes()).unwrap();
            header.fields().iter().map(|field| field.name().to_owned()).collect::<Vec<_>>().join(" ")
        };
        prop_assert_eq!(names(blocks.next().unwrap()), "Reporting-MTA Original-Envelope-Id Arrival-Date");
        prop_assert_eq!(
            names(blocks.next().unwrap()),
            "Original-Recipient Final-Recipient Action Status Remote-MTA Diagnostic-Code Last-Attempt-Date"
        );
        prop_assert_eq!(blocks.next(), None);
        let expected = format!("Subject: {subject}");
        prop_assert_eq!(returned.trim_end(), expected.trim_end());
    }

    #[test]
    fn no_original_makes_the_writer_panic(original: Vec<u8>, ret_full: bool) {
        let mut fixture = Fixture::new(&["you@there.example"]);
        fixture.original = original;
        fixture.envelope.ret = ret_full.then_some(DsnReturn::Full);
        let _ = fixture.failed(&refused("no"));
    }
}
