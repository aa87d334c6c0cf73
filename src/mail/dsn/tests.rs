use std::time::Duration;

use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::mail::address::{ForwardPath, ReversePath};
use crate::mail::deliver_by::{DeliverBy, DeliverByMode, DeliverByTrace};
use crate::mail::envelope::{DsnReturn, OriginalRecipient, TlsRequest};
use crate::mail::hold::Hold;
use crate::mail::outcome::{Cause, Stage};
use crate::mail::status::EnhancedStatusCode;

const HEADER: &str =
    "From: me@own.example\r\nSubject: Invoice\r\n 17\r\nMessage-ID: <m@own.example>\r\n";

/// The recipients of any fixture.
const ALL: [RecipientIndex; 8] = [
    RecipientIndex(0),
    RecipientIndex(1),
    RecipientIndex(2),
    RecipientIndex(3),
    RecipientIndex(4),
    RecipientIndex(5),
    RecipientIndex(6),
    RecipientIndex(7),
];

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
            attempted: &ALL,
            recipients,
        }
    }

    /// Writes a report that the first recipient failed.
    fn failed(&self, failure: &Failure) -> Report {
        self.of_first(Action::Failed(failure))
    }

    /// Writes a report on the first recipient.
    fn of_first(&self, action: Action<'_>) -> Report {
        let recipients = [(RecipientIndex(0), action)];
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

fn accepted(text: &str) -> Response {
    Response {
        code: 250,
        status: None,
        text: text.into(),
    }
}

fn until() -> Date {
    Date::from_unix_seconds(1_795_600_000)
}

/// Returns the values of a field about recipients.
fn values<'a>(fields: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    let lines = fields.lines();
    lines
        .filter_map(|line| line.strip_prefix(&*prefix))
        .collect()
}

#[test]
fn each_recipient_has_its_own_action() {
    let fixture = Fixture::new(&[
        "a@b.c", "d@e.f", "g@h.i", "k@l.m", "n@o.p", "q@r.s", "t@u.v",
    ]);
    let (failure, timeout) = (refused("no"), Failure::new(Stage::Connect, Cause::Timeout));
    let (response, until) = (accepted("ok"), until());
    let relayed = Action::Relayed {
        response: &response,
        dsn: Duty::Ours,
    };
    let delayed = Action::Delayed {
        reason: Some(&timeout),
        until,
    };
    let late = Action::Late {
        reason: Some(&failure),
        until,
    };
    let recipients = [
        (RecipientIndex(0), relayed),
        (RecipientIndex(1), delayed),
        (RecipientIndex(2), Action::Expired(&timeout)),
        (RecipientIndex(3), Action::Failed(&failure)),
        (RecipientIndex(4), Action::Delivered(&response)),
        (RecipientIndex(5), late),
        (RecipientIndex(6), Action::Lapsed(&failure)),
    ];
    let report = fixture.dsn(&recipients).write().unwrap();
    let fields = &parts(&report)[1];
    assert_eq!(
        values(fields, "Action"),
        [
            "relayed",
            "delayed",
            "failed",
            "failed",
            "delivered",
            "delayed",
            "failed"
        ]
    );
    assert_eq!(
        values(fields, "Status"),
        [
            "2.0.0", "4.4.1", "5.4.7", "5.1.1", "2.0.0", "4.4.7", "5.4.7"
        ]
    );
    assert_eq!(
        values(fields, "Will-Retry-Until"),
        ["Wed, 25 Nov 2026 09:46:40 +0000"; 2]
    );
    assert_eq!(values(fields, "Remote-MTA").len(), 5);
}

#[test]
fn who_was_not_attempted_just_now_has_no_host_and_no_time() {
    let fixture = Fixture::new(&["a@b.c", "d@e.f"]);
    let failure = refused("no");
    let delayed = Action::Delayed {
        reason: Some(&failure),
        until: until(),
    };
    let recipients = [(RecipientIndex(0), delayed), (RecipientIndex(1), delayed)];
    let mut dsn = fixture.dsn(&recipients);
    dsn.attempted = &[RecipientIndex(1)];
    let report = dsn.write().unwrap();
    let fields = parts(&report)[1].clone();
    let (_, of_recipients) = fields.split_once("\r\n\r\n").unwrap();
    let (first, second) = of_recipients.split_once("\r\n\r\n").unwrap();
    assert!(!first.contains("Remote-MTA") && !first.contains("Last-Attempt-Date"));
    assert!(second.contains("Remote-MTA") && second.contains("Last-Attempt-Date"));
}

