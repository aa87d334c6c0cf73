//! The times of a message that the index knows, and the deadlines that somebody has to look after.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::mail::QueueId;

use super::Message;

/// When a message begins to wait, and by when it is to be delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Times {
    /// When its lifetime begins: see [`Message::begins`].
    pub(super) begins: Timestamp,
    /// Whether that is later than its acceptance because its sender wants it so.
    pub(super) is_scheduled: bool,
    /// Its deadline (RFC 2852), if it has one.
    pub(super) deadline: Option<Timestamp>,
}

impl Times {
    pub(super) fn of(message: &Message) -> Self {
        let deliver_by = message.envelope.deliver_by;
        Self::new(
            message.accepted,
            message.due,
            deliver_by.map(|by| by.deadline),
        )
    }

    pub(super) fn new(accepted: Timestamp, due: Timestamp, deadline: Option<Timestamp>) -> Self {
        Self {
            begins: accepted.max(due),
            is_scheduled: due > accepted,
            deadline,
        }
    }
}

/// The deadlines that have not been looked after.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    by_time: BTreeSet<(Timestamp, QueueId)>,
    by_id: BTreeMap<QueueId, Timestamp>,
}

impl Deadlines {
    pub(super) fn insert(&mut self, id: QueueId, deadline: Timestamp) {
        self.remove(id);
        self.by_id.insert(id, deadline);
        self.by_time.insert((deadline, id));
    }

    pub(super) fn remove(&mut self, id: QueueId) {
        if let Some(deadline) = self.by_id.remove(&id) {
            self.by_time.remove(&(deadline, id));
        }
    }

    pub(super) fn of(&self, id: QueueId) -> Option<Timestamp> {
        self.by_id.get(&id).copied()
    }

    /// Returns the messages whose deadlines have passed, the earliest first.
    pub(super) fn passed(&self, now: Timestamp) -> impl Iterator<Item = QueueId> {
        let by_time = self.by_time.iter();
        let passed = by_time.take_while(move |(deadline, _)| *deadline <= now);
        passed.map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass_in_their_order_and_are_forgotten() {
        let mut deadlines = Deadlines::default();
        let (at, id) = (Timestamp::from_unix_millis, QueueId::from_number);
        deadlines.insert(id(1), at(30));
        deadlines.insert(id(2), at(20));
        deadlines.insert(id(3), at(40));
        assert_eq!(deadlines.passed(at(30)).collect::<Vec<_>>(), [id(2), id(1)]);
        deadlines.remove(id(2));
        assert_eq!(deadlines.passed(at(30)).collect::<Vec<_>>(), [id(1)]);
        assert_eq!(deadlines.of(id(3)), Some(at(40)));
    }
}
