use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::mail::{
    DeliverBy, DeliverByMode, DeliverByTrace, DsnReturn, Duty, ForwardPath, Handover, Mailbox,
    MtPriority, Notify, Recipient, ReversePath,
};
use crate::smtp::extension::Size;
use crate::smtp::reply::ReplyParser;

const MESSAGE: &[u8] = b".dot\r\nend\r\n";
const NOW: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

/// A transaction played against scripted octets.
struct Played {
    ended: Ended,
    /// What was written, flight by flight.
    flights: Vec<String>,
}

impl Played {
    /// Returns the outcomes in short, such as `deferred Sender 450`.
    fn outcomes(&self) -> Vec<String> {
        let short = |name: &str, failure: &Failure| match &failure.cause {
            Cause::Response(response) => format!("{name} {:?} {}", failure.stage, response.code),
            Cause::Broken(_) | Cause::Capability(_) | Cause::Expired | Cause::Unusable(_) => {
                format!("{name} {:?}", failure.stage)
            }
            Cause::Timeout => format!("{name} {:?} timeout", failure.stage),
        };
        let text = |(_, outcome): &(RecipientIndex, Outcome)| match outcome {
            Outcome::Deferred(failure) => short("deferred", failure),
            Outcome::Rejected(failure) => short("rejected", failure),
            Outcome::Relayed(response, _) => format!("relayed {}", response.code),
            Outcome::Unknown(failure) => short("unknown", failure),
        };
        self.ended.outcomes.iter().map(text).collect()
    }
}

/// How a play is set up.
#[derive(Clone, Debug)]
struct Scene {
    offer: Extensions,
    recipients: Vec<&'static str>,
    is_streamed: bool,
    after: After,
    deliver_by: Option<DeliverBy>,
    mt_priority: Option<MtPriority>,
    /// What happens when the script has ended.
    end: Break,
    /// The server's octets arrive in pieces of these sizes, in turn.
    cuts: Vec<usize>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            offer: Extensions::default(),
            recipients: vec!["r@example.net"],
            is_streamed: false,
            after: After::Clean,
            deliver_by: None,
            mt_priority: None,
            end: Break::Closed("closed".into()),
            cuts: vec![usize::MAX],
        }
    }
}

impl Scene {
    fn pipelining() -> Self {
        let offer = Extensions {
            pipelining: true,
            ..Extensions::default()
        };
        Self {
            offer,
            ..Self::default()
        }
    }

    fn chunking() -> Self {
        let mut play = Self::pipelining();
        play.offer.chunking = true;
        play
    }

    /// So much time is left, in milliseconds, and this is what happens when it is over.
    fn by(mut self, left: u64, mode: DeliverByMode) -> Self {
        self.deliver_by = Some(DeliverBy {
            deadline: NOW.after(Duration::from_millis(left)),
            mode,
            trace: DeliverByTrace::On,
        });
        self
    }

    /// The upstream offers DELIVERBY with this minimum, in seconds.
    fn offering_deliver_by(mut self, least: u64) -> Self {
        self.offer.deliver_by = Some(Duration::from_secs(least));
        self
    }

