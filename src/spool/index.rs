//! The state machine of the spool, in memory, shared by the engines.
//!
//! A message is *idle* (it waits in its lane, or is held), *leased*, or *recording*: a change of it is on its way to
//! stable storage, and until that has ended nobody may claim or change it. What an engine needs to find a message's
//! octets is its own affair: the type parameter `P`, its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};
use crate::identity::{AccountName, Route, TenantName};
use crate::mail::{Priority, QueueId, RecipientIndex};

mod operate;

use super::lanes::{Lanes, RouteKey, Wait};
use super::moves::Moves;
use super::parties::{Parties, PartyKey};
use super::standing::{Recipients, Standing};
use super::times::{Deadlines, Times};
use super::{Backlog, EntryState, Settlement, SpoolError, Stats, VerbError};

mod claim;

/// One moment by both clocks. Due times are civil; leases run by the monotonic clock, so that no step of the civil one
/// ends them while their holders are at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) civil: Timestamp,
    pub(super) monotonic: Instant,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self {
            civil: clock.now(),
            monotonic: clock.instant(),
        }
    }

    /// Returns when a lease ends that lasts until `until`.
    fn end_of_lease(self, until: Timestamp) -> Instant {
        let span = until.since(self.civil).min(LONGEST_LEASE);
        self.monotonic.checked_add(span).unwrap_or(self.monotonic)
    }
}

/// Longer than any process lives, and not too long for the monotonic clock.
const LONGEST_LEASE: Duration = Duration::from_hours(24 * 365);

/// The octets of memory that a message takes, as an estimate on the safe side: its entry in the index, its places in the
/// queues. What has become of its recipients is counted besides.
const MEMORY_OF_MESSAGE: u64 = 400;

/// How far the civil clock may go back before what waits by it is looked at again.
const STEP: Duration = Duration::from_mins(1);

/// A message that becomes known to the index.
#[derive(Clone, Debug)]
pub(super) struct Arrival<P> {
    pub(super) id: QueueId,
    pub(super) size: u64,
    pub(super) priority: Priority,
    pub(super) route: Route,
    pub(super) account: Option<AccountName>,
    pub(super) tenant: Option<TenantName>,
    pub(super) times: Times,
    pub(super) standing: Standing,
    pub(super) place: P,
}

/// A message that has been leased.
#[derive(Debug)]
pub(super) struct Claimed<P> {
    pub(super) id: QueueId,
    pub(super) size: u64,
    pub(super) route: Route,
    pub(super) pending: Vec<RecipientIndex>,
    pub(super) has_more: bool,
    pub(super) attempts: u32,
    pub(super) token: u64,
    pub(super) place: P,
}

/// A message as it is listed.
#[derive(Debug)]
pub(super) struct Listed<P> {
    pub(super) id: QueueId,
    pub(super) size: u64,
    pub(super) route: Route,
    pub(super) state: EntryState,
    pub(super) standing: Standing,
    pub(super) place: P,
}

/// What an operator does to one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    Delete,
    Hold,
    Release,
    Retry,
}

/// A change that an operator's verb makes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The message has the wanted state already.
    Nothing,
    /// The message leaves the spool.
    Gone,
    /// The message goes on with this standing.
    Stands(Standing),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Idle,
    Leased { until: Instant },
    Settling,
    Changing,
}

#[derive(Debug)]
struct Slot<P> {
    place: P,
    size: u64,
    standing: Standing,
    /// When its lifetime begins.
    begins: Timestamp,
    phase: Phase,
    /// The last lease's; 0 where no lease may settle this message.
    token: u64,
    party: PartyKey,
    route: RouteKey,
    priority: Priority,
    /// Its priority, or the higher one that it has reached by waiting.
    rank: Priority,
    is_scheduled: bool,
}

impl<P> Slot<P> {
    fn wait(&self, id: QueueId) -> Wait {
        Wait {
            route: self.route,
            party: self.party,
            rank: self.rank,
            due: self.standing.due(),
            id,
        }
    }

