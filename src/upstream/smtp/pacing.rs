//! How all connections of an upstream share its bandwidth: the edge of [`Pacer`], which decides.
//!
//! There is no task. Of those who wait for their turn one keeps the time; when it wakes it gives out the turns that are
//! due, and wakes who is to keep the time next. So a turn costs one timer and at most two wakes, however many wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::clock::Clock;
use crate::mail::Priority;
use crate::schedule::{Bandwidth, Decision, Pacer, Ticket};

/// The bandwidth of one upstream.
pub(super) struct Pacing {
    clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
}

/// A transfer's share in the bandwidth, for as long as its content is being written. Dropping it leaves the rest to the
/// others.
pub(super) struct Pace {
    pacing: Arc<Pacing>,
    ticket: Ticket,
    wake: Arc<Notify>,
}

struct Queue {
    pacer: Pacer,
    seats: BTreeMap<Ticket, Seat>,
    alarm: Option<Alarm>,
}

/// A transfer's side of the queue.
struct Seat {
    /// A turn that it has been given and not yet taken.
    turn: Option<usize>,
    wake: Arc<Notify>,
}

/// The next time that something is to be decided, and who of those who wait wakes then.
#[derive(Clone, Copy)]
struct Alarm {
    keeper: Ticket,
    at: Instant,
}

/// What a transfer that waits for its turn does next.
enum Next {
    /// Sleep until it is woken.
    Sleep,
    /// Sleep until it is woken, or until this time.
    SleepUntil(Instant),
    /// Write so many octets.
    Write(usize),
}

impl Pacing {
    /// Makes a bandwidth that nobody uses. Who waits for a turn does so for `longest_pause` at most; see [`Pacer::new`].
    /// The clock must be the one of tokio's timers.
    pub(super) fn new(
        bandwidth: Bandwidth,
        longest_pause: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let queue = Queue {
            pacer: Pacer::new(bandwidth, longest_pause),
            seats: BTreeMap::new(),
            alarm: None,
        };
        Self {
            clock,
            queue: Mutex::new(queue),
        }
    }

    /// Takes a transfer in.
    pub(super) fn enter(self: &Arc<Self>, priority: Priority) -> Pace {
        let wake = Arc::new(Notify::new());
        let mut queue = self.queue();
        let ticket = queue.pacer.enter(priority);
        let seat = Seat {
            turn: None,
            wake: Arc::clone(&wake),
        };
        queue.seats.insert(ticket, seat);
        drop(queue);
        Pace {
            pacing: Arc::clone(self),
            ticket,
            wake,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Counts octets that are written without waiting for a turn.
    pub(super) fn count(&self, octets: usize) {
        let now = self.pacing.clock.instant();
        self.pacing.queue().pacer.count(octets, now);
    }

    /// Waits for the next turn; returns how many octets may be written, at least one and no more than `octets`.
    ///
    /// Cancel safe: a turn that is not taken is lost, and nobody waits for it.
    pub(super) async fn turn(&mut self, octets: usize) -> usize {
        let asking = Asking::new(self, octets);
        loop {
            match asking.next() {
                Next::Sleep => self.wake.notified().await,
                Next::SleepUntil(at) => {
                    // Both mean to look again.
                    let _ = timeout_at(at.into(), self.wake.notified()).await;
                }
                Next::Write(octets) => return octets,
            }
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let now = self.pacing.clock.instant();
        self.pacing.queue().leave(self.ticket, now);
    }
}

/// The wish for a turn, which ends with the one who waits.
struct Asking<'a>(&'a Pace);

impl<'a> Asking<'a> {
    fn new(pace: &'a Pace, octets: usize) -> Self {
        let now = pace.pacing.clock.instant();
        pace.pacing.queue().pacer.ask(pace.ticket, octets, now);
        Self(pace)
    }

    fn next(&self) -> Next {
        let now = self.0.pacing.clock.instant();
        self.0.pacing.queue().next(self.0.ticket, now)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let now = self.0.pacing.clock.instant();
        self.0.pacing.queue().withdraw(self.0.ticket, now);
    }
}

impl Queue {
    fn next(&mut self, ticket: Ticket, now: Instant) -> Next {
        self.decide(ticket, now);
        let turn = self
            .seats
            .get_mut(&ticket)
            .and_then(|seat| seat.turn.take());
        match (turn, self.alarm) {
            (Some(octets), _) => Next::Write(octets),
            (None, Some(alarm)) if alarm.keeper == ticket => Next::SleepUntil(alarm.at),
            (None, Some(_) | None) => Next::Sleep,
        }
    }

    fn withdraw(&mut self, ticket: Ticket, now: Instant) {
        self.pacer.withdraw(ticket);
        if let Some(seat) = self.seats.get_mut(&ticket) {
            seat.turn = None;
        }
        self.pass_on(ticket, now);
    }

    fn leave(&mut self, ticket: Ticket, now: Instant) {
        self.pacer.leave(ticket);
        self.seats.remove(&ticket);
        self.pass_on(ticket, now);
    }

    /// Sees to it that somebody else keeps the time, and that nobody waits for this transfer.
    fn pass_on(&mut self, ticket: Ticket, now: Instant) {
        self.alarm = self.alarm.filter(|alarm| alarm.keeper != ticket);
        self.decide(ticket, now);
    }

    /// Gives out the turns that are due and sets the alarm for the next. Wakes who has to know, but not the caller.
    fn decide(&mut self, caller: Ticket, now: Instant) {
        loop {
            match self.pacer.decide(now) {
                Decision::Idle => {
                    self.alarm = None;
                    return;
                }
                Decision::Turn { ticket, octets } => {
                    self.alarm = self.alarm.filter(|alarm| alarm.keeper != ticket);
                    if let Some(seat) = self.seats.get_mut(&ticket) {
                        seat.turn = Some(octets);
                    }
                    self.wake(ticket, caller);
                }
                Decision::Wait { ticket, until } => return self.set_alarm(ticket, until, caller),
            }
        }
    }

    /// Makes somebody who waits wake at a time: who keeps the time already, else this one.
    fn set_alarm(&mut self, ticket: Ticket, until: Instant, caller: Ticket) {
        let keeper = self.alarm.map_or(ticket, |alarm| alarm.keeper);
        // An alarm that rings too early only asks what the time is.
        let is_in_time = self.alarm.is_some_and(|alarm| alarm.at <= until);
        self.alarm = Some(Alarm { keeper, at: until });
        if !is_in_time {
            self.wake(keeper, caller);
        }
    }

    fn wake(&self, ticket: Ticket, caller: Ticket) {
        if ticket != caller
            && let Some(seat) = self.seats.get(&ticket)
        {
            seat.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
