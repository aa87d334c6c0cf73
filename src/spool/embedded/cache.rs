//! Recent messages in memory, so that one that leaves at once is never read back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::mail::QueueId;
use crate::spool::Message;

/// What of a message is in memory.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) message: Arc<Message>,
    /// Its octets, where they are not in a file of their own.
    pub(super) body: Option<Bytes>,
}

impl Cached {
    /// Returns about how many octets of memory it takes.
    fn cost(&self) -> usize {
        const MESSAGE: usize = 600;
        const RECIPIENT: usize = 200;
        let recipients = self.message.envelope.recipients.len();
        MESSAGE + RECIPIENT * recipients + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// The cache: the first in is the first out when the budget is used up.
#[derive(Debug)]
pub(super) struct Cache {
    budget: usize,
    used: usize,
    last_turn: u64,
    turns: BTreeMap<u64, QueueId>,
    messages: HashMap<QueueId, (u64, Cached)>,
}

impl Cache {
    /// Makes an empty cache for `budget` octets.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            used: 0,
            last_turn: 0,
            turns: BTreeMap::new(),
            messages: HashMap::new(),
        }
    }

    pub(super) fn get(&self, id: QueueId) -> Option<&Cached> {
        self.messages.get(&id).map(|(_, cached)| cached)
    }

    /// Adds a message, in place of older ones if need be.
    pub(super) fn put(&mut self, id: QueueId, cached: Cached) {
        self.remove(id);
        self.used += cached.cost();
        self.last_turn += 1;
        self.turns.insert(self.last_turn, id);
        self.messages.insert(id, (self.last_turn, cached));
        while self.used > self.budget
            && let Some((_, oldest)) = self.turns.first_key_value()
        {
            self.remove(*oldest);
        }
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, id: QueueId) -> Option<Cached> {
        let (turn, cached) = self.messages.remove(&id)?;
        self.turns.remove(&turn);
        self.used = self.used.saturating_sub(cached.cost());
        Some(cached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::conformance::message_to;

    fn cached(octets: usize) -> Cached {
        Cached {
            message: Arc::new(message_to(&["a@example.com"])),
            body: Some(Bytes::from(vec![0; octets])),
        }
    }

    #[test]
    fn the_oldest_give_way_when_the_budget_is_used_up() {
        let mut cache = Cache::new(3 * 2000);
        for number in 1..=4 {
            cache.put(QueueId::from_number(number), cached(1000));
        }
        assert!(cache.get(QueueId::from_number(1)).is_none());
        assert!(cache.get(QueueId::from_number(4)).is_some());
    }

    #[test]
    fn nothing_stays_counted_of_what_has_left() {
        let mut cache = Cache::new(1 << 20);
        for number in 1..=4 {
            cache.put(QueueId::from_number(number), cached(1000));
        }
        for number in 1..=4 {
            cache.remove(QueueId::from_number(number));
        }
        assert_eq!((cache.used, cache.turns.len()), (0, 0));
    }

    #[test]
    fn a_message_larger_than_the_budget_is_not_kept() {
        let mut cache = Cache::new(2000);
        cache.put(QueueId::from_number(1), cached(5000));
        assert!(cache.get(QueueId::from_number(1)).is_none());
        assert_eq!(cache.used, 0);
    }
}