    /// Returns whether the message waits for a time that was wanted: the civil clock decides, whatever it did before.
    fn waits_as_wanted(&self) -> bool {
        let is_untouched = matches!(self.standing.recipients, Recipients::All { .. });
        self.is_scheduled && is_untouched
    }

    fn state(&self) -> EntryState {
        match self.phase {
            Phase::Leased { .. } | Phase::Settling => EntryState::Leased,
            Phase::Idle | Phase::Changing if self.standing.is_held => EntryState::Held,
            Phase::Idle | Phase::Changing => EntryState::Pending,
        }
    }
}

/// All messages that are not done.
#[derive(Debug)]
pub(super) struct Index<P> {
    slots: BTreeMap<QueueId, Box<Slot<P>>>,
    lanes: Lanes,
    moves: Moves,
    parties: Parties,
    leases: BTreeSet<(Instant, QueueId)>,
    deadlines: Deadlines,
    /// The latest civil time that was seen.
    latest: Timestamp,
    last_token: u64,
    /// When old messages were last looked for that rise.
    aged: Option<Instant>,
    octets: u64,
    /// The octets of memory that standings take beyond what every message does.
    standings: u64,
    held: u64,
    settling: u64,
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            lanes: Lanes::default(),
            moves: Moves::default(),
            parties: Parties::default(),
            leases: BTreeSet::new(),
            deadlines: Deadlines::default(),
            latest: Timestamp::default(),
            last_token: 0,
            aged: None,
            octets: 0,
            standings: 0,
            held: 0,
            settling: 0,
        }
    }
}

impl<P: Clone> Index<P> {
    /// Adds a message; one of the same id must not be there.
    pub(super) fn insert(&mut self, arrival: Arrival<P>, now: Timestamp) {
        let route = arrival.standing.route.as_ref();
        let route = route.unwrap_or(&arrival.route);
        self.moves.note(&arrival.route, route);
        let route = self.lanes.enter(route);
        let slot = Box::new(Slot {
            place: arrival.place,
            size: arrival.size,
            standing: arrival.standing,
            begins: arrival.times.begins,
            phase: Phase::Idle,
            token: 0,
            party: self
                .parties
                .key(arrival.tenant.as_ref(), arrival.account.as_ref()),
            route,
            priority: arrival.priority,
            rank: arrival.priority,
            is_scheduled: arrival.times.is_scheduled,
        });
        if let Some(deadline) = arrival.times.deadline {
            self.deadlines.insert(arrival.id, deadline);
        }
        self.octets = self.octets.saturating_add(slot.size);
        self.standings += slot.standing.memory();
        if slot.standing.is_held {
            self.held += 1;
        } else {
            self.lanes.insert(slot.wait(arrival.id), now);
        }
        self.slots.insert(arrival.id, slot);
    }

    pub(super) fn contains(&self, id: QueueId) -> bool {
        self.slots.contains_key(&id)
    }

    pub(super) fn place(&self, id: QueueId) -> Option<&P> {
        self.slots.get(&id).map(|slot| &slot.place)
    }

    pub(super) fn place_mut(&mut self, id: QueueId) -> Option<&mut P> {
        self.slots.get_mut(&id).map(|slot| &mut slot.place)
    }

    pub(super) fn standing(&self, id: QueueId) -> Option<&Standing> {
        self.slots.get(&id).map(|slot| &slot.standing)
    }

    /// Returns all ids with their places. Takes time in proportion to the queue.
    pub(super) fn places(&self) -> impl Iterator<Item = (QueueId, &P)> {
        self.slots.iter().map(|(id, slot)| (*id, &slot.place))
    }

    /// Returns all messages as they would arrive at a start that follows now.
    pub(super) fn arrivals(&self) -> Vec<Arrival<P>> {
        let arrival = |id: &QueueId, slot: &Slot<P>| {
            let (tenant, account) = self.parties.names(slot.party);
            Some(Arrival {
                id: *id,
                size: slot.size,
                priority: slot.priority,
                route: self.lanes.route(slot.route)?.clone(),
                account: account.cloned(),
                tenant: tenant.cloned(),
                times: Times {
                    begins: slot.begins,
                    is_scheduled: slot.is_scheduled,
                    deadline: self.deadlines.of(*id),
                },
                standing: slot.standing.clone(),
                place: slot.place.clone(),
            })
        };
        let slots = self.slots.iter();
        slots.filter_map(|(id, slot)| arrival(id, slot)).collect()
    }

