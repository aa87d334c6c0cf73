use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::identity::{Route, UpstreamName};
use crate::mail::{
    Attempt, Cause, Envelope, Health, Mailbox, Notify, Outcome, Priority, QueueId, Stage,
};
use crate::schedule::RetryPlan;
use crate::spool::Message;

const T0: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// Returns NOTIFY with these keywords.
fn notify(keywords: &str) -> Notify {
    Notify {
        success: keywords.contains("SUCCESS"),
        failure: keywords.contains("FAILURE"),
        delay: keywords.contains("DELAY"),
    }
}

/// A lease of a message with one recipient for each wish, all of them due.
fn lease(wishes: &[Option<Notify>]) -> Lease {
    let mailbox = |text: &str| Mailbox::parse(text).unwrap();
    let recipient = |notify: &Option<Notify>| Recipient {
        notify: *notify,
        ..Recipient::new(mailbox("you@there.example").into())
    };
    let envelope = Envelope {
        recipients: wishes.iter().map(recipient).collect(),
        ..Envelope::new(ReversePath::Mailbox(mailbox("me@own.example")))
    };
    let message = Message {
        envelope,
        account: None,
        tenant: None,
        route: Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap(),
        priority: Priority::Normal,
        accepted: T0,
        due: T0,
        peer: None,
        message_id: None,
        held: None,
    };
    Lease {
        id: QueueId::from_number(7),
        message: Arc::new(message),
        size: 1,
        pending: (0..).map(RecipientIndex).take(wishes.len()).collect(),
        attempts: 0,
        deferred: Vec::new(),
        has_more: false,
        warned: Warned::default(),
        untold: Vec::new(),
        until: T0,
        token: 1,
    }
}

fn with_deadline(mut lease: Lease, mode: DeliverByMode, trace: DeliverByTrace) -> Lease {
    let message = Arc::make_mut(&mut lease.message);
    message.envelope.deliver_by = Some(DeliverBy {
        deadline: T0.after(Duration::from_mins(30)),
        mode,
        trace,
    });
    lease
}

fn response(code: u16) -> Response {
    Response {
        code,
        status: None,
        text: "words".into(),
    }
}

fn failure(code: u16) -> Failure {
    Failure::new(Stage::Recipient, Cause::Response(response(code)))
}

fn judgement(since: Duration) -> Judgement {
    Judgement {
        plan: RetryPlan::default(),
        now: T0.after(since),
        stood: Duration::ZERO,
        spread: 0.0,
    }
}

/// Judges an attempt that gave these outcomes; returns what is told of whom, in short, and what has been warned of.
fn told(
    lease: &Lease,
    since: Duration,
    outcomes: impl IntoIterator<Item = Outcome>,
) -> (Vec<String>, Warned) {
    let attempt = Attempt {
        outcomes: (0..).map(RecipientIndex).zip(outcomes).collect(),
        health: Health::Good,
        host: None,
        via: None,
    };
    let judgement = judgement(since);
    let verdict = judgement.verdict(lease, attempt);
    let news = judgement.news(lease, &verdict);
    let short = |(index, action): &(RecipientIndex, Action<'_>)| {
        let action = format!("{action:?}");
        let name: String = action.chars().take_while(|c| c.is_alphabetic()).collect();
        format!("{} {name}", index.0)
    };
    (news.told.iter().map(short).collect(), news.warned)
}

fn relayed(dsn: Duty, deliver_by: Duty) -> Outcome {
    Outcome::Relayed(response(250), Handover::Onward { dsn, deliver_by })
}

const NEVER: Option<Notify> = Some(Notify::NEVER);
const HOUR: Duration = Duration::from_hours(1);
const OF_DELAY: Warned = Warned {
    of_delay: true,
    of_deadline: false,
};
const OF_DEADLINE: Warned = Warned {
    of_delay: false,
    of_deadline: true,
};

#[test]
fn a_failure_is_told_unless_notify_leaves_it_out() {
    let lease = lease(&[
        None,
        NEVER,
        Some(notify("SUCCESS,DELAY")),
        Some(notify("FAILURE")),
    ]);
    let rejected = [550; 4].map(|code| Outcome::Rejected(failure(code)));
    let (told, _) = told(&lease, HOUR, rejected);
    assert_eq!(told, ["0 Failed", "3 Failed"]);
}

#[test]
fn a_handover_is_told_where_it_is_asked_for_and_the_upstream_will_not() {
    let success = Some(notify("SUCCESS"));
    let lease = lease(&[None, NEVER, success, success]);
    let (told, _) = told(
        &lease,
        HOUR,
        [
            relayed(Duty::Ours, Duty::Ours),
            relayed(Duty::Ours, Duty::Ours),
            relayed(Duty::Ours, Duty::Ours),
            relayed(Duty::Passed, Duty::Ours),
        ],
    );
    assert_eq!(told, ["2 Relayed"]);
}

#[test]
fn what_stays_where_it_was_put_is_delivered() {
    let lease = lease(&[None, Some(notify("SUCCESS,FAILURE"))]);
    let kept = [250; 2].map(|code| Outcome::Relayed(response(code), Handover::Final));
    assert_eq!(told(&lease, HOUR, kept).0, ["1 Delivered"]);
}

#[test]
fn one_report_tells_of_all_recipients_of_an_attempt() {
    let success = Some(notify("SUCCESS,FAILURE"));
    let lease = lease(&[success, success, None]);
    let outcomes = [
        relayed(Duty::Ours, Duty::Ours),
        Outcome::Rejected(failure(550)),
        Outcome::Deferred(failure(450)),
    ];
    let (told, warned) = told(&lease, 4 * HOUR, outcomes);
    assert_eq!(told, ["0 Relayed", "1 Failed", "2 Delayed"]);
    assert_eq!(warned, OF_DELAY);
}

