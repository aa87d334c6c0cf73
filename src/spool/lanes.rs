//! The messages that wait for an attempt, by route: those that are due on shelves by rank, the rest by due time.
//!
//! The rank of a message is its priority, or a higher one that it has reached by waiting.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use crate::clock::Timestamp;
use crate::identity::{Route, UpstreamName};
use crate::mail::{ByPriority, Priority, QueueId};
use crate::schedule::Fair;

use super::parties::PartyKey;
use super::shelf::{Queue, Shelf};

/// Stands for a route in the index; four octets for each message instead of a list of names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct RouteKey(u32);

#[derive(Debug)]
struct Lane {
    route: Route,
    /// All messages that have this route, waiting or not.
    messages: usize,
    ready: ByPriority<Shelf>,
    delayed: BTreeSet<(Timestamp, Priority, PartyKey, QueueId)>,
}

/// All routes that messages have.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    keys: HashMap<Route, RouteKey>,
    by_key: BTreeMap<RouteKey, Lane>,
    last_key: u32,
    /// Between routes that lead to the same upstream, for each rank.
    between: HashMap<UpstreamName, ByPriority<Fair<RouteKey>>>,
}

/// What a message waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) route: RouteKey,
    pub(super) party: PartyKey,
    pub(super) rank: Priority,
    pub(super) due: Timestamp,
    pub(super) id: QueueId,
}

