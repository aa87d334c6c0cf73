use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::identity::{Route, UpstreamName};
use crate::mail::{
    DeliverBy, DeliverByTrace, Envelope, Mailbox, Priority, QueueId, Recipient, ReversePath,
};
use crate::spool::{Message, Warned};

const T0: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A lease of a message with one recipient, and with a deadline of this mode after half an hour.
fn lease(mode: Option<DeliverByMode>) -> Lease {
    let mailbox = Mailbox::parse("you@there.example").unwrap();
    let envelope = Envelope {
        deliver_by: mode.map(|mode| DeliverBy {
            deadline: after(30),
            mode,
            trace: DeliverByTrace::Off,
        }),
        recipients: vec![Recipient::new(mailbox.into())],
        ..Envelope::new(ReversePath::Null)
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
        pending: vec![RecipientIndex(0)],
        attempts: 5,
        deferred: Vec::new(),
        has_more: false,
        warned: Warned::default(),
        untold: Vec::new(),
        until: T0,
        token: 1,
    }
}

fn after(minutes: u64) -> Timestamp {
    T0.after(Duration::from_mins(minutes))
}

fn at(now: Timestamp) -> Judgement {
    Judgement {
        plan: RetryPlan::default(),
        now,
        stood: Duration::ZERO,
        spread: 0.0,
    }
}

fn timeout(stage: Stage) -> Failure {
    Failure::new(stage, Cause::Timeout)
}

/// Returns the fate of the one recipient, deferred at this stage.
fn fate_of_deferral(lease: &Lease, now: Timestamp, stage: Stage, health: Health) -> Fate {
    let attempt = Attempt {
        outcomes: vec![(RecipientIndex(0), Outcome::Deferred(timeout(stage)))],
        health,
        host: None,
        via: None,
    };
    at(now).verdict(lease, attempt).fates.remove(0).1
}

fn due(fate: &Fate) -> Timestamp {
    match fate {
        Fate::Retry { due, .. } => *due,
        Fate::Bounce(_) | Fate::Expire(_) | Fate::Relayed(_) => panic!("{fate:?}"),
    }
}

#[test]
fn a_retry_past_the_deadline_is_due_at_the_deadline() {
    for mode in [DeliverByMode::Notify, DeliverByMode::Return] {
        let lease = lease(Some(mode));
        let fate = fate_of_deferral(&lease, after(5), Stage::Recipient, Health::Good);
        assert_eq!(due(&fate), after(30));
    }
}

#[test]
fn without_a_deadline_the_plan_decides() {
    let fate = fate_of_deferral(&lease(None), after(5), Stage::Recipient, Health::Good);
    assert_eq!(due(&fate), after(5 + 32));
}

#[test]
fn a_deadline_that_has_passed_ends_what_is_to_be_returned_and_nothing_else() {
    let fate = |mode| {
        let lease = lease(Some(mode));
        fate_of_deferral(&lease, after(30), Stage::Recipient, Health::Good)
    };
    let expired = Fate::Expire(timeout(Stage::Recipient));
    assert_eq!(fate(DeliverByMode::Return), expired);
    assert_eq!(due(&fate(DeliverByMode::Notify)), after(30 + 32));
}

#[test]
fn what_the_upstream_as_a_whole_refuses_keeps_the_place_of_the_message() {
    let lease = lease(Some(DeliverByMode::Return));
    let fate = fate_of_deferral(&lease, after(5), Stage::Connect, Health::Unreachable);
    assert_eq!(due(&fate), after(5));
}

#[test]
fn what_waits_past_its_deadline_is_over_with_the_last_reason() {
    let mut lease = lease(Some(DeliverByMode::Return));
    assert_eq!(at(after(29)).overdue(&lease), None);
    let verdict = at(after(30)).overdue(&lease).unwrap();
    let unknown = Failure::new(Stage::Connect, Cause::Expired);
    assert_eq!(verdict.fates, [(RecipientIndex(0), Fate::Expire(unknown))]);
    lease.deferred = vec![(RecipientIndex(0), timeout(Stage::Final))];
    let verdict = at(after(30)).overdue(&lease).unwrap();
    let known = Fate::Expire(timeout(Stage::Final));
    assert_eq!(verdict.fates, [(RecipientIndex(0), known)]);
    assert_eq!(verdict.attempted, []);
}

#[test]
fn what_waits_is_over_at_the_end_of_its_lifetime() {
    let end = T0.after(RetryPlan::default().lifetime());
    let just_before = Timestamp::from_unix_millis(end.unix_millis() - 1);
    for mode in [None, Some(DeliverByMode::Notify)] {
        assert_eq!(at(just_before).overdue(&lease(mode)), None);
        assert!(at(end).overdue(&lease(mode)).is_some());
    }
}