#[test]
fn a_delay_is_told_once_to_those_who_want_it() {
    let delay = Some(notify("DELAY"));
    let mut lease = lease(&[None, NEVER, delay, Some(notify("SUCCESS,FAILURE"))]);
    let deferred = || [450; 4].map(|code| Outcome::Deferred(failure(code)));
    let just_before = Duration::from_millis(4 * 3_600_000 - 1);
    let nothing = (Vec::new(), Warned::default());
    assert_eq!(told(&lease, just_before, deferred()), nothing);
    let (now, warned) = told(&lease, 4 * HOUR, deferred());
    assert_eq!(now, ["0 Delayed", "2 Delayed"]);
    lease.warned = warned;
    assert_eq!(told(&lease, 5 * HOUR, deferred()), nothing);
}

#[test]
fn what_nobody_wants_to_hear_is_looked_at_once_too() {
    let lease = lease(&[NEVER]);
    let deferred = [Outcome::Deferred(failure(450))];
    assert_eq!(told(&lease, 4 * HOUR, deferred), (Vec::new(), OF_DELAY));
}

#[test]
fn a_message_that_was_scheduled_is_late_from_its_time_on() {
    let mut lease = lease(&[None]);
    Arc::make_mut(&mut lease.message).due = T0.after(HOUR);
    let deferred = || [Outcome::Deferred(failure(450))];
    assert_eq!(told(&lease, 4 * HOUR, deferred()).1, Warned::default());
    assert_eq!(told(&lease, 5 * HOUR, deferred()).1, OF_DELAY);
}

#[test]
fn nothing_is_told_of_a_message_without_a_sender() {
    let mut lease = lease(&[None, Some(notify("SUCCESS,FAILURE,DELAY")), None]);
    Arc::make_mut(&mut lease.message).envelope.reverse_path = ReversePath::Null;
    let outcomes = [
        Outcome::Rejected(failure(550)),
        relayed(Duty::Ours, Duty::Ours),
        Outcome::Deferred(failure(450)),
    ];
    assert_eq!(told(&lease, 4 * HOUR, outcomes), (Vec::new(), OF_DELAY));
}

#[test]
fn a_warning_names_all_who_wait_with_what_was_said_of_each() {
    let mut lease = lease(&[None, None, None]);
    lease.pending = vec![RecipientIndex(0), RecipientIndex(2)];
    lease.deferred = vec![
        (RecipientIndex(0), failure(450)),
        (RecipientIndex(1), failure(451)),
    ];
    let (judgement, verdict) = (judgement(4 * HOUR), Verdict::default());
    let news = judgement.news(&lease, &verdict);
    let until = Date::from(T0.after(120 * HOUR));
    let (first, second) = (failure(450), failure(451));
    let delayed = |reason| Action::Delayed { reason, until };
    assert_eq!(
        news.told,
        [
            (RecipientIndex(0), delayed(Some(&first))),
            (RecipientIndex(1), delayed(Some(&second))),
            (RecipientIndex(2), delayed(None)),
        ]
    );
}

#[test]
fn a_trace_tells_of_every_handover_but_never() {
    let lease = lease(&[None, NEVER, Some(notify("FAILURE"))]);
    let lease = with_deadline(lease, DeliverByMode::Return, DeliverByTrace::On);
    let outcomes = [0; 3].map(|_| relayed(Duty::Passed, Duty::Passed));
    let (told, _) = told(&lease, Duration::ZERO, outcomes);
    assert_eq!(told, ["0 Relayed", "2 Relayed"]);
}

#[test]
fn a_wish_to_be_notified_that_ends_here_is_told_of() {
    let lease = lease(&[None, NEVER, None]);
    let lease = with_deadline(lease, DeliverByMode::Notify, DeliverByTrace::Off);
    let outcomes = [
        relayed(Duty::Passed, Duty::Ours),
        relayed(Duty::Passed, Duty::Ours),
        relayed(Duty::Passed, Duty::Passed),
    ];
    let (told, _) = told(&lease, Duration::ZERO, outcomes);
    assert_eq!(told, ["0 Relayed"]);
}

#[test]
fn a_deadline_to_notify_at_is_told_once_and_the_message_goes_on() {
    let lease = lease(&[None, NEVER]);
    let mut lease = with_deadline(lease, DeliverByMode::Notify, DeliverByTrace::Off);
    let deferred = || [450; 2].map(|code| Outcome::Deferred(failure(code)));
    let (before, warned) = told(&lease, Duration::from_mins(29), deferred());
    assert_eq!((before, warned), (Vec::new(), Warned::default()));
    let (then, warned) = told(&lease, Duration::from_mins(30), deferred());
    assert_eq!(then, ["0 Late"]);
    assert_eq!(warned, OF_DEADLINE);
    lease.warned = warned;
    let (again, warned) = told(&lease, 4 * HOUR, deferred());
    assert_eq!((again, warned), (vec!["0 Delayed".to_owned()], OF_DELAY));
}

#[test]
fn a_message_to_be_returned_is_told_of_when_its_deadline_has_passed() {
    let lease = lease(&[None, NEVER]);
    let lease = with_deadline(lease, DeliverByMode::Return, DeliverByTrace::Off);
    let deferred = || [450; 2].map(|code| Outcome::Deferred(failure(code)));
    assert_eq!(
        told(&lease, Duration::from_mins(29), deferred()),
        (Vec::new(), Warned::default())
    );
    assert_eq!(
        told(&lease, Duration::from_mins(30), deferred()).0,
        ["0 Lapsed"]
    );
}
