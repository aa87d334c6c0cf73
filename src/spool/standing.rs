//! How far a message has come: which recipients wait, until when, after how many attempts.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::identity::Route;
use crate::mail::{Cause, Failure, RecipientIndex};

use super::{Fate, Message, Settlement, Untold, Warned};

/// What is known of a message beyond what was committed. Stored whole whenever it changes, so that the last record
/// of a message says all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    /// Whether it waits for an operator.
    pub(super) is_held: bool,
    /// What its sender has been told while it waits.
    pub(super) warned: Warned,
    /// Of whom its sender is still to be told.
    pub(super) untold: Box<[Untold]>,
    /// The route that an operator has given it, which is stronger than its account's.
    pub(super) route: Option<Route>,
    /// Those that are not done.
    pub(super) recipients: Recipients,
}

/// The recipients that are not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Recipients {
    /// Nothing has become of any of them yet, and all are due together.
    All { count: u16, due: Timestamp },
    /// These.
    Some(Box<[Waiting]>),
}

/// One recipient that is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Waiting {
    pub(super) index: RecipientIndex,
    /// How many attempts have counted against it.
    pub(super) attempts: u32,
    /// When it may be attempted.
    pub(super) due: Timestamp,
    /// Why it was deferred, if it was.
    pub(super) reason: Option<Failure>,
}

impl Recipients {
    fn to_waiting(&self) -> Vec<Waiting> {
        match self {
            Self::All { count, due } => (0..*count)
                .map(|index| Waiting {
                    index: RecipientIndex(index),
                    attempts: 0,
                    due: *due,
                    reason: None,
                })
                .collect(),
            Self::Some(waiting) => waiting.to_vec(),
        }
    }
}

impl Standing {
    /// Makes the standing of a message that is stored now.
    pub(super) fn of(message: &Message) -> Self {
        let fresh = Self::fresh(message.envelope.recipients.len(), message.due);
        fresh.with_hold(message.held.is_some())
    }

    /// Makes the standing of a message that nothing has happened to.
    pub(super) fn fresh(recipients: usize, due: Timestamp) -> Self {
        let count = u16::try_from(recipients).unwrap_or(u16::MAX);
        Self {
            is_held: false,
            warned: Warned::default(),
            untold: Box::default(),
            route: None,
            recipients: Recipients::All { count, due },
        }
    }

    /// Returns how many attempts have counted against any of its recipients.
    pub(super) fn attempts(&self) -> u32 {
        match &self.recipients {
            Recipients::All { .. } => 0,
            Recipients::Some(waiting) => {
                let attempts = waiting.iter().map(|waiting| waiting.attempts);
                attempts.max().unwrap_or_default()
            }
        }
    }

    /// Returns how many attempts have counted against any of these recipients, which are in order.
    pub(super) fn attempts_of(&self, recipients: &[RecipientIndex]) -> u32 {
        let Recipients::Some(waiting) = &self.recipients else {
            return 0;
        };
        let meant = waiting
            .iter()
            .filter(|waiting| recipients.binary_search(&waiting.index).is_ok());
        meant
            .map(|waiting| waiting.attempts)
            .max()
            .unwrap_or_default()
    }

    /// Returns when the first recipient is due.
    pub(super) fn due(&self) -> Timestamp {
        match &self.recipients {
            Recipients::All { due, .. } => *due,
            Recipients::Some(waiting) => waiting
                .iter()
                .map(|waiting| waiting.due)
                .min()
                .unwrap_or(Timestamp::MAX),
        }
    }

    /// Returns whether all recipients that are not done are due.
    pub(super) fn is_due_by(&self, now: Timestamp) -> bool {
        match &self.recipients {
            Recipients::All { due, .. } => *due <= now,
            Recipients::Some(waiting) => waiting.iter().all(|waiting| waiting.due <= now),
        }
    }

    /// Returns how many recipients are due.
    pub(super) fn count_due_by(&self, now: Timestamp) -> usize {
        match &self.recipients {
            Recipients::All { count, .. } => usize::from(*count),
            Recipients::Some(waiting) => {
                let due = waiting.iter().filter(|waiting| waiting.due <= now);
                due.count()
            }
        }
    }

    /// Returns the recipients that are due, so many at most.
    pub(super) fn due_by(&self, now: Timestamp, at_most: usize) -> Vec<RecipientIndex> {
        match &self.recipients {
            Recipients::All { count, .. } => {
                (0..*count).map(RecipientIndex).take(at_most).collect()
            }
            Recipients::Some(waiting) => waiting
                .iter()
                .filter(|waiting| waiting.due <= now)
                .map(|waiting| waiting.index)
                .take(at_most)
                .collect(),
        }
    }

