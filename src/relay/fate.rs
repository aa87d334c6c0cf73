//! From what an attempt gave to what is recorded. Pure.

use crate::clock::Timestamp;
use crate::mail::{Attempt, Cause, Failure, Health, Outcome, RecipientIndex, Stage};
use crate::schedule::{Load, Next, RetryPlan};
use crate::spool::{Fate, Lease};

/// When an attempt ended and by which rules it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) plan: RetryPlan,
    pub(super) now: Timestamp,
    /// From 0.0 to 1.0: how far within its spread the next attempt lies.
    pub(super) spread: f64,
}

/// Returns whether an attempt counts against its message.
///
/// What the upstream as a whole refuses does not: it was not reached, or did not let us in. Where it was asked about
/// this message, the message steps aside whatever the answer says of the upstream; else one that the upstream defers
/// for ever would be the first to be tried again after each pause, and stop all others.
pub(super) fn counts(attempt: &Attempt) -> bool {
    let is_own = |outcome: &Outcome| match outcome {
        Outcome::Unknown(_) => true,
        Outcome::Deferred(failure) => matches!(
            failure.stage,
            Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final
        ),
        Outcome::Rejected(_) | Outcome::Relayed(_) => false,
    };
    attempt.health == Health::Good || attempt.outcomes.iter().any(|(_, outcome)| is_own(outcome))
}

/// Returns how an attempt bore on its upstream: it strained where the upstream asked for less or later, put a whole
/// message off, was silent or broke off. A recipient that is put off alone says nothing of the upstream.
pub(super) fn load(attempt: &Attempt) -> Load {
    let is_strain = |failure: &Failure| match &failure.cause {
        Cause::Broken(_) | Cause::Timeout => true,
        Cause::Response(response) => response.code < 500 && failure.stage != Stage::Recipient,
        Cause::Capability(_) | Cause::Expired | Cause::Unusable(_) => false,
    };
    let strains = |outcome: &Outcome| match outcome {
        Outcome::Deferred(failure) | Outcome::Unknown(failure) => is_strain(failure),
        Outcome::Rejected(_) | Outcome::Relayed(_) => false,
    };
    let mut outcomes = attempt.outcomes.iter();
    if attempt.health != Health::Good || outcomes.any(|(_, outcome)| strains(outcome)) {
        Load::Strained
    } else {
        Load::Borne
    }
}

impl Judgement {
    /// Returns what becomes of each recipient of the attempt.
    pub(super) fn fates(&self, lease: &Lease, attempt: &Attempt) -> Vec<(RecipientIndex, Fate)> {
        let is_counted = counts(attempt);
        let fate = |outcome: &Outcome| match outcome {
            Outcome::Relayed(response) => Fate::Relayed(response.clone()),
            Outcome::Rejected(failure) => Fate::Bounce(failure.clone()),
            Outcome::Deferred(failure) | Outcome::Unknown(failure) => {
                self.deferred(lease, failure, is_counted)
            }
        };
        attempt
            .outcomes
            .iter()
            .map(|(index, outcome)| (*index, fate(outcome)))
            .collect()
    }

    fn deferred(&self, lease: &Lease, failure: &Failure, is_counted: bool) -> Fate {
        let begins = lease.message.begins();
        match self
            .plan
            .after_deferral(begins, lease.attempts + 1, self.now, self.spread)
        {
            Next::Expire => Fate::Expire(failure.clone()),
            // The upstream's own pause says when; the message keeps its place in the queue.
            Next::Retry { .. } if !is_counted => Fate::Retry {
                due: self.now,
                reason: failure.clone(),
            },
            Next::Retry { due } => Fate::Retry {
                due,
                reason: failure.clone(),
            },
        }
    }

    /// Returns the fates of a message that waits although its lifetime is over; none while it is not.
    pub(super) fn overdue(&self, lease: &Lease) -> Vec<(RecipientIndex, Fate)> {
        let failure = Failure::new(Stage::Connect, Cause::Expired);
        let fate = self.deferred(lease, &failure, true);
        match fate {
            Fate::Expire(_) => lease
                .pending
                .iter()
                .map(|index| (*index, fate.clone()))
                .collect(),
            Fate::Bounce(_) | Fate::Relayed(_) | Fate::Retry { .. } => Vec::new(),
        }
    }
}
