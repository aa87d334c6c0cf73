//! Whoever may send as some addresses cannot make a message that shows another one: whatever octets come, where they are
//! let through, none of five readers finds a sender in `From:` that is not granted.
//!
//! The readers (`readers`) have nothing in common with the program: each is as naive as one that people use. The
//! messages (`messages`) are made of what has deceived some reader before.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod messages;
mod readers;

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use posthouse::clock::Timestamp;
use posthouse::identity::AccountName;
use posthouse::mail::{Date, Domain, Header, Mailbox, Priority, QueueId, ReversePath};
use posthouse::message::{
    AddressRule, Collected, Facts, Greeting, HeaderCollector, PriorityHeader, ShownPriority, Trace,
    inspect, rewrite,
};
use posthouse::policy::{Detail, Grant, Grants, OnUnauthorized, Rules, Scope};
use posthouse::smtp::data::{DataDecoder, DataLimits, Framing};
use posthouse::smtp::server::BareNewlines;
use posthouse::submission::{Judgement, Profile, judge};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// The account may send as everybody of this domain.
const DOMAIN: &str = "own.example";

/// How many messages show that the property is about something.
const COUNT: usize = 4000;

/// And as this address.
const ADDRESS: &str = "me@partner.example";

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn profile(on_unauthorized: OnUnauthorized) -> Profile {
    Profile {
        rules: Rules {
            grants: Grants::Only(vec![
                Grant::Domain(Domain::parse(DOMAIN).unwrap()),
                Grant::Mailbox(mailbox(ADDRESS)),
            ]),
            scope: Scope::EnvelopeAndHeader,
            detail: Detail::Significant,
            on_unauthorized,
        },
        priority: Priority::Normal,
        max_priority: None,
        priority_header: PriorityHeader::Keep,
        address_rule: AddressRule::Senders,
        added_fields: Arc::default(),
    }
}

/// Takes a message as a session does, judges it, and returns what would leave; `None` where it is refused.
fn relayed(message: &[u8], on_unauthorized: OnUnauthorized) -> Option<Vec<u8>> {
    let stored = decoded(message)?;
    let mut collector = HeaderCollector::default();
    let (header, body) = match collector.push(stored) {
        Collected::Complete { header, rest } => (header, rest),
        Collected::NeedMore => (collector.finish(), Bytes::new()),
        Collected::TooLarge => return None,
    };
    let header = Header::parse(&header).ok()?;
    let profile = profile(on_unauthorized);
    let inspected = inspect(&header, profile.address_rule).ok()?;
    let sender = ReversePath::Mailbox(mailbox(ADDRESS));
    let octets = match judge(&profile, &sender, &header, &inspected) {
        Judgement::Allowed(_) => Bytes::copy_from_slice(header.octets()),
        Judgement::Rewritten(rewritten) => rewritten.header.clone(),
        Judgement::Held(_) | Judgement::Refused(_) | Judgement::Tolerated(_) => return None,
    };
    let written = written(&Header::parse(&octets).unwrap());
    Some([&written[..], &body].concat())
}

/// Reads what stands behind DATA: bare line ends are repaired, NUL is refused.
fn decoded(message: &[u8]) -> Option<Bytes> {
    let limits = DataLimits {
        size: 1 << 20,
        line: 1 << 16,
        bare_newlines: BareNewlines::Repair,
    };
    let mut decoder = DataDecoder::new(Framing::Counted, limits);
    let (mut input, mut output) = (BytesMut::from(message), BytesMut::new());
    let _end = decoder.decode(&mut input, usize::MAX, |piece: Bytes| {
        output.extend_from_slice(&piece);
    });
    decoder.finish(|piece| output.extend_from_slice(&piece));
    decoder.fault().is_none().then(|| output.freeze())
}

fn written(header: &Header<'_>) -> Bytes {
    let (hostname, account) = (
        Domain::parse("relay.example").unwrap(),
        AccountName::parse("shop").unwrap(),
    );
    let (peer, id) = (Ipv4Addr::LOCALHOST.into(), QueueId::from_number(7));
    let trace = Trace {
        greeting: Greeting::Ehlo("client.example"),
        peer,
        hostname: &hostname,
        tls: None,
        authenticated: true,
        smtputf8: false,
        queue_id: id,
        first_id: id,
        only_recipient: None,
        date: Date::from(Timestamp::from_unix_millis(1_795_243_860_000)),
    };
    let shown = ShownPriority {
        fields: PriorityHeader::Keep,
        priority: Priority::Normal,
        mt_priority: None,
    };
    let facts = Facts {
        account: &account,
        tenant: None,
        client_address: peer,
        queue_id: id,
    };
    rewrite(header, &trace, shown, (&[], facts))
}

/// Returns what a reader finds that is not granted.
fn foreign(message: &[u8]) -> Vec<readers::Shown> {
    let mut shown = readers::shown(message);
    shown.retain(|shown| !readers::is_of(&shown.address, DOMAIN, ADDRESS));
    shown
}

#[track_caller]
fn check(message: &[u8]) -> Result<(), TestCaseError> {
    let default = OnUnauthorized::Rewrite(mailbox(ADDRESS));
    for on_unauthorized in [OnUnauthorized::Reject, default] {
        if let Some(relayed) = relayed(message, on_unauthorized) {
            let foreign = foreign(&relayed);
            let text = String::from_utf8_lossy(&relayed);
            prop_assert!(foreign.is_empty(), "{foreign:?}\n{text}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8192))]

    #[test]
    fn no_reader_is_shown_a_sender_that_is_not_granted(message in messages::message()) {
        check(&message.0)?;
    }

    #[test]
    fn nor_in_a_good_message_with_something_put_into_it(message in messages::damaged()) {
        check(&message.0)?;
    }
}

/// Otherwise the property would be about nothing.
#[test]
fn messages_are_let_through_and_each_reader_is_deceived_by_some() {
    let mut runner = TestRunner::deterministic();
    let (message, mut allowed, mut deceived) = (messages::message(), 0, [0; 5]);
    for _ in 0..COUNT {
        let message = message.new_tree(&mut runner).unwrap().current();
        allowed += usize::from(relayed(&message.0, OnUnauthorized::Reject).is_some());
        let foreign = foreign(&message.0);
        for (count, reader) in deceived.iter_mut().zip(readers::ALL) {
            *count += usize::from(foreign.iter().any(|shown| shown.reader == reader));
        }
    }
    assert!(allowed > COUNT / 20, "{allowed} are let through");
    assert!(
        deceived.iter().all(|count| *count > COUNT / 20),
        "{deceived:?} are shown a foreign sender"
    );
}
