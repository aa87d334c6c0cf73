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

mod international;
mod original;
mod properties;
mod recipients;
mod whole;
mod words;

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

/// Compares a report, as it is sent, with a file.
#[track_caller]
fn assert_reads(report: &Report, file: &str) {
    let path = format!("{}/tests/data/dsn/{file}", env!("CARGO_MANIFEST_DIR"));
    let written = String::from_utf8(report.octets.to_vec()).unwrap();
    let written = written.replace("\r\n", "\n");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "{path} should be:\n{written}");
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