    fn to(mut self, recipients: &[&'static str]) -> Self {
        self.recipients = recipients.to_vec();
        self
    }

    /// Plays; each element of `script` is what the server says to one flight.
    fn play(&self, script: &[&str]) -> Played {
        let envelope = Envelope {
            deliver_by: self.deliver_by,
            mt_priority: self.mt_priority,
            ..envelope(&self.recipients)
        };
        let recipients: Vec<RecipientIndex> = (0..envelope.recipients.len())
            .map(|place| RecipientIndex(u16::try_from(place).unwrap()))
            .collect();
        let task = Task {
            envelope: &envelope,
            assurance: Assurance::Unproved,
            envelope_sender: None,
            recipients: &recipients,
            priority: Priority::Normal,
            now: NOW,
            known: &[],
            content: if self.is_streamed {
                Content::Streamed(MESSAGE.len() as u64)
            } else {
                Content::Whole(MESSAGE)
            },
        };
        self.drive(Exchange::new(task, &self.offer, self.after), script)
    }

    fn drive(&self, mut exchange: Exchange<'_>, script: &[&str]) -> Played {
        let (mut flights, mut parser) = (Vec::new(), ReplyParser::default());
        let (mut script, mut waiting) = (script.iter(), Vec::<u8>::new());
        let mut cuts = self.cuts.iter().cycle();
        loop {
            let mut out = Vec::new();
            match exchange.poll(&mut out) {
                Step::Done => {
                    let ended = exchange.finish();
                    return Played { ended, flights };
                }
                Step::Content => {
                    for octet in MESSAGE {
                        exchange.content(&[*octet], &mut out);
                    }
                    exchange.content_end(&mut out);
                }
                Step::Write { .. } => {}
                Step::Receive(_) => {
                    match parser.poll() {
                        Ok(Some(reply)) => exchange.receive(reply.response),
                        Err(error) => exchange.fail(error.into()),
                        Ok(None) if waiting.is_empty() => exchange.fail(self.end.clone()),
                        Ok(None) => {
                            let length = waiting.len().min(*cuts.next().unwrap());
                            parser.receive(&waiting.drain(..length).collect::<Vec<u8>>());
                        }
                    }
                    continue;
                }
            }
            flights.push(String::from_utf8(out).unwrap());
            waiting.extend_from_slice(script.next().copied().unwrap_or_default().as_bytes());
        }
    }
}

fn envelope(recipients: &[&str]) -> Envelope {
    let recipient = |text: &&str| Recipient::new(ForwardPath::from(Mailbox::parse(text).unwrap()));
    Envelope {
        recipients: recipients.iter().map(recipient).collect(),
        ..Envelope::new(ReversePath::Mailbox(
            Mailbox::parse("s@example.com").unwrap(),
        ))
    }
}

#[test]
fn without_extensions_it_goes_step_by_step() {
    let played = Scene::default().play(&[
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 2.0.0 taken\r\n",
    ]);
    assert_eq!(
        played.flights,
        [
            "MAIL FROM:<s@example.com>\r\n",
            "RCPT TO:<r@example.net>\r\n",
            "DATA\r\n",
            "..dot\r\nend\r\n.\r\n"
        ]
    );
    assert_eq!(played.outcomes(), ["relayed 250"]);
    assert_eq!(
        (played.ended.after, played.ended.health),
        (After::Clean, Health::Good)
    );
}

#[test]
fn with_pipelining_the_envelope_and_data_leave_together() {
    let played = Scene::pipelining().play(&["250 a\r\n250 b\r\n354 c\r\n", "250 d\r\n"]);
    assert_eq!(
        played.flights,
        [
            "MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.net>\r\nDATA\r\n",
            "..dot\r\nend\r\n.\r\n"
        ]
    );
    assert_eq!(played.outcomes(), ["relayed 250"]);
}

#[test]
fn with_chunking_a_small_message_costs_one_round_trip() {
    let played = Scene::chunking().play(&["250 a\r\n250 b\r\n250 c\r\n"]);
    assert_eq!(
        played.flights,
        ["MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.net>\r\nBDAT 11 LAST\r\n.dot\r\nend\r\n"]
    );
    assert_eq!(played.outcomes(), ["relayed 250"]);
    assert_eq!(played.ended.after, After::Clean);
}

#[test]
fn a_streamed_message_goes_by_data_even_with_chunking() {
    let scene = Scene {
        is_streamed: true,
        ..Scene::chunking()
    };
    let played = scene.play(&["250 a\r\n250 b\r\n354 c\r\n", "250 d\r\n"]);
    assert_eq!(played.flights[1], "..dot\r\nend\r\n.\r\n");
    assert_eq!(played.outcomes(), ["relayed 250"]);
}

#[test]
fn size_is_said_where_it_is_offered() {
    let mut scene = Scene::pipelining();
    scene.offer.size = Some(Size::AtMost(1));
    let played = scene.play(&["552 5.3.4 too big\r\n503 no\r\n503 no\r\n"]);
    assert!(played.flights[0].starts_with("MAIL FROM:<s@example.com> SIZE=11\r\n"));
    assert_eq!(played.outcomes(), ["rejected Sender 552"]);
}

#[test]
fn data_agreed_to_without_recipients_ends_with_a_lone_dot() {
    for answer in ["554 no recipients\r\n", "250 taken\r\n"] {
        let script = ["250 ok\r\n550 5.1.1 no\r\n354 go\r\n", answer];
        let played = Scene::pipelining().play(&script);
        assert_eq!(played.flights[1], ".\r\n");
        assert_eq!(played.outcomes(), ["rejected Recipient 550"]);
        assert_eq!(played.ended.after, After::Clean);
    }
}

#[test]
fn a_chunk_for_nobody_is_answered_for_nobody() {
    let played = Scene::chunking().play(&["250 ok\r\n550 5.1.1 no\r\n503 no valid recipients\r\n"]);
    assert_eq!(played.outcomes(), ["rejected Recipient 550"]);
    assert_eq!(played.ended.after, After::Reset);
}

#[test]
fn a_chunk_taken_for_nobody_ends_the_connection() {
    let played = Scene::chunking().play(&["250 ok\r\n550 5.1.1 no\r\n250 taken\r\n"]);
    assert_eq!(played.outcomes(), ["rejected Recipient 550"]);
    assert_eq!(played.ended.after, After::Close);
}

#[test]
fn chunking_that_is_offered_and_not_known_bounces_nothing() {
    let played = Scene::chunking().play(&["250 ok\r\n250 ok\r\n500 5.5.1 what?\r\n"]);
    assert_eq!(played.outcomes(), ["deferred Content 500"]);
    assert_eq!(played.ended.after, After::Close);
}

#[test]
fn a_transaction_after_an_open_one_begins_with_rset_in_the_same_flight() {
    let scene = Scene {
        after: After::Reset,
        ..Scene::chunking()
    };
    let played = scene.play(&["250 reset\r\n250 a\r\n250 b\r\n250 c\r\n"]);
    assert!(
        played.flights[0].starts_with("RSET\r\nMAIL FROM:"),
        "{:?}",
        played.flights
    );
    assert_eq!(played.outcomes(), ["relayed 250"]);
}

#[test]
fn two_hundred_and_fifty_to_data_relays_nothing() {
    let played = Scene::default().play(&["250 ok\r\n", "250 ok\r\n", "250 taken\r\n"]);
    assert_eq!(played.outcomes(), ["deferred Content 250"]);
    assert_eq!(played.ended.after, After::Close);
}

#[test]
fn more_is_asked_for_where_there_is_no_more() {
    let played = Scene::default().play(&["334 go on\r\n"]);
    assert_eq!(played.outcomes(), ["deferred Sender"]);
    let played = Scene::default().play(&["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "354 go\r\n"]);
    assert_eq!(played.outcomes(), ["unknown Final 354"]);
    assert_eq!(played.ended.after, After::Close);
}

#[test]
fn an_accepted_recipient_waits_when_the_upstream_closes_before_data() {
    let played = Scene::default().to(&["a@x.example", "b@x.example"]).play(&[
        "250 ok\r\n",
        "250 ok\r\n",
        "421 4.3.2 closing\r\n",
    ]);
    assert_eq!(
        played.outcomes(),
        ["deferred Recipient 421", "deferred Recipient 421"]
    );
    assert_eq!(played.ended.after, After::Close);
}

#[test]
fn only_what_ends_before_any_notice_may_begin_again() {
    assert!(Scene::chunking().play(&[""]).ended.is_stale);
    assert!(Scene::default().play(&["421 late\r\n"]).ended.is_stale);
    assert!(!Scene::default().play(&["250 ok\r\n", ""]).ended.is_stale);
    let refused = ["250 ok\r\n", "421 closing\r\n"];
    assert!(!Scene::default().play(&refused).ended.is_stale);
}

/// The dialogues up to each stage, step by step.
const STAGES: [(&str, &[&str]); 4] = [
    ("Sender", &[]),
    ("Recipient", &["250 ok\r\n"]),
    ("Content", &["250 ok\r\n", "250 ok\r\n"]),
    ("Final", &["250 ok\r\n", "250 ok\r\n", "354 go\r\n"]),
];

/// Plays up to a stage, then gives `last`.
fn at_stage(before: &[&str], last: &str, end: Break) -> Played {
    let mut script = before.to_vec();
    script.push(last);
    let scene = Scene {
        end,
        ..Scene::default()
    };
    scene.play(&script)
}

#[test]
fn a_temporary_refusal_defers_at_every_stage() {
    for (stage, before) in STAGES {
        let played = at_stage(before, "450 4.2.0 later\r\n", Break::Timeout);
        assert_eq!(played.outcomes(), [format!("deferred {stage} 450")]);
    }
}

#[test]
fn a_permanent_refusal_rejects_at_every_stage() {
    for (stage, before) in STAGES {
        let played = at_stage(before, "550 5.7.1 no\r\n", Break::Timeout);
        assert_eq!(played.outcomes(), [format!("rejected {stage} 550")]);
    }
}

#[test]
fn a_closed_connection_defers_but_is_unknown_after_the_end() {
    for (stage, before) in STAGES {
        let played = at_stage(before, "", Break::Closed("closed".into()));
        let name = if stage == "Final" {
            "unknown"
        } else {
            "deferred"
        };
        assert_eq!(played.outcomes(), [format!("{name} {stage}")]);
        assert_eq!(played.ended.after, After::Close);
    }
}

#[test]
fn silence_defers_but_is_unknown_after_the_end() {
    for (stage, before) in STAGES {
        let played = at_stage(before, "", Break::Timeout);
        let name = if stage == "Final" {
            "unknown"
        } else {
            "deferred"
        };
        assert_eq!(played.outcomes(), [format!("{name} {stage} timeout")]);
    }
}

#[test]
fn garbage_and_replies_without_end_make_the_upstream_unreachable() {
    let endless = "250-x\r\n".repeat(200);
    for (stage, before) in STAGES {
        for last in ["garbage\r\n", "25\r\n", "250-a\r\n251 b\r\n", &endless] {
            let played = at_stage(before, last, Break::Timeout);
            let name = if stage == "Final" {
                "unknown"
            } else {
                "deferred"
            };
            assert_eq!(played.outcomes(), [format!("{name} {stage}")], "{last}");
            assert_eq!(played.ended.health, Health::Unreachable);
            assert_eq!(played.ended.after, After::Close);
        }
    }
}

#[test]
fn what_was_not_written_to_its_end_is_not_unknown() {
    let envelope = envelope(&["r@example.net"]);
    let task = Task {
        envelope: &envelope,
        assurance: Assurance::Unproved,
        envelope_sender: None,
        recipients: &[RecipientIndex(0)],
        priority: Priority::Normal,
        now: NOW,
        known: &[],
        content: Content::Whole(MESSAGE),
    };
    let scene = Scene::chunking();
    let mut exchange = Exchange::new(task, &scene.offer, After::Clean);
    assert!(matches!(
        exchange.poll(&mut Vec::new()),
        Step::Write { commands: 66 }
    ));
    exchange.fail(Break::Closed("closed".into()));
    let played = Played {
        ended: exchange.finish(),
        flights: Vec::new(),
    };
    assert_eq!(played.outcomes(), ["deferred Sender"]);
}

/// One reply of any code.
fn reply() -> impl Strategy<Value = String> {
    let code = prop_oneof![
        4 => Just(250u16),
        2 => Just(354),
        1 => Just(421),
        2 => 200u16..600,
    ];
    code.prop_map(|code| format!("{code} words\r\n"))
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let cuts = proptest::collection::vec(1usize..20, 1..6);
    (flags, cuts).prop_map(
        |((pipelining, chunking, is_streamed, is_open), cuts)| Scene {
            offer: Extensions {
                chunking,
                pipelining,
                ..Extensions::default()
            },
            recipients: vec!["a@x.example", "b@x.example", "c@x.example"],
            is_streamed,
            after: if is_open { After::Reset } else { After::Clean },
            end: Break::Timeout,
            cuts,
            ..Scene::default()
        },
    )
}

/// The answers to a transaction of one recipient, step by step.
const TAKEN: [&str; 4] = ["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"];

#[test]
fn a_code_that_is_not_known_counts_by_its_first_digit() {
    let replies = [
        "210 ok\r\n",
        "251 will forward\r\n",
        "399 go\r\n",
        "299 taken\r\n",
    ];
    let played = Scene::default().play(&replies);
    assert_eq!(played.outcomes(), ["relayed 299"]);
    let refused = Scene::default().play(&["599 never\r\n"]);
    assert_eq!(refused.outcomes(), ["rejected Sender 599"]);
    let deferred = Scene::default().play(&["499 later\r\n"]);
    assert_eq!(deferred.outcomes(), ["deferred Sender 499"]);
}

#[test]
fn what_is_left_of_a_deadline_is_passed_on() {
    let scene = Scene::default().offering_deliver_by(0);
    let played = scene.clone().by(90_999, DeliverByMode::Return).play(&TAKEN);
    assert_eq!(played.flights[0], "MAIL FROM:<s@example.com> BY=90;RT\r\n");
    assert_eq!(played.outcomes(), ["relayed 250"]);
    let mut late = scene.by(0, DeliverByMode::Notify);
    late.deliver_by.as_mut().unwrap().deadline = NOW.before(Duration::from_secs(5));
    let played = late.play(&TAKEN);
    assert_eq!(played.flights[0], "MAIL FROM:<s@example.com> BY=-5;NT\r\n");
    assert_eq!(played.outcomes(), ["relayed 250"]);
}

#[test]
fn a_message_that_must_not_be_late_goes_to_no_server_that_may_be_late() {
    let lacking = |scene: Scene| {
        let played = scene.play(&TAKEN);
        assert_eq!(played.flights, [""; 0]);
        assert_eq!(played.ended.health, Health::Good);
        let Outcome::Rejected(failure) = &played.ended.outcomes[0].1 else {
            panic!("{:?}", played.outcomes());
        };
        failure.cause.to_string()
    };
    let scene = |left| Scene::default().by(left, DeliverByMode::Return);
    assert_eq!(
        lacking(scene(60_000)),
        "the upstream does not offer DELIVERBY"
    );
    assert_eq!(
        lacking(scene(60_000).offering_deliver_by(61)),
        "the upstream does not offer delivery in the time that is left"
    );
    let over = Cause::Expired.to_string();
    assert_eq!(lacking(scene(999)), over);
    assert_eq!(lacking(scene(999).offering_deliver_by(0)), over);
}

#[test]
fn a_message_whose_sender_is_only_told_goes_anywhere() {
    let played = Scene::default().by(0, DeliverByMode::Notify).play(&TAKEN);
    assert_eq!(played.flights[0], "MAIL FROM:<s@example.com>\r\n");
    assert_eq!(played.outcomes(), ["relayed 250"]);
    let scene = Scene::default().offering_deliver_by(3600);
    let played = scene.by(1000, DeliverByMode::Notify).play(&TAKEN);
    assert_eq!(played.flights[0], "MAIL FROM:<s@example.com> BY=1;NT\r\n");
}

#[test]
fn an_mt_priority_is_passed_on_as_it_was_asked_for() {
    let said = |value| {
        let mut scene = Scene::default();
        scene.offer.mt_priority = true;
        scene.mt_priority = value;
        scene.play(&TAKEN).flights[0].clone()
    };
    let mail = "MAIL FROM:<s@example.com>";
    assert_eq!(
        said(MtPriority::new(-5)),
        format!("{mail} MT-PRIORITY=-5\r\n")
    );
    assert_eq!(
        said(MtPriority::new(0)),
        format!("{mail} MT-PRIORITY=0\r\n")
    );
    assert_eq!(said(None), format!("{mail} MT-PRIORITY=0\r\n"));
}

/// Plays a transaction with another reverse-path, and returns what is sent first and who answers for reports.
fn with_envelope_sender(envelope: &Envelope, sender: &str, offer: &Extensions) -> (String, Duty) {
    let sender = Mailbox::parse(sender).unwrap();
    let task = Task {
        assurance: Assurance::Unproved,
        envelope,
        envelope_sender: Some(&sender),
        known: &[],
        recipients: &[RecipientIndex(0)],
        priority: Priority::Normal,
        now: NOW,
        content: Content::Whole(MESSAGE),
    };
    let exchange = Exchange::new(task, offer, After::Clean);
    let script = ["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n"];
    let played = Scene::default().drive(exchange, &script);
    let duty = match &played.ended.outcomes[0].1 {
        Outcome::Relayed(_, Handover::Onward { dsn, .. }) => *dsn,
        other @ (Outcome::Relayed(..)
        | Outcome::Deferred(_)
        | Outcome::Rejected(_)
        | Outcome::Unknown(_)) => panic!("{other:?}"),
    };
    (played.flights[..2].concat(), duty)
}

#[test]
fn an_envelope_sender_takes_the_place_of_the_reverse_path_and_of_wishes_for_reports() {
    let mut envelope = envelope(&["r@example.net"]);
    envelope.ret = Some(DsnReturn::Full);
    envelope.envelope_id = Some("id".into());
    envelope.recipients[0].notify = Some(Notify::NEVER);
    let offer = Extensions {
        dsn: true,
        smtputf8: true,
        ..Extensions::default()
    };
    let played = with_envelope_sender(&envelope, "bounces@example.com", &offer);
    let sent = "MAIL FROM:<bounces@example.com>\r\nRCPT TO:<r@example.net>\r\n";
    assert_eq!(played, (sent.to_owned(), Duty::Ours));
    // An international one needs what any international reverse-path does.
    let (sent, _) = with_envelope_sender(&envelope, "ü@example.com", &offer);
    assert!(
        sent.starts_with("MAIL FROM:<ü@example.com> SMTPUTF8\r\n"),
        "{sent}"
    );
}

#[test]
fn nothing_takes_the_place_of_the_null_reverse_path() {
    let mut envelope = envelope(&["r@example.net"]);
    envelope.reverse_path = ReversePath::Null;
    envelope.recipients[0].notify = Some(Notify::NEVER);
    let offer = Extensions {
        dsn: true,
        ..Extensions::default()
    };
    let played = with_envelope_sender(&envelope, "bounces@example.com", &offer);
    let sent = "MAIL FROM:<>\r\nRCPT TO:<r@example.net> NOTIFY=NEVER\r\n";
    assert_eq!(played, (sent.to_owned(), Duty::Passed));
}

proptest! {
    #[test]
    fn whatever_is_replied_every_recipient_has_one_outcome(
        scene in any_scene(),
        replies in proptest::collection::vec(reply(), 0..12),
    ) {
        let script: Vec<&str> = replies.iter().map(String::as_str).collect();
        let played = scene.play(&script);
        let indexes: Vec<u16> = played.ended.outcomes.iter().map(|(index, _)| index.0).collect();
        prop_assert_eq!(indexes, [0, 1, 2]);
    }

    #[test]
    fn the_cut_of_the_replies_does_not_matter(
        scene in any_scene(),
        replies in proptest::collection::vec(proptest::collection::vec(reply(), 1..6), 0..6),
    ) {
        let flights: Vec<String> = replies.iter().map(|flight| flight.concat()).collect();
        let script: Vec<&str> = flights.iter().map(String::as_str).collect();
        let whole = Scene { cuts: vec![usize::MAX], ..scene.clone() }.play(&script);
        let cut = scene.play(&script);
        prop_assert_eq!(cut.outcomes(), whole.outcomes());
        prop_assert_eq!(cut.flights, whole.flights);
        prop_assert_eq!(cut.ended.after, whole.ended.after);
    }

    #[test]
    fn nobody_is_relayed_to_without_a_positive_reply_to_the_end(
        scene in any_scene(),
        replies in proptest::collection::vec(reply(), 0..12),
    ) {
        let script: Vec<&str> = replies.iter().map(String::as_str).collect();
        let played = scene.play(&script);
        let is_relayed = played.outcomes().iter().any(|outcome| outcome.starts_with("relayed"));
        let is_ended = played.flights.iter().any(|flight| {
            flight.ends_with("end\r\n.\r\n") || flight.ends_with("LAST\r\n.dot\r\nend\r\n")
        });
        prop_assert!(!is_relayed || is_ended);
    }

    #[test]
    fn any_address_gives_one_line(local_part in "\"[ -!#-\\[\\]-~]{0,20}\"") {
        let address = format!("{local_part}@x.example");
        prop_assume!(Mailbox::parse(&address).is_ok());
        let envelope = envelope(&[&address]);
        let task = Task {
            envelope: &envelope,
            assurance: Assurance::Unproved,
            envelope_sender: None,
            recipients: &[RecipientIndex(0)],
            priority: Priority::Normal,
            now: NOW,
            known: &[],
            content: Content::Whole(MESSAGE),
        };
        let scene = Scene::pipelining();
        let exchange = Exchange::new(task, &scene.offer, After::Clean);
        let flights = scene.drive(exchange, &[]).flights;
        let lines: Vec<&str> = flights[0].split("\r\n").collect();
        prop_assert_eq!(lines.len(), 4);
        let path = lines[1].strip_prefix("RCPT TO:").unwrap();
        let here = crate::mail::Domain::parse("here.example").unwrap();
        let (read, rest) = ForwardPath::take(path, &here).unwrap();
        prop_assert_eq!(&read, &envelope.recipients[0].forward_path);
        prop_assert_eq!(rest, "");
    }
}
