//! What the sender of a message is told of its recipients. Pure.
//!
//! Never anything of a message with a null reverse-path (RFC 5321 §6.1), and nothing that NOTIFY does not ask for
//! (RFC 3461 §5.2), but for what DELIVERBY asks for besides (RFC 2852 §4.1).

use std::collections::BTreeMap;

use crate::mail::dsn::Action;
use crate::mail::{
    Cause, Date, DeliverBy, DeliverByMode, DeliverByTrace, Duty, Failure, Handover, Recipient,
    RecipientIndex, Response, ReversePath,
};
use crate::spool::{Fate, Lease, Warned};

use super::fate::{Judgement, Verdict};

/// What is new of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct News<'a> {
    /// What its sender is told, in the order of the recipients.
    pub(super) told: Vec<(RecipientIndex, Action<'a>)>,
    /// Of what there is to warn now, whoever wants to hear it.
    pub(super) warned: Warned,
}

impl Judgement {
    /// Returns what a verdict makes known.
    pub(super) fn news<'a>(&self, lease: &'a Lease, verdict: &'a Verdict) -> News<'a> {
        let waiting = waiting(lease, verdict);
        let warned = self.warned(lease, &waiting);
        let mut told = BTreeMap::new();
        if lease.message.envelope.reverse_path != ReversePath::Null {
            told.extend(self.settled(lease, verdict));
            told.extend(self.delayed(lease, waiting, warned));
        }
        News {
            told: told.into_iter().collect(),
            warned,
        }
    }

    /// Returns of what there is to warn that has not been warned of.
    fn warned(&self, lease: &Lease, waiting: &Waiting<'_>) -> Warned {
        if waiting.is_empty() {
            return Warned::default();
        }
        Warned {
            of_delay: !lease.warned.of_delay && self.plan.is_late(lease.message.begins(), self.now),
            of_deadline: !lease.warned.of_deadline
                && self.is_past_deadline(lease, DeliverByMode::Notify),
        }
    }

    /// Returns what is told of the recipients that are done.
    fn settled<'a>(
        &self,
        lease: &'a Lease,
        verdict: &'a Verdict,
    ) -> impl Iterator<Item = (RecipientIndex, Action<'a>)> {
        let has_lapsed = self.has_lapsed(lease);
        verdict.fates.iter().filter_map(move |(index, fate)| {
            let recipient = recipient(lease, *index)?;
            let action = match fate {
                // The upstream found the time over, a moment before the clock here did.
                Fate::Bounce(failure) if failure.cause == Cause::Expired => {
                    lost(recipient, Action::Lapsed(failure))
                }
                Fate::Bounce(failure) => lost(recipient, Action::Failed(failure)),
                Fate::Expire(failure) if has_lapsed => lost(recipient, Action::Lapsed(failure)),
                Fate::Expire(failure) => lost(recipient, Action::Expired(failure)),
                Fate::Relayed(response) => {
                    let wishes = (recipient, lease.message.envelope.deliver_by);
                    let handover = verdict.handovers.iter().find(|(known, _)| known == index);
                    handover.and_then(|(_, handover)| handed_over(wishes, response, *handover))
                }
                Fate::Retry { .. } => None,
            };
            Some((*index, action?))
        })
    }

    /// Returns what is told of the recipients that wait, where there is something to warn of.
    fn delayed<'a>(
        &self,
        lease: &'a Lease,
        waiting: Waiting<'a>,
        warned: Warned,
    ) -> impl Iterator<Item = (RecipientIndex, Action<'a>)> {
        let until = Date::from(self.end(lease));
        let is_told = warned != Warned::default();
        let is_wanted = move |index| {
            is_told && recipient(lease, index).is_some_and(Recipient::wants_delay_report)
        };
        let waiting = waiting
            .into_iter()
            .filter(move |(index, _)| is_wanted(*index));
        waiting.map(move |(index, reason)| {
            let action = if warned.of_deadline {
                Action::Late { reason, until }
            } else {
                Action::Delayed { reason, until }
            };
            (index, action)
        })
    }
}

/// Recipients that are not done, each with why it was deferred the last time, if it was.
type Waiting<'a> = BTreeMap<RecipientIndex, Option<&'a Failure>>;

fn recipient(lease: &Lease, index: RecipientIndex) -> Option<&Recipient> {
    let recipients = &lease.message.envelope.recipients;
    recipients.get(usize::from(index.0))
}

/// Returns the recipients that wait after a verdict.
fn waiting<'a>(lease: &'a Lease, verdict: &'a Verdict) -> Waiting<'a> {
    let mut waiting: BTreeMap<_, _> = lease.pending.iter().map(|index| (*index, None)).collect();
    let before = lease.deferred.iter();
    waiting.extend(before.map(|(index, failure)| (*index, Some(failure))));
    for (index, fate) in &verdict.fates {
        match fate {
            Fate::Retry { reason, .. } => waiting.insert(*index, Some(reason)),
            Fate::Bounce(_) | Fate::Expire(_) | Fate::Relayed(_) => waiting.remove(index),
        };
    }
    waiting
}

fn lost<'a>(recipient: &Recipient, action: Action<'a>) -> Option<Action<'a>> {
    recipient.wants_failure_report().then_some(action)
}

/// Returns what is told of a recipient that somebody else answers for now: what nobody further on will tell.
fn handed_over<'a>(
    (recipient, deliver_by): (&Recipient, Option<DeliverBy>),
    response: &'a Response,
    handover: Handover,
) -> Option<Action<'a>> {
    let (dsn, by_duty) = match handover {
        Handover::Final => {
            let is_wanted = recipient.wants_success_report();
            return is_wanted.then_some(Action::Delivered(response));
        }
        Handover::Onward { dsn, deliver_by } => (dsn, deliver_by),
    };
    let is_confirmed = recipient.wants_success_report() && dsn == Duty::Ours;
    // RFC 2852 §4.1.4: by the trace, or where the wish to be notified ends here.
    let is_traced = deliver_by.is_some_and(|by| {
        let ends_here = by.mode == DeliverByMode::Notify && by_duty == Duty::Ours;
        by.trace == DeliverByTrace::On || ends_here
    });
    let is_wanted = is_confirmed || is_traced && !recipient.wants_silence();
    is_wanted.then_some(Action::Relayed { response, dsn })
}

#[cfg(test)]
mod tests;
