//! The messages that wait for an attempt, by route: first those that are due, by priority and age, then the rest by
//! due time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::identity::Route;
use crate::mail::{Priority, QueueId};

/// Stands for a route in the index; four octets for each message instead of a list of names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct RouteKey(u32);

#[derive(Debug)]
struct Lane {
    route: Route,
    /// All messages that have this route, waiting or not.
    messages: usize,
    ready: BTreeSet<(Priority, QueueId)>,
    delayed: BTreeSet<(Timestamp, Priority, QueueId)>,
}

/// All routes that messages have.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    keys: HashMap<Route, RouteKey>,
    by_key: BTreeMap<RouteKey, Lane>,
    last_key: u32,
}

/// What a message waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) route: RouteKey,
    pub(super) priority: Priority,
    pub(super) due: Timestamp,
    pub(super) id: QueueId,
}

impl Lanes {
    /// Counts a message of this route in.
    pub(super) fn enter(&mut self, route: &Route) -> RouteKey {
        let key = self.key_of(route);
        if let Some(lane) = self.by_key.get_mut(&key) {
            lane.messages += 1;
        }
        key
    }

    fn key_of(&mut self, route: &Route) -> RouteKey {
        if let Some(key) = self.keys.get(route) {
            return *key;
        }
        self.last_key = self.last_key.wrapping_add(1);
        let key = RouteKey(self.last_key);
        let lane = Lane {
            route: route.clone(),
            messages: 0,
            ready: BTreeSet::new(),
            delayed: BTreeSet::new(),
        };
        self.keys.insert(route.clone(), key);
        self.by_key.insert(key, lane);
        key
    }

    /// Counts a message of this route out. It must not wait any more.
    pub(super) fn leave(&mut self, key: RouteKey) {
        if let Some(lane) = self.by_key.get_mut(&key) {
            lane.messages = lane.messages.saturating_sub(1);
        }
    }

    /// Forgets the routes that no message has.
    pub(super) fn forget_unused(&mut self) {
        self.by_key.retain(|_, lane| lane.messages > 0);
        let by_key = &self.by_key;
        self.keys.retain(|_, key| by_key.contains_key(key));
    }

    pub(super) fn route(&self, key: RouteKey) -> Option<&Route> {
        self.by_key.get(&key).map(|lane| &lane.route)
    }

    /// Lets a message wait.
    pub(super) fn insert(&mut self, wait: Wait, now: Timestamp) {
        let Some(lane) = self.by_key.get_mut(&wait.route) else {
            return;
        };
        if wait.due <= now {
            lane.ready.insert((wait.priority, wait.id));
        } else {
            lane.delayed.insert((wait.due, wait.priority, wait.id));
        }
    }

    /// Lets a message wait that has been due before.
    pub(super) fn insert_ready(&mut self, wait: Wait) {
        if let Some(lane) = self.by_key.get_mut(&wait.route) {
            lane.ready.insert((wait.priority, wait.id));
        }
    }

    /// Ends a message's wait.
    pub(super) fn remove(&mut self, wait: Wait) {
        if let Some(lane) = self.by_key.get_mut(&wait.route)
            && !lane.ready.remove(&(wait.priority, wait.id))
        {
            lane.delayed.remove(&(wait.due, wait.priority, wait.id));
        }
    }

    /// Returns the keys of `routes`, after moving what has become due to where [`Lanes::pop`] finds it.
    pub(super) fn ready(&mut self, routes: &[Route], now: Timestamp) -> Vec<RouteKey> {
        let keys: Vec<_> = routes
            .iter()
            .filter_map(|route| self.keys.get(route).copied())
            .collect();
        for key in &keys {
            if let Some(lane) = self.by_key.get_mut(key) {
                lane.promote(now);
            }
        }
        keys
    }

    /// Takes the first of the messages that are ready on any of these routes, or the first with an id below
    /// `older_than`.
    pub(super) fn pop(
        &mut self,
        keys: &[RouteKey],
        older_than: Option<QueueId>,
    ) -> Option<QueueId> {
        let (first, key) = keys
            .iter()
            .filter_map(|key| Some((self.by_key.get(key)?.first(older_than)?, *key)))
            .min()?;
        self.by_key.get_mut(&key)?.ready.remove(&first);
        Some(first.1)
    }

    /// Returns for each route on which messages wait: the first that is ready, and when the first of the others is
    /// due.
    pub(super) fn first_of_each(&mut self, now: Timestamp) -> Vec<First> {
        self.by_key
            .values_mut()
            .filter_map(|lane| {
                lane.promote(now);
                let ready = lane.ready.first().copied();
                let delayed = lane.delayed.first().map(|(due, ..)| *due);
                (ready.is_some() || delayed.is_some()).then(|| First {
                    route: lane.route.clone(),
                    ready,
                    delayed,
                })
            })
            .collect()
    }
}

/// The front of one route's lane.
pub(super) struct First {
    pub(super) route: Route,
    pub(super) ready: Option<(Priority, QueueId)>,
    pub(super) delayed: Option<Timestamp>,
}

impl Lane {
    /// Returns the first message that is ready, and older than that if it is to be.
    fn first(&self, older_than: Option<QueueId>) -> Option<(Priority, QueueId)> {
        let Some(end) = older_than else {
            return self.ready.first().copied();
        };
        let oldest = |priority| {
            let start = (priority, QueueId::from_number(0));
            self.ready.range(start..(priority, end)).next().copied()
        };
        Priority::ALL.into_iter().find_map(oldest)
    }

    fn promote(&mut self, now: Timestamp) {
        while let Some((due, priority, id)) = self.delayed.first().copied()
            && due <= now
        {
            self.delayed.pop_first();
            self.ready.insert((priority, id));
        }
    }
}
