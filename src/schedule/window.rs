//! Counts what happens, so that a rate is kept.

use std::collections::VecDeque;
use std::time::Duration;

use super::rate::Rate;
use crate::clock::Timestamp;

/// What has happened lately, as far as one [`Rate`] asks for it.
///
/// It never lets more through than the rate has in *any* span of time of the rate's length, and lets that much through
/// at once: the rate bounds, it does not smooth ([`Window::pace`] does). Its memory is bounded: what happens within a
/// sixtieth of the span is counted together, at the time of the last of it, so that room may come by that much too
/// late, never too early.
///
/// Time is an argument and should not jump; [`Steady`](crate::clock::Steady) gives such a time. Where it goes back by
/// less than the span, what has been counted goes on to count for as much longer; where it goes back further, the window
/// begins anew, so that nothing is blocked for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    rate: Rate,
    /// How far ahead of the present something may be counted.
    ahead: Duration,
    /// The oldest first. No two overlap.
    buckets: VecDeque<Bucket>,
}

/// Whether there is room for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// From this time on, if nothing else comes first.
    At(Timestamp),
    /// Not ever: it is more than the rate has.
    Never,
    /// Now.
    Now,
}

/// Something that was counted: an amount at a time. What [`Window::snapshot`] gives and a file may keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counted {
    /// When the last of it happened.
    pub at: Timestamp,
    /// How much.
    pub amount: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Bucket {
    first: Timestamp,
    last: Timestamp,
    amount: u64,
}

/// Into how many parts a span is divided.
const PARTS: u64 = 60;

impl Window {
    /// Makes a window in which nothing has happened.
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            ahead: Duration::ZERO,
            buckets: VecDeque::new(),
        }
    }

    /// Lets things be counted up to `ahead` before they happen, as [`Window::pace`] needs it.
    #[must_use]
    pub fn with_plans(self, ahead: Duration) -> Self {
        Self { ahead, ..self }
    }

    /// Returns the rate.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns whether `amount` may happen `now`, or from when on it may. What is planned for later comes first.
    pub fn room(&self, amount: u64, now: Timestamp) -> Room {
        if amount > self.rate.count().get() {
            return Room::Never;
        }
        let time = self.room_from(amount, now);
        // Without plans, what is counted for later tells only that the time went back.
        let is_now = time <= now || (self.ahead.is_zero() && time == self.latest(now));
        if is_now { Room::Now } else { Room::At(time) }
    }

    /// Returns the first time from `now` on at which `amount` may happen, evenly behind what is planned already; `None`
    /// where it never may. With [`Window::take`] at that time it is planned, and the next comes later.
    pub fn pace(&self, amount: u64, now: Timestamp) -> Option<Timestamp> {
        if amount > self.rate.count().get() {
            return None;
        }
        let latest = self.latest(now);
        let from = if latest > now {
            latest.after(self.rate.time_of(amount))
        } else {
            now
        };
        Some(self.room_from(amount, from))
    }

    /// Counts `amount`, whether there is room or not. Returns as when it counts, which [`Window::give_back`] asks for:
    /// `now`, or later where something is counted for later already.
    pub fn take(&mut self, amount: u64, now: Timestamp) -> Timestamp {
        if self.is_beyond_reach(now) {
            self.buckets.clear();
        }
        let now = now.max(self.latest(now));
        self.forget(now);
        if amount == 0 {
            return now;
        }
        if let Some(bucket) = self.buckets.back_mut()
            && (now == bucket.last || now < bucket.first.after(part(self.rate)))
        {
            bucket.last = now;
            bucket.amount = bucket.amount.saturating_add(amount);
            return now;
        }
        self.buckets.push_back(Bucket {
            first: now,
            last: now,
            amount,
        });
        now
    }

    /// Takes back what did not happen after all; `taken` is what [`Window::take`] returned.
    pub fn give_back(&mut self, amount: u64, taken: Timestamp) {
        let index = self.buckets.partition_point(|bucket| bucket.last < taken);
        let Some(bucket) = self.buckets.get_mut(index) else {
            return;
        };
        if bucket.first <= taken {
            bucket.amount = bucket.amount.saturating_sub(amount);
            if bucket.amount == 0 {
                self.buckets.remove(index);
            }
        }
    }

    /// Returns how much counts at `now`; where something is planned for later, at the last time it is planned for.
    pub fn used(&self, now: Timestamp) -> u64 {
        let counted = self.snapshot(now);
        counted.fold(0, |sum, counted| sum.saturating_add(counted.amount))
    }

    /// Returns what counts, as [`Window::used`] sums it up, the oldest first; at most 62 entries.
    pub fn snapshot(&self, now: Timestamp) -> impl Iterator<Item = Counted> + '_ {
        let from = now.max(self.latest(now));
        let is_reachable = !self.is_beyond_reach(now);
        self.buckets
            .iter()
            .filter(move |bucket| is_reachable && self.is_live(bucket, from))
            .map(|bucket| Counted {
                at: bucket.last,
                amount: bucket.amount,
            })
    }

    /// Counts what another window of the same or of another rate had counted, the oldest first.
    pub fn restore(&mut self, counted: impl IntoIterator<Item = Counted>, now: Timestamp) {
        for Counted { at, amount } in counted {
            self.take(amount, at);
        }
        if self.is_beyond_reach(now) {
            self.buckets.clear();
        }
        self.forget(now);
    }

    /// Returns the first time from `now` on, and not before anything that is counted, at which there is room.
    fn room_from(&self, amount: u64, now: Timestamp) -> Timestamp {
        let from = now.max(self.latest(now));
        let limit = self.rate.count().get();
        let mut missing = self.used(now).saturating_add(amount).saturating_sub(limit);
        if missing == 0 {
            return from;
        }
        for counted in self.snapshot(now) {
            missing = missing.saturating_sub(counted.amount);
            if missing == 0 {
                return counted.at.after(self.rate.span());
            }
        }
        from
    }

    /// Returns when the last of what is counted happened or will happen; zero where there is nothing.
    fn latest(&self, now: Timestamp) -> Timestamp {
        match self.buckets.back() {
            Some(bucket) if !self.is_beyond_reach(now) => bucket.last,
            Some(_) | None => Timestamp::default(),
        }
    }

    fn is_live(&self, bucket: &Bucket, now: Timestamp) -> bool {
        bucket.last.after(self.rate.span()) > now
    }

    /// Returns whether the time has gone back further than anything of the window can explain.
    fn is_beyond_reach(&self, now: Timestamp) -> bool {
        let reach = now.after(self.ahead).after(self.rate.span());
        self.buckets
            .back()
            .is_some_and(|bucket| bucket.last > reach)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.buckets.front()
            && !self.is_live(oldest, now)
        {
            self.buckets.pop_front();
        }
    }
}

/// Within how long what happens is counted together.
fn part(rate: Rate) -> Duration {
    let millis = u64::try_from(rate.span().as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.div_ceil(PARTS))
}

#[cfg(test)]
mod tests;
