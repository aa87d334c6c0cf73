//! From what an attempt gave to what is recorded. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::{
    Attempt, Cause, DeliverByMode, Failure, Handover, Health, Outcome, RecipientIndex, Stage,
};
use crate::schedule::{Load, Next, RetryPlan};
use crate::spool::{Fate, Lease, Untold};

use super::news::News;

/// When an attempt ended and by which rules it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) plan: RetryPlan,
    pub(super) now: Timestamp,
    /// How much of the message's time did not count, since its upstreams were parked.
    pub(super) stood: Duration,
    /// From 0.0 to 1.0: how far within its spread the next attempt lies.
    pub(super) spread: f64,
}

/// What becomes of a message's recipients. Empty where nothing does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) fates: Vec<(RecipientIndex, Fate)>,
    /// Whether the attempt counts against the message.
    pub(super) counts: bool,
    /// How those were taken over that are relayed.
    pub(super) handovers: Vec<(RecipientIndex, Handover)>,
    /// The recipients that were attempted just now.
    pub(super) attempted: Vec<RecipientIndex>,
    /// The host that was spoken to, if one was.
    pub(super) host: Option<Box<str>>,
}

impl Verdict {
    /// Returns the verdict over recipients that were not attempted.
    pub(super) fn unattempted(fates: Vec<(RecipientIndex, Fate)>) -> Self {
        Self {
            fates,
            ..Self::default()
        }
    }
}

impl Verdict {
    /// Returns this verdict with what became of recipients before it, and was not told.
    pub(super) fn after(mut self, untold: &[Untold]) -> Self {
        for untold in untold {
            self.fates.push((untold.index, untold.fate.clone()));
            let handover = untold.handover.map(|handover| (untold.index, handover));
            self.handovers.extend(handover);
        }
        self
    }

    /// Returns what is news of recipients that are done, to be told later.
    pub(super) fn untold(&self, news: &News<'_>) -> Vec<Untold> {
        let told = |index| news.told.iter().any(|(known, _)| *known == index);
        let is_done = |fate: &Fate| !matches!(fate, Fate::Retry { .. });
        let fates = self.fates.iter();
        let untold = fates.filter(|(index, fate)| is_done(fate) && told(*index));
        untold
            .map(|(index, fate)| Untold {
                index: *index,
                fate: fate.clone(),
                handover: self
                    .handovers
                    .iter()
                    .find(|(known, _)| known == index)
                    .map(|(_, handover)| *handover),
            })
            .collect()
    }
}

/// Returns whether an attempt counts against its message.
///
/// What the upstream as a whole refuses does not: it was not reached, or did not let us in. Where it was asked about
/// this message, the message steps aside whatever the answer says of the upstream; else one that the upstream defers
/// for ever would be the first to be tried again after each pause, and stop all others.
fn counts(attempt: &Attempt) -> bool {
    let is_own = |outcome: &Outcome| match outcome {
        Outcome::Unknown(_) => true,
        Outcome::Deferred(failure) => matches!(
            failure.stage,
            Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final
        ),
        Outcome::Rejected(_) | Outcome::Relayed(..) => false,
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
        Outcome::Rejected(_) | Outcome::Relayed(..) => false,
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
    pub(super) fn verdict(&self, lease: &Lease, attempt: Attempt) -> Verdict {
        let mut verdict = Verdict {
            counts: counts(&attempt),
            host: attempt.host,
            ..Verdict::default()
        };
        for (index, outcome) in attempt.outcomes {
            let fate = match outcome {
                Outcome::Relayed(response, handover) => {
                    verdict.handovers.push((index, handover));
                    Fate::Relayed(response)
                }
                Outcome::Rejected(failure) => Fate::Bounce(failure),
                Outcome::Deferred(failure) | Outcome::Unknown(failure) => {
                    self.deferred(lease, failure, verdict.counts)
                }
            };
            verdict.attempted.push(index);
            verdict.fates.push((index, fate));
        }
        verdict
    }

    fn deferred(&self, lease: &Lease, failure: Failure, is_counted: bool) -> Fate {
        if self.has_lapsed(lease) {
            return Fate::Expire(failure);
        }
        let begins = self.begins(lease);
        let next = self
            .plan
            .after_deferral(begins, lease.attempts + 1, self.now, self.spread);
        match next {
            Next::Expire => Fate::Expire(failure),
            // The upstream's own pause says when; the message keeps its place in the queue.
            Next::Retry { .. } if !is_counted => Fate::Retry {
                due: self.now,
                reason: failure,
            },
            Next::Retry { due } => Fate::Retry {
                due: self.by_deadline(lease, due),
                reason: failure,
            },
        }
    }

    /// Returns the verdict over a message that waits although its lifetime or its deadline is over; `None` while neither
    /// is.
    pub(super) fn overdue(&self, lease: &Lease) -> Option<Verdict> {
        let is_over = self.has_lapsed(lease) || self.now >= self.end(lease);
        if !is_over {
            return None;
        }
        let reason = |index: &RecipientIndex| {
            let known = lease.deferred.iter().find(|(known, _)| known == index);
            known.map_or_else(
                || Failure::new(Stage::Connect, Cause::Expired),
                |(_, failure)| failure.clone(),
            )
        };
        let fates = lease.pending.iter();
        let fates = fates.map(|index| (*index, Fate::Expire(reason(index))));
        Some(Verdict::unattempted(fates.collect()))
    }

    /// Returns when the lifetime of a message ends: later by as much as it stood still.
    pub(super) fn end(&self, lease: &Lease) -> Timestamp {
        self.plan.end(self.begins(lease))
    }

    /// Returns since when a message would have lived had its lifetime never stood still.
    fn begins(&self, lease: &Lease) -> Timestamp {
        lease.message.begins().after(self.stood)
    }

    /// Returns whether a message must not be relayed any more: its deadline is over, and it was to be returned then
    /// (RFC 2852 §4.1).
    pub(super) fn has_lapsed(&self, lease: &Lease) -> bool {
        self.is_past_deadline(lease, DeliverByMode::Return)
    }

    /// Returns whether the deadline of a message is over, if it has one of this mode.
    pub(super) fn is_past_deadline(&self, lease: &Lease, mode: DeliverByMode) -> bool {
        let deliver_by = lease.message.envelope.deliver_by;
        deliver_by.is_some_and(|by| by.mode == mode && by.deadline <= self.now)
    }

    /// Returns the due time, or the deadline where that comes first: the last moment that counts is not missed, and its
    /// sender hears of it then.
    fn by_deadline(&self, lease: &Lease, due: Timestamp) -> Timestamp {
        let deliver_by = lease.message.envelope.deliver_by;
        let deadline = deliver_by.map(|by| by.deadline);
        let deadline = deadline.filter(|deadline| *deadline > self.now);
        deadline.map_or(due, |deadline| due.min(deadline))
    }
}

#[cfg(test)]
mod tests;