/// Compares a report, as it is sent, with a file.
#[track_caller]
fn assert_reads(report: &Report, file: &str) {
    let path = format!("{}/tests/data/dsn/{file}", env!("CARGO_MANIFEST_DIR"));
    let written = String::from_utf8(report.octets.to_vec()).unwrap();
    let written = written.replace("\r\n", "\n");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "{path} should be:\n{written}");
}

#[test]
fn a_failure_names_the_reason_and_what_to_do() {
    let mut fixture = Fixture::new(&["you@there.example", "she@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let full = Response {
        code: 552,
        status: EnhancedStatusCode::parse("5.2.2"),
        text: "mailbox is full".into(),
    };
    let (unknown, full) = (
        refused("no such user"),
        Failure::new(Stage::Recipient, Cause::Response(full)),
    );
    let recipients = [
        (RecipientIndex(0), Action::Failed(&unknown)),
        (RecipientIndex(1), Action::Failed(&full)),
    ];
    let report = fixture.dsn(&recipients).write().unwrap();
    assert_reads(&report, "failed.eml");
}

#[test]
fn an_expiry_says_that_it_was_tried() {
    let timeout = Failure::new(Stage::Connect, Cause::Timeout);
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Expired(&timeout));
    assert_reads(&report, "expired.eml");
}

#[test]
fn a_delay_does_not_sound_like_a_failure() {
    let busy = Response {
        code: 450,
        status: EnhancedStatusCode::parse("4.2.1"),
        text: "mailbox busy".into(),
    };
    let busy = Failure::new(Stage::Recipient, Cause::Response(busy));
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.of_first(Action::Delayed {
        reason: Some(&busy),
        until: until(),
    });
    assert_reads(&report, "delayed.eml");
}

#[test]
fn a_handover_is_no_promise() {
    let response = accepted("queued as 4711");
    let fixture = Fixture::new(&["you@there.example"]);
    let report = fixture.of_first(Action::Relayed {
        response: &response,
        dsn: Duty::Ours,
    });
    assert_reads(&report, "relayed.eml");
}

#[test]
fn a_delivery_is_a_delivery() {
    let response = accepted("kept");
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let report = fixture.of_first(Action::Delivered(&response));
    assert_reads(&report, "delivered.eml");
}

/// A fixture whose deadline is over.
fn with_deadline(mode: DeliverByMode) -> Fixture {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.deliver_by = Some(DeliverBy {
        deadline: Timestamp::from_unix_millis(1_795_243_800_000),
        mode,
        trace: DeliverByTrace::Off,
    });
    fixture
}

#[test]
fn a_wish_to_be_held_is_repeated() {
    let failure = refused("no");
    let mut fixture = Fixture::new(&["you@there.example"]);
    let [_, fields, _] = parts(&fixture.failed(&failure));
    assert!(!fields.contains("Future-Release-Request"), "{fields}");
    fixture.envelope.hold = Some(Hold::For(Duration::from_mins(1)));
    let [_, fields, _] = parts(&fixture.failed(&failure));
    assert!(
        fields.contains("\r\nFuture-Release-Request: for;60\r\n"),
        "{fields}"
    );
    assert!(fields.contains("\r\nArrival-Date: "), "{fields}");
}

#[test]
fn a_deadline_that_has_passed_is_named() {
    let fixture = with_deadline(DeliverByMode::Notify);
    let report = fixture.of_first(Action::Late {
        reason: None,
        until: until(),
    });
    assert_reads(&report, "late.eml");
}

#[test]
fn what_is_returned_at_its_deadline_was_returned_as_asked() {
    let timeout = Failure::new(Stage::Connect, Cause::Timeout);
    let report = with_deadline(DeliverByMode::Return).of_first(Action::Lapsed(&timeout));
    assert_reads(&report, "lapsed.eml");
}

