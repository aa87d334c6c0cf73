//! Who is next among those that share something: start-time fair queuing.
//!
//! Every flow has a tag, the virtual time at which its next message begins; a message moves its flow's tag on by its
//! cost. The flow with the smallest tag is next, and the virtual clock stands at the tag of the flow served last. A flow
//! that begins to wait enters at the clock: it owes nothing for the time before, and has saved nothing up. So flows that
//! wait all the time get equal shares by cost, and one that wants little gets it at once, whatever the others have
//! waiting (Goyal, Vin, Cheng: *Start-time Fair Queueing*, 1996). `docs/scheduling.md` says why this and not deficit
//! round robin.

use std::collections::{BTreeMap, BTreeSet};

/// A fair order between flows, each named by a key.
///
/// Takes memory for the flows that wait, and for those that have lately had more than their share.
#[derive(Clone, Debug)]
pub struct Fair<K> {
    /// The virtual time: the tag of the flow served last, in units of cost.
    clock: u64,
    /// Flows that wait or are ahead of the clock.
    flows: BTreeMap<K, Flow>,
    /// Those that wait, in the order they are served: by tag, then by when they began to wait.
    waiting: BTreeSet<(u64, u64, K)>,
    /// The others, by tag.
    resting: BTreeSet<(u64, K)>,
    last_turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    tag: u64,
    /// When it began to wait; `None` while it does not.
    turn: Option<u64>,
}

impl<K> Default for Fair<K> {
    fn default() -> Self {
        Self {
            clock: 0,
            flows: BTreeMap::new(),
            waiting: BTreeSet::new(),
            resting: BTreeSet::new(),
            last_turn: 0,
        }
    }
}

impl<K: Copy + Ord> Fair<K> {
    /// Lets a flow wait. Nothing happens where it does already.
    pub fn enter(&mut self, key: K) {
        let tag = self.tag(key);
        let flow = self.flows.entry(key).or_insert(Flow { tag, turn: None });
        if flow.turn.is_some() {
            return;
        }
        self.resting.remove(&(flow.tag, key));
        self.last_turn += 1;
        *flow = Flow {
            tag,
            turn: Some(self.last_turn),
        };
        self.waiting.insert((tag, self.last_turn, key));
    }