    /// Takes notice of the civil time, also of one that is known from elsewhere. Where the clock has been set back since
    /// the latest, what was deferred would wait for as long as it was wrong, so it is due at once.
    pub(super) fn note_time(&mut self, now: Timestamp) {
        if now.after(STEP) >= self.latest {
            self.latest = self.latest.max(now);
            return;
        }
        self.latest = now;
        for (id, slot) in &mut self.slots {
            if slot.standing.is_due_by(now) || slot.waits_as_wanted() {
                continue;
            }
            let waits = slot.phase == Phase::Idle && !slot.standing.is_held;
            if waits {
                self.lanes.remove(slot.wait(*id));
            }
            slot.standing = slot.standing.due_at_once(now);
            if waits {
                self.lanes.insert(slot.wait(*id), now);
            }
        }
    }

    /// Makes the messages claimable whose leases are over.
    fn end_leases(&mut self, now: Moment) {
        while let Some((until, id)) = self.leases.first().copied()
            && until <= now.monotonic
        {
            self.leases.pop_first();
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.phase = Phase::Idle;
                self.lanes.insert(slot.wait(id), self.latest);
            }
        }
    }

    /// Makes a lease longer.
    pub(super) fn extend(
        &mut self,
        (id, token): (QueueId, u64),
        until: Timestamp,
        now: Moment,
    ) -> Result<(), SpoolError> {
        self.end_leases(now);
        let slot = self.slots.get_mut(&id);
        let slot = slot.filter(|slot| slot.token == token);
        let slot = slot.ok_or(SpoolError::LeaseLost(id))?;
        let Phase::Leased { until: before } = slot.phase else {
            return Err(SpoolError::LeaseLost(id));
        };
        let until = now.end_of_lease(until);
        slot.phase = Phase::Leased { until };
        self.leases.remove(&(before, id));
        self.leases.insert((until, id));
        Ok(())
    }

    /// Ends a lease without a change. Returns whether it still was one.
    pub(super) fn give_back(&mut self, id: QueueId, token: u64) -> bool {
        let slot = self.slots.get_mut(&id);
        let Some(slot) = slot.filter(|slot| slot.token == token) else {
            return false;
        };
        let Phase::Leased { until } = slot.phase else {
            return false;
        };
        slot.phase = Phase::Idle;
        self.leases.remove(&(until, id));
        self.lanes.insert(slot.wait(id), self.latest);
        true
    }

    /// Begins to settle: until [`Index::conclude`] the message is neither claimed nor changed. Returns its standing
    /// afterwards, `None` where it will be done.
    ///
    /// A lease whose time is over still counts as long as nobody else has claimed the message: what is known about
    /// it saves its recipients a second copy.
    pub(super) fn begin_settlement(
        &mut self,
        settlement: &Settlement,
    ) -> Result<Option<Standing>, SpoolError> {
        let id = settlement.lease.id;
        let slot = self.slots.get_mut(&id);
        let slot = slot.filter(|slot| slot.token == settlement.lease.token);
        let slot = slot.ok_or(SpoolError::LeaseLost(id))?;
        match slot.phase {
            Phase::Leased { until } => {
                self.leases.remove(&(until, id));
            }
            Phase::Idle => self.lanes.remove(slot.wait(id)),
            Phase::Settling | Phase::Changing => return Err(SpoolError::LeaseLost(id)),
        }
        slot.phase = Phase::Settling;
        slot.token = 0;
        self.settling += 1;
        Ok(slot.standing.after(settlement))
    }

    /// Takes a message out of circulation whatever it does, until [`Index::conclude`]. Returns whether it was there
    /// and in circulation.
    pub(super) fn withdraw(&mut self, id: QueueId) -> bool {
        let Some(slot) = self.slots.get_mut(&id) else {
            return false;
        };
        match slot.phase {
            Phase::Leased { until } => {
                self.leases.remove(&(until, id));
            }
            Phase::Idle => self.lanes.remove(slot.wait(id)),
            Phase::Settling | Phase::Changing => return false,
        }
        slot.phase = Phase::Settling;
        slot.token = 0;
        self.settling += 1;
        true
    }

    /// Begins an operator's change: until [`Index::conclude`] or [`Index::undo`] the message is neither claimed nor
    /// changed, unless there is nothing to do.
    pub(super) fn begin_change(
        &mut self,
        id: QueueId,
        verb: Verb,
        now: Moment,
    ) -> Result<Outcome, VerbError> {
        self.end_leases(now);
        let slot = self.slots.get_mut(&id).ok_or(VerbError::Missing(id))?;
        if slot.phase != Phase::Idle {
            return Err(VerbError::Busy(id));
        }
        let outcome = match verb {
            Verb::Delete => Outcome::Gone,
            Verb::Hold | Verb::Release if slot.standing.is_held == (verb == Verb::Hold) => {
                return Ok(Outcome::Nothing);
            }
            Verb::Hold | Verb::Release => {
                Outcome::Stands(slot.standing.with_hold(verb == Verb::Hold))
            }
            Verb::Retry => Outcome::Stands(slot.standing.due_at_once(now.civil)),
        };
        if !slot.standing.is_held {
            self.lanes.remove(slot.wait(id));
        }
        slot.phase = Phase::Changing;
        slot.token = 0;
        Ok(outcome)
    }

    /// Ends an operator's change that could not be recorded.
    pub(super) fn undo(&mut self, id: QueueId, now: Timestamp) {
        let standing = self.slots.get(&id).map(|slot| slot.standing.clone());
        if let Some(standing) = standing {
            self.conclude(id, Some(standing), now);
        }
    }

    /// Gives a message its new standing, or removes it where there is none. Returns the place of a removed one.
    pub(super) fn conclude(
        &mut self,
        id: QueueId,
        standing: Option<Standing>,
        now: Timestamp,
    ) -> Option<P> {
        let slot = self.slots.get_mut(&id)?;
        match slot.phase {
            Phase::Leased { until } => {
                self.leases.remove(&(until, id));
            }
            Phase::Idle => self.lanes.remove(slot.wait(id)),
            Phase::Settling => self.settling = self.settling.saturating_sub(1),
            Phase::Changing => {}
        }
        self.held -= u64::from(slot.standing.is_held);
        self.standings = self.standings.saturating_sub(slot.standing.memory());
        let Some(standing) = standing else {
            let slot = self.slots.remove(&id)?;
            self.deadlines.remove(id);
            self.lanes.leave(slot.route);
            self.octets = self.octets.saturating_sub(slot.size);
            return Some(slot.place);
        };
        if let Some(route) = &standing.route
            && self.lanes.route(slot.route) != Some(route)
        {
            if let Some(before) = self.lanes.route(slot.route) {
                self.moves.note(before, route);
            }
            self.lanes.leave(slot.route);
            slot.route = self.lanes.enter(route);
        }
        slot.standing = standing;
        self.standings += slot.standing.memory();
        slot.phase = Phase::Idle;
        if slot.standing.is_held {
            self.held += 1;
        } else {
            self.lanes.insert(slot.wait(id), now);
        }
        None
    }

    /// See [`Spool::backlog`](super::Spool::backlog).
    pub(super) fn backlog(&mut self, now: Moment) -> Vec<Backlog> {
        self.note_time(now.civil);
        self.end_leases(now);
        let firsts = self.lanes.first_of_each(now.civil);
        firsts
            .into_iter()
            .map(|first| Backlog {
                route: first.route,
                // What is ready is due, also if the clock has been set back since it became so.
                next_due: match first.highest {
                    Some(_) => now.civil,
                    None => first.delayed.unwrap_or(Timestamp::MAX),
                },
                highest: first.highest,
            })
            .collect()
    }

    /// See [`SpoolAdmin::show`](super::SpoolAdmin::show).
    pub(super) fn show(&self, id: QueueId) -> Option<Listed<P>> {
        self.listed(id, self.slots.get(&id)?)
    }

    fn listed(&self, id: QueueId, slot: &Slot<P>) -> Option<Listed<P>> {
        Some(Listed {
            id,
            size: slot.size,
            route: self.lanes.route(slot.route)?.clone(),
            state: slot.state(),
            standing: slot.standing.clone(),
            place: slot.place.clone(),
        })
    }

    /// Returns which routes messages have been moved from and to since the last call.
    pub(super) fn take_moves(&mut self) -> Vec<(Route, Route)> {
        self.moves.take()
    }

    /// Gives up to `limit` messages after `after` the route of their account. Returns the last one seen, `None` at
    /// the end. In portions, so that a long queue does not stop the mail.
    pub(super) fn reroute(
        &mut self,
        after: Option<QueueId>,
        limit: usize,
        route_of: &dyn Fn(&AccountName) -> Option<Route>,
        now: Timestamp,
    ) -> Option<QueueId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (id, slot) in self.slots.range_mut((from, Bound::Unbounded)).take(limit) {
            last = Some(*id);
            if slot.standing.route.is_some() {
                // What an operator has decided is stronger.
                continue;
            }
            let Some(route) = self.parties.account(slot.party).and_then(route_of) else {
                continue;
            };
            if self.lanes.route(slot.route) == Some(&route) {
                continue;
            }
            let waits = slot.phase == Phase::Idle && !slot.standing.is_held;
            if waits {
                self.lanes.remove(slot.wait(*id));
            }
            if let Some(before) = self.lanes.route(slot.route) {
                self.moves.note(before, &route);
            }
            self.lanes.leave(slot.route);
            slot.route = self.lanes.enter(&route);
            if waits {
                self.lanes.insert(slot.wait(*id), now);
            }
        }
        if last.is_none() {
            self.lanes.forget_unused();
        }
        last
    }

    /// Returns about how many octets of memory the index takes.
    pub(super) fn memory(&self) -> u64 {
        let messages = self.slots.len() as u64;
        messages
            .saturating_mul(MEMORY_OF_MESSAGE)
            .saturating_add(self.standings)
    }

    /// Returns the sums; damage is not the index's to count.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            messages: self.slots.len() as u64,
            octets: self.octets,
            held: self.held,
            leased: self.leases.len() as u64 + self.settling,
            damaged: 0,
        }
    }
}

