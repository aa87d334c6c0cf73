//! The bandwidth of an upstream, shared by the transfers that run at the same time. Pure; time is an argument.
//!
//! A transfer asks for every piece of its content and writes no more than its turn allows. Turns go
//!
//! 1. to who has waited so long that its peer would soon give up, whatever its priority: a small piece,
//! 2. else by strict priority,
//! 3. and inside a priority round robin by octets.
//!
//! How fast turns follow each other is the bandwidth. What is not used is not saved up, but for a moment that makes up for
//! late timers.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::mail::Priority;

/// How many octets may be sent in a second; at least one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bandwidth(NonZeroU64);

/// Says which transfer writes next, how much, and when.
///
/// Over any length of time `t` all turns together have at most `(t + 20 ms) × bandwidth` octets and one piece.
/// [`Pacer::count`] is outside of this bound, and makes turns later.
///
/// Every decision looks at each transfer; an upstream has no more of them than connections.
#[derive(Debug)]
pub struct Pacer {
    bandwidth: Bandwidth,
    longest_pause: Duration,
    /// When all that may be written will have been, at this bandwidth.
    busy_until: Option<Instant>,
    transfers: BTreeMap<Ticket, Transfer>,
    /// Where the last turn of each priority began, in octets of its round.
    rounds: BTreeMap<Priority, u64>,
    next: u64,
}

/// Names a transfer, from [`Pacer::enter`] to [`Pacer::leave`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

/// What is to be done now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Nothing: nobody asks.
    Idle,
    /// This transfer writes so many octets, at least one and no more than it asked for; then decide again.
    Turn {
        /// Who writes.
        ticket: Ticket,
        /// How much.
        octets: usize,
    },
    /// Nothing before this time; decide again then, or when a transfer asks or leaves.
    Wait {
        /// Whose turn it will be then if nobody more urgent asks before. Meant as a hint.
        ticket: Ticket,
        /// When.
        until: Instant,
    },
}

#[derive(Debug)]
struct Transfer {
    priority: Priority,
    /// Where its next turn begins, in octets of its priority's round.
    place: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Asking { octets: usize, since: Instant },
    Idle,
    Writing { since: Instant },
}

/// A transfer that asks.
#[derive(Clone, Copy)]
struct Asker {
    ticket: Ticket,
    priority: Priority,
    place: u64,
    octets: usize,
    since: Instant,
}

/// Nanoseconds in a second.
const NANOS: u128 = 1_000_000_000;

/// How long a piece takes, where its bounds allow: as long as an urgent message waits at most.
const PIECE_TIME: Duration = Duration::from_millis(20);

/// The smallest piece, and what who has waited for long gets, in octets.
const SMALLEST: usize = 1 << 10;

/// The largest piece, in octets.
const LARGEST: usize = 64 << 10;

/// How much time a timer may lose, or nobody write, and the octets be made up for.
const CREDIT: Duration = Duration::from_millis(20);

/// How long who has had a turn is waited for to ask again, before somebody less urgent gets one: for writing the piece and
/// reading the next. After that its peer is slow, and what it does not use is used by others.
const HOLD: Duration = Duration::from_millis(20);

impl Bandwidth {
    /// Makes a bandwidth of octets in a second; `None` of zero.
    pub const fn new(octets: u64) -> Option<Self> {
        match NonZeroU64::new(octets) {
            Some(octets) => Some(Self(octets)),
            None => None,
        }
    }