    /// Returns the recipients that are not done, each with the reason of its last deferral.
    pub(super) fn reasons(&self) -> Vec<(RecipientIndex, Option<Failure>)> {
        self.recipients
            .to_waiting()
            .into_iter()
            .map(|waiting| (waiting.index, waiting.reason))
            .collect()
    }

    /// Returns the recipients that were deferred before, each with the reason of the last time.
    pub(super) fn deferred(&self) -> Vec<(RecipientIndex, Failure)> {
        match &self.recipients {
            Recipients::All { .. } => Vec::new(),
            Recipients::Some(waiting) => waiting
                .iter()
                .filter_map(|waiting| Some((waiting.index, waiting.reason.clone()?)))
                .collect(),
        }
    }

    /// Returns the standing after a settlement, or `None` when no recipient is left.
    pub(super) fn after(&self, settlement: &Settlement) -> Option<Self> {
        let warned = self.warned.or(settlement.warned);
        if settlement.fates.is_empty() {
            return Some(Self {
                warned,
                untold: settlement.untold.clone().into(),
                ..self.clone()
            });
        }
        let fates: BTreeMap<_, _> = settlement
            .fates
            .iter()
            .map(|(index, fate)| (*index, fate))
            .collect();
        let mut waiting = self.recipients.to_waiting();
        waiting.retain_mut(|waiting| match fates.get(&waiting.index) {
            Some(Fate::Relayed(_) | Fate::Bounce(_) | Fate::Expire(_)) => false,
            Some(Fate::Retry { due, reason }) => {
                let counted = u32::from(settlement.counts);
                waiting.attempts = waiting.attempts.saturating_add(counted);
                waiting.due = *due;
                waiting.reason = Some(reason.clone());
                true
            }
            None => {
                if settlement.lease.pending.contains(&waiting.index) {
                    waiting.due = settlement.lease.until;
                }
                true
            }
        });
        debug_assert!(
            !waiting.is_empty() || settlement.untold.is_empty(),
            "what is untold goes with the last recipient"
        );
        (!waiting.is_empty()).then(|| Self {
            is_held: self.is_held,
            warned,
            untold: settlement.untold.clone().into(),
            route: self.route.clone(),
            recipients: Recipients::Some(waiting.into()),
        })
    }

    /// Returns about how many octets of memory it takes beyond what every message does.
    pub(super) fn memory(&self) -> u64 {
        let reason = |failure: &Failure| match &failure.cause {
            Cause::Broken(text) => text.len(),
            Cause::Unusable(unusable) => unusable.text.len(),
            Cause::Response(response) => response.text.len(),
            Cause::Capability(_) | Cause::Expired | Cause::Timeout => 0,
        };
        let waiting = match &self.recipients {
            Recipients::All { .. } => 0,
            Recipients::Some(waiting) => {
                let reasons = waiting.iter().filter_map(|waiting| waiting.reason.as_ref());
                size_of_val::<[Waiting]>(waiting) + reasons.map(reason).sum::<usize>()
            }
        };
        (waiting + size_of_val::<[Untold]>(&self.untold)) as u64
    }

    /// Returns the same standing with all recipients due `now`.
    pub(super) fn due_at_once(&self, now: Timestamp) -> Self {
        let recipients = match &self.recipients {
            Recipients::All { count, .. } => Recipients::All {
                count: *count,
                due: now,
            },
            Recipients::Some(waiting) => Recipients::Some(
                waiting
                    .iter()
                    .map(|waiting| Waiting {
                        due: now,
                        ..waiting.clone()
                    })
                    .collect(),
            ),
        };
        Self {
            recipients,
            ..self.clone()
        }
    }

    /// Returns whether somebody was deferred with this in the reason. The text is in lower case.
    pub(super) fn has_reason_with(&self, text: &str) -> bool {
        match &self.recipients {
            Recipients::All { .. } => false,
            Recipients::Some(waiting) => waiting
                .iter()
                .filter_map(|waiting| waiting.reason.as_ref())
                .any(|reason| reason.to_string().to_lowercase().contains(text)),
        }
    }

    /// Returns the same standing with an operator's route, or without one.
    pub(super) fn with_route(&self, route: Option<Route>) -> Self {
        Self {
            route,
            ..self.clone()
        }
    }

    /// Returns the same standing, held or not.
    pub(super) fn with_hold(&self, is_held: bool) -> Self {
        Self {
            is_held,
            ..self.clone()
        }
    }
}