/// Returns the octets that a message takes in the index, beside the trees that lead to it.
#[cfg(test)]
pub(super) const fn slot_size<P>() -> usize {
    size_of::<Slot<P>>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::conformance::{START, failure, message_to, route};
    use crate::spool::standing::Waiting;

    #[test]
    fn what_upstreams_said_counts_as_memory_until_the_message_is_done() {
        let (mut index, id) = (Index::default(), QueueId::first_at(START));
        let message = message_to(&["a@example.com", "b@example.com"]);
        let arrival = Arrival {
            id,
            size: 1,
            priority: Priority::Normal,
            route: route(&["main"]),
            account: None,
            tenant: None,
            times: Times::of(&message),
            standing: Standing::fresh(2, START),
            place: (),
        };
        index.insert(arrival, START);
        let untouched = index.memory();
        let waiting = |index| Waiting {
            index: RecipientIndex(index),
            attempts: 1,
            due: START,
            reason: Some(failure(&"x".repeat(400))),
        };
        let deferred = Standing {
            recipients: Recipients::Some([0, 1].map(waiting).into()),
            ..Standing::fresh(2, START)
        };
        index.conclude(id, Some(deferred), START);
        assert!(index.memory() >= untouched + 800);
        index.conclude(id, None, START);
        assert_eq!(index.memory(), 0);
    }
}