#[test]
fn all_reports_on_a_recipient_have_names_of_their_own() {
    let (failure, response, until) = (refused("no"), accepted("ok"), until());
    let actions = [
        Action::Delayed {
            reason: None,
            until,
        },
        Action::Delivered(&response),
        Action::Expired(&failure),
        Action::Failed(&failure),
        Action::Lapsed(&failure),
        Action::Late {
            reason: None,
            until,
        },
        Action::Relayed {
            response: &response,
            dsn: Duty::Passed,
        },
    ];
    let fixture = Fixture::new(&["you@there.example"]);
    let ids = actions.map(|action| {
        let report = fixture.of_first(action);
        parse(&report).message_id().unwrap().to_owned()
    });
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), actions.len());
}

#[test]
fn a_report_is_named_by_the_worst_that_it_tells() {
    let fixture = Fixture::new(&["you@there.example", "she@there.example"]);
    let failure = refused("no");
    let delayed = Action::Delayed {
        reason: Some(&failure),
        until: until(),
    };
    let recipients = [
        (RecipientIndex(0), delayed),
        (RecipientIndex(1), Action::Failed(&failure)),
    ];
    let first = fixture.dsn(&recipients).write().unwrap();
    let second = fixture.failed(&failure);
    assert_ne!(parse(&first).message_id(), parse(&second).message_id());
}

#[test]
fn what_an_upstream_cannot_do_at_all_is_for_its_operators() {
    let cause = Cause::Unusable("the login was refused".into());
    let failure = Failure::new(Stage::Authenticate, cause);
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Delayed {
        reason: Some(&failure),
        until: until(),
    });
    let text = parts(&report)[0].replace("\r\n   ", "");
    assert!(
        text.contains("for the people who look after it to repair"),
        "{text}"
    );
    let report = Fixture::new(&["you@there.example"]).of_first(Action::Expired(&failure));
    let text = parts(&report)[0].replace("\r\n   ", "");
    assert!(text.contains("your message is not at fault"), "{text}");
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
fn a_protected_message_is_never_returned_whole() {
    let failure = refused("no such user");
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.ret = Some(DsnReturn::Full);
    let is_whole = |fixture: &Fixture| {
        let report = fixture.of_first(Action::Failed(&failure));
        String::from_utf8_lossy(&report.octets).contains("Content-Type: message/rfc822")
    };
    assert!(is_whole(&fixture));
    fixture.envelope.tls = TlsRequest::Required;
    assert!(!is_whole(&fixture));
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
    assert!(parts(&report)[0].contains("Your message of Saturday"));
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
fn an_original_address_is_written_as_the_way_back_allows() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.recipients[0].original = Some(OriginalRecipient {
        address_type: "utf-8".into(),
        address: r"\x{17C}\x{2B}x@there.example".into(),
    });
    let report = fixture.failed(&refused("no"));
    assert!(
        parts(&report)[1].contains("Original-Recipient: utf-8; \\x{17C}\\x{2B}x@there.example\r\n")
    );
    fixture.envelope.reverse_path = ReversePath::Mailbox(mailbox("jürgen@own.example"));
    let report = fixture.failed(&refused("no"));
    assert!(parts(&report)[1].contains("Original-Recipient: utf-8; ż+x@there.example\r\n"));
}

#[test]
fn an_international_header_is_hidden_from_an_ascii_way_back() {
    let mut fixture = Fixture::new(&["you@there.example"]);
    fixture.envelope.smtputf8 = true;
    fixture.original = "Subject: Grüße\r\n\r\nbody\r\n".into();
    for (ret, content_type) in [
        (None, "message/global-headers"),
        (Some(DsnReturn::Full), "message/global"),
    ] {
        fixture.envelope.ret = ret;
        let report = fixture.failed(&refused("no"));
        assert_eq!(types(&report)[3], content_type);
        assert!(!report.smtputf8);
        let text = String::from_utf8(report.octets.to_vec()).unwrap();
        let (_, part) = text.split_once(content_type).unwrap();
        assert!(
            part.is_ascii() && part.contains("Encoding: base64"),
            "{part}"
        );
        assert!(part.contains("U3ViamVjdDogR3LDvMOfZQ0K"), "{part}");
    }
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
        ("5.3.3", "without special delivery options"),
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