/// The message that is next, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front {
    pub(super) route: RouteKey,
    pub(super) rank: Priority,
    pub(super) party: PartyKey,
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
            ready: ByPriority::default(),
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

    /// Forgets the routes that no message has, and the upstreams that no route leads to.
    pub(super) fn forget_unused(&mut self) {
        self.by_key.retain(|_, lane| lane.messages > 0);
        let by_key = &self.by_key;
        self.keys.retain(|_, key| by_key.contains_key(key));
        let routes = &self.keys;
        self.between
            .retain(|name, _| routes.keys().any(|route| route.upstreams().contains(name)));
    }

    pub(super) fn route(&self, key: RouteKey) -> Option<&Route> {
        self.by_key.get(&key).map(|lane| &lane.route)
    }

    /// Lets a message wait.
    pub(super) fn insert(&mut self, wait: Wait, now: Timestamp) {
        if wait.due <= now {
            self.insert_ready(wait);
        } else if let Some(lane) = self.by_key.get_mut(&wait.route) {
            lane.delayed
                .insert((wait.due, wait.rank, wait.party, wait.id));
        }
    }

    /// Lets a message wait that has been due before.
    pub(super) fn insert_ready(&mut self, wait: Wait) {
        if let Some(lane) = self.by_key.get_mut(&wait.route) {
            lane.ready.at_mut(wait.rank).insert(wait.party, wait.id);
        }
    }

    /// Ends a message's wait.
    pub(super) fn remove(&mut self, wait: Wait) {
        if let Some(lane) = self.by_key.get_mut(&wait.route)
            && !lane.ready.at_mut(wait.rank).remove(wait.party, wait.id)
        {
            lane.delayed
                .remove(&(wait.due, wait.rank, wait.party, wait.id));
        }
    }

    /// Returns the keys of `routes`, after moving what has become due to where [`Lanes::front`] finds it.
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

    /// Returns the message that is next on these routes, all of which lead to `upstream`: the highest rank, down to
    /// `lowest`; within it fair between routes, where each counts for as many as it has tenants, then as
    /// [`Shelf::first`].
    pub(super) fn front(
        &self,
        upstream: &UpstreamName,
        keys: &[RouteKey],
        lowest: Priority,
    ) -> Option<Front> {
        let between = self.between.get(upstream);
        let mut ranks = Priority::ALL.into_iter().take_while(|rank| *rank <= lowest);
        ranks.find_map(|rank| {
            let tag = |key| between.map_or(0, |orders| orders.at(rank).tag(key));
            let fronts = keys.iter().filter_map(|key| {
                let (party, id) = self.by_key.get(key)?.ready.at(rank).first()?;
                Some(Front {
                    route: *key,
                    rank,
                    party,
                    id,
                })
            });
            fronts.min_by_key(|front| (tag(front.route), front.id))
        })
    }

    /// Takes the message at the front out, and charges its cost to whose it is.
    pub(super) fn serve(&mut self, upstream: &UpstreamName, front: Front, cost: u64) {
        let Some(lane) = self.by_key.get_mut(&front.route) else {
            return;
        };
        let ready = lane.ready.at_mut(front.rank);
        let tenants = ready.tenants().max(1) as u64;
        ready.charge(front.party, cost);
        ready.remove(front.party, front.id);
        let between = self.between.entry(upstream.clone()).or_default();
        between
            .at_mut(front.rank)
            .charge(front.route, cost.saturating_mul(FRACTIONS) / tenants);
    }

    /// Returns the messages that are ready on these routes, whatever their rank, with ids from `from` on: the oldest
    /// first.
    pub(super) fn by_age(&self, keys: &[RouteKey], from: QueueId) -> impl Iterator<Item = QueueId> {
        let lanes = keys.iter().filter_map(|key| self.by_key.get(key));
        let shelves = lanes.flat_map(|lane| lane.ready.iter());
        let mut oldest: BinaryHeap<_> = shelves
            .flat_map(|shelf| shelf.queues(from))
            .filter_map(Head::of)
            .collect();
        std::iter::from_fn(move || {
            let head = oldest.pop()?;
            let id = head.id.0;
            oldest.extend(Head::of(head.rest));
            Some(id)
        })
    }

    /// Returns for each route on which messages wait: the first that is ready, and when the first of the others is
    /// due.
    pub(super) fn first_of_each(&mut self, now: Timestamp) -> Vec<First> {
        self.by_key
            .values_mut()
            .filter_map(|lane| {
                lane.promote(now);
                let highest = lane.highest();
                let delayed = lane.delayed.first().map(|(due, ..)| *due);
                (highest.is_some() || delayed.is_some()).then(|| First {
                    route: lane.route.clone(),
                    highest,
                    delayed,
                })
            })
            .collect()
    }

    /// Takes the messages out that are ready at `rank` and older than `before`.
    pub(super) fn take_older(&mut self, rank: Priority, before: QueueId) -> Vec<QueueId> {
        let lanes = self.by_key.values_mut();
        let older = lanes.flat_map(|lane| lane.ready.at_mut(rank).take_older(before));
        older.map(|(_, id)| id).collect()
    }
}

/// Between routes costs are counted in fractions, so that the share of one of thousands of tenants is not nothing.
const FRACTIONS: u64 = 1024;

/// The front of one route's lane.
pub(super) struct First {
    pub(super) route: Route,
    /// The highest rank of what is ready, if anything is.
    pub(super) highest: Option<Priority>,
    pub(super) delayed: Option<Timestamp>,
}

impl Lane {
    fn highest(&self) -> Option<Priority> {
        let mut ranks = Priority::ALL.into_iter();
        ranks.find(|rank| !self.ready.at(*rank).is_empty())
    }

    fn promote(&mut self, now: Timestamp) {
        while let Some((due, rank, party, id)) = self.delayed.first().copied()
            && due <= now
        {
            self.delayed.pop_first();
            self.ready.at_mut(rank).insert(party, id);
        }
    }
}

/// One account's oldest message, ordered so that the oldest of all is the greatest.
struct Head<'a> {
    id: Reverse<QueueId>,
    rest: Queue<'a>,
}

impl<'a> Head<'a> {
    fn of(mut rest: Queue<'a>) -> Option<Self> {
        let id = Reverse(*rest.next()?);
        Some(Self { id, rest })
    }
}

impl Eq for Head<'_> {}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