    /// Ends a flow's wait. When nobody waits any more, all that was owed is forgotten.
    pub fn leave(&mut self, key: K) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let Some(turn) = flow.turn.take() else {
            return;
        };
        self.waiting.remove(&(flow.tag, turn, key));
        self.resting.insert((flow.tag, key));
        if self.waiting.is_empty() {
            self.flows.clear();
            self.resting.clear();
        } else {
            self.forget_settled();
        }
    }

    /// Returns the flow that is next.
    pub fn first(&self) -> Option<K> {
        self.waiting.first().map(|(_, _, key)| *key)
    }

    /// Returns whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns how many flows wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the virtual time at which a flow is served: the smaller comes first. Flows need not wait for that.
    pub fn tag(&self, key: K) -> u64 {
        let ahead = self.flows.get(&key).map_or(0, |flow| flow.tag);
        ahead.max(self.clock)
    }

    /// Notes that a flow has been served. Flows need not wait for that.
    pub fn charge(&mut self, key: K, cost: u64) {
        self.clock = self.tag(key);
        let tag = self.clock.saturating_add(cost);
        let before = self.flows.insert(key, Flow { tag, turn: None });
        if let Some(Flow { tag: old, turn }) = before {
            self.resting.remove(&(old, key));
            if let Some(turn) = turn {
                self.waiting.remove(&(old, turn, key));
            }
        }
        if let Some(Flow { turn: Some(_), .. }) = before {
            self.last_turn += 1;
            let turn = self.last_turn;
            let flow = Flow {
                tag,
                turn: Some(turn),
            };
            self.flows.insert(key, flow);
            self.waiting.insert((tag, turn, key));
        } else {
            self.resting.insert((tag, key));
        }
        self.forget_settled();
    }

    /// Forgets flows that rest and are not ahead of the clock: they would enter at the clock anyway.
    fn forget_settled(&mut self) {
        while let Some((tag, key)) = self.resting.first().copied()
            && tag <= self.clock
        {
            self.resting.pop_first();
            self.flows.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Serves the flow that is next `times` times at `cost`; returns who was served.
    fn serve(fair: &mut Fair<u8>, cost: u64, times: usize) -> Vec<u8> {
        let next = |_| {
            let key = fair.first().unwrap();
            fair.charge(key, cost);
            key
        };
        (0..times).map(next).collect()
    }

    #[test]
    fn flows_take_turns() {
        let mut fair = Fair::default();
        fair.enter(1);
        fair.enter(2);
        assert_eq!(serve(&mut fair, 10, 4), [1, 2, 1, 2]);
    }

    #[test]
    fn a_newcomer_comes_before_those_that_have_been_served() {
        let mut fair = Fair::default();
        fair.enter(1);
        fair.enter(2);
        serve(&mut fair, 10, 1001);
        fair.enter(3);
        let order = serve(&mut fair, 10, 3);
        assert!(order[..2].contains(&3), "{order:?}");
    }

    #[test]
    fn a_large_message_counts_for_many_small_ones() {
        let mut fair = Fair::default();
        fair.enter(1);
        fair.enter(2);
        fair.charge(1, 1000);
        assert_eq!(serve(&mut fair, 10, 100), vec![2; 100]);
    }

    #[test]
    fn a_flow_that_rests_for_a_moment_still_owes() {
        let mut fair = Fair::default();
        fair.enter(1);
        fair.enter(2);
        fair.charge(1, 1000);
        fair.leave(1);
        fair.enter(1);
        assert_eq!(serve(&mut fair, 10, 100), vec![2; 100]);
    }

    #[test]
    fn nothing_is_kept_when_nobody_waits() {
        let mut fair = Fair::default();
        fair.enter(1);
        fair.enter(2);
        fair.charge(1, 1000);
        fair.leave(1);
        fair.leave(2);
        assert!(fair.flows.is_empty() && fair.resting.is_empty() && fair.is_empty());
    }

    proptest! {
        /// Between two flows that wait all the time the service differs by one message of each at most, whatever the
        /// others do.
        #[test]
        fn flows_that_wait_get_equal_shares(
            costs in proptest::collection::vec(1u64..5000, 1..400),
            visits in proptest::collection::vec(0usize..6, 400),
        ) {
            let mut fair = Fair::default();
            fair.enter(0u8);
            fair.enter(1);
            let (mut served, largest) = ([0u64; 2], *costs.iter().max().unwrap());
            for (cost, visit) in costs.iter().zip(visits) {
                let guest = u8::try_from(visit).unwrap() + 2;
                if visit.is_multiple_of(2) { fair.enter(guest) } else { fair.leave(guest) }
                let key = fair.first().unwrap();
                fair.charge(key, *cost);
                if let Some(sum) = served.get_mut(usize::from(key)) {
                    *sum += cost;
                }
                prop_assert!(served[0].abs_diff(served[1]) <= 2 * largest);
            }
        }

        /// What is ordered is always what waits, and what is kept besides is ahead of the clock.
        #[test]
        fn the_three_views_agree(steps in proptest::collection::vec((0u8..3, 0u8..5, 1u64..100), 0..200)) {
            let mut fair = Fair::default();
            for (step, key, cost) in steps {
                match step {
                    0 => fair.enter(key),
                    1 => fair.leave(key),
                    _ => fair.charge(key, cost),
                }
                let waits = fair.flows.values().filter(|flow| flow.turn.is_some()).count();
                prop_assert_eq!(waits, fair.waiting.len());
                prop_assert_eq!(fair.flows.len(), fair.waiting.len() + fair.resting.len());
                prop_assert!(fair.resting.iter().all(|(tag, _)| *tag > fair.clock));
            }
        }
    }
}