    /// Returns a bandwidth at which so many transfers at once can each have a turn within `longest_pause`, whatever else
    /// is sent. A lower one may lead to longer pauses.
    pub fn least(transfers: usize, longest_pause: Duration) -> Self {
        // One small piece for each, and one piece of another that has just begun.
        let octets = (transfers as u128 + 1) * SMALLEST as u128;
        let nanos = longest_pause.saturating_sub(PIECE_TIME).as_nanos().max(1);
        let rate = u64::try_from((octets * NANOS).div_ceil(nanos)).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(rate).unwrap_or(NonZeroU64::MIN))
    }

    /// Returns the number of octets in a second.
    pub const fn octets(self) -> u64 {
        self.0.get()
    }

    /// Returns the most octets of one turn: those of 20 ms, but 1 KiB at least and 64 KiB at most.
    pub fn piece(self) -> usize {
        let octets = u128::from(self.octets()) * PIECE_TIME.as_nanos() / NANOS;
        usize::try_from(octets)
            .unwrap_or(LARGEST)
            .clamp(SMALLEST, LARGEST)
    }

    /// Returns how long so many octets take.
    fn time_of(self, octets: usize) -> Duration {
        let nanos = (octets as u128 * NANOS).div_ceil(self.octets().into());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Pacer {
    /// Makes a pacer without transfers. A transfer that asks waits for `longest_pause` at most, where the bandwidth is
    /// not below [`Bandwidth::least`]; below that, the bandwidth is kept and pauses are longer.
    pub fn new(bandwidth: Bandwidth, longest_pause: Duration) -> Self {
        Self {
            bandwidth,
            longest_pause,
            busy_until: None,
            transfers: BTreeMap::new(),
            rounds: BTreeMap::new(),
            next: 0,
        }
    }

    /// Takes a transfer in. It does not ask yet.
    pub fn enter(&mut self, priority: Priority) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        let transfer = Transfer {
            priority,
            place: 0,
            state: State::Idle,
        };
        self.transfers.insert(ticket, transfer);
        ticket
    }

    /// Asks for a turn of up to so many octets. What was written of the last turn is on its way.
    pub fn ask(&mut self, ticket: Ticket, octets: usize, now: Instant) {
        let Some(transfer) = self.transfers.get_mut(&ticket) else {
            return;
        };
        // Who did not ask for a while has saved nothing up.
        let round = self.rounds.get(&transfer.priority).copied();
        transfer.place = transfer.place.max(round.unwrap_or_default());
        transfer.state = State::Asking {
            octets: octets.max(1),
            since: now,
        };
    }

    /// Takes back what a transfer asked for, if it has not had the turn yet.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if let Some(transfer) = self.transfers.get_mut(&ticket) {
            transfer.state = match transfer.state {
                State::Asking { .. } | State::Idle => State::Idle,
                state @ State::Writing { .. } => state,
            };
        }
    }

    /// Ends a transfer.
    pub fn leave(&mut self, ticket: Ticket) {
        self.transfers.remove(&ticket);
    }

    /// Counts octets that are sent without a turn, such as commands.
    pub fn count(&mut self, octets: usize, now: Instant) {
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let begin = self.busy_until.map_or(earliest, |busy| busy.max(earliest));
        let end = begin.checked_add(self.bandwidth.time_of(octets));
        self.busy_until = Some(end.unwrap_or(begin));
    }

    /// Decides what is done now.
    pub fn decide(&mut self, now: Instant) -> Decision {
        let (Some(first), Some(oldest)) = (self.first(), self.oldest()) else {
            return Decision::Idle;
        };
        let ticket = first.ticket;
        if let Some(until) = self.busy_until.filter(|&busy| busy > now) {
            return Decision::Wait { ticket, until };
        }
        let pressing = self.pressing_from(oldest);
        if pressing <= now {
            return self.turn(oldest, SMALLEST, now);
        }
        let held = self.held_until(first.priority);
        if let Some(held) = held.filter(|&held| held > now) {
            let until = held.min(pressing);
            return Decision::Wait { ticket, until };
        }
        self.rounds.insert(first.priority, first.place);
        self.turn(first, self.bandwidth.piece(), now)
    }

    fn turn(&mut self, asker: Asker, most: usize, now: Instant) -> Decision {
        let octets = asker.octets.min(most);
        if let Some(transfer) = self.transfers.get_mut(&asker.ticket) {
            transfer.place = asker.place.saturating_add(octets as u64);
            transfer.state = State::Writing { since: now };
        }
        self.count(octets, now);
        Decision::Turn {
            ticket: asker.ticket,
            octets,
        }
    }

    fn askers(&self) -> impl Iterator<Item = Asker> {
        self.transfers
            .iter()
            .filter_map(|(&ticket, transfer)| match transfer.state {
                State::Asking { octets, since } => Some(Asker {
                    ticket,
                    priority: transfer.priority,
                    place: transfer.place,
                    octets,
                    since,
                }),
                State::Idle | State::Writing { .. } => None,
            })
    }

    /// Returns who is next by priority and round.
    fn first(&self) -> Option<Asker> {
        self.askers()
            .min_by_key(|asker| (asker.priority, asker.place, asker.ticket))
    }

    /// Returns who has waited longest.
    fn oldest(&self) -> Option<Asker> {
        self.askers()
            .min_by_key(|asker| (asker.since, asker.ticket))
    }

    /// Returns from when on who has waited longest comes before all others.
    ///
    /// That is so early that a piece which begins just before, and then a small one for everybody who asks, are over when
    /// its longest pause is. Those who have waited for less are served in time, too, since they follow in their order.
    fn pressing_from(&self, oldest: Asker) -> Instant {
        let askers = u32::try_from(self.askers().count()).unwrap_or(u32::MAX);
        let small = self.bandwidth.time_of(SMALLEST).saturating_mul(askers);
        let ahead = small.saturating_add(self.bandwidth.time_of(self.bandwidth.piece()));
        let longest = self.longest_pause.saturating_sub(ahead);
        oldest.since.checked_add(longest).unwrap_or(oldest.since)
    }

    /// Returns until when a transfer of this priority leaves the bandwidth to more urgent ones that are just writing.
    fn held_until(&self, priority: Priority) -> Option<Instant> {
        let urgent = self
            .transfers
            .values()
            .filter(|transfer| transfer.priority < priority);
        let holds = urgent.filter_map(|transfer| match transfer.state {
            State::Writing { since } => since.checked_add(HOLD),
            State::Asking { .. } | State::Idle => None,
        });
        holds.max()
    }
}

#[cfg(test)]
mod tests;
