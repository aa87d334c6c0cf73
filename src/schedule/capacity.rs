//! What one upstream is given: how many attempts at once, how many in a time, and what of both is kept in reserve for
//! urgent mail.

use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::mail::Priority;

use super::concurrency::{Concurrency, Load};
use super::condition::{Availability, Change, Condition, Moment, Report};
use super::rate::Rate;
use super::window::{Room, Window};

/// Bounds on what an upstream is given, as configured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bounds {
    /// Attempts that may run at once.
    pub connections: usize,
    /// How many of them only mail of priority 1 and 2 may use. Where fewer than that may run, one at least is for all.
    pub reserved: usize,
    /// How many attempts may begin in a time.
    pub rates: Vec<Rate>,
}

/// What an upstream can take now. Whoever begins an attempt takes a part of it and gives it back at the end.
#[derive(Debug)]
pub struct Capacity {
    bounds: Bounds,
    condition: Condition,
    concurrency: Concurrency,
    windows: Vec<Window>,
    busy: Busy,
    /// Whether one of the attempts finds out if the upstream works again.
    is_probed: bool,
}

/// Attempts that run or may begin.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    urgent: usize,
    other: usize,
}

/// Which part of the capacity is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Share {
    /// All of it: for priorities 1 and 2.
    Urgent,
    /// All but what is kept in reserve.
    Other,
}

/// Attempts that may begin, taken from a [`Capacity`]: turn it into [`Taken`]s by [`Capacity::begin`], and give the rest
/// back by [`Capacity::give_back`].
#[derive(Debug)]
#[must_use = "what is not given back is lost to the upstream"]
pub struct Allowance {
    /// How many.
    pub at_most: usize,
    /// For messages of this priority and above.
    pub lowest: Priority,
    share: Share,
    purpose: Purpose,
    /// As when they are counted, one for each rate.
    counted: Vec<Timestamp>,
}

/// One attempt that runs. Give it to [`Capacity::end`].
#[derive(Clone, Copy, Debug)]
#[must_use = "what is not ended is lost to the upstream"]
pub struct Taken {
    share: Share,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// To see whether the upstream works again.
    Probe,
    /// To relay.
    Work,
}

/// One in so many attempts of a rate is kept for urgent mail.
const RESERVE: u64 = 20;

impl Capacity {
    /// Makes the capacity of an upstream of which nothing is known yet.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            condition: Condition::fresh(now),
            concurrency: Concurrency::new(bounds.connections),
            windows: bounds.rates.iter().copied().map(Window::new).collect(),
            busy: Busy::default(),
            is_probed: false,
            bounds,
        }
    }

    /// Takes over what runs, what counts for rates, and that it is parked, from the capacity that this one replaces.
    #[must_use]
    pub fn after(mut self, before: &Self, now: Instant, steady: Timestamp) -> Self {
        self.condition = before.condition.reloaded(now);
        self.busy = before.busy;
        for window in &mut self.windows {
            let span = window.rate().span();
            let same = before.windows.iter();
            if let Some(same) = same.rev().find(|other| other.rate().span() == span) {
                window.restore(same.snapshot(steady), steady);
            }
        }
        self
    }

    /// Returns how many attempts run.
    pub fn busy(&self) -> usize {
        self.busy.urgent + self.busy.other
    }

    /// Returns how many attempts may run at once now.
    pub fn limit(&self) -> usize {
        self.concurrency.limit().min(self.bounds.connections)
    }

    /// Takes over what is known of the upstream from the process before.
    #[must_use]
    pub fn with_condition(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// Lets the next attempt be made at once: see [`Condition::hurry`].
    pub fn hurry(&mut self, now: Instant) {
        self.condition.hurry(now);
    }

    /// Returns how the upstream fares.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Returns whether it may be tried now, were there connections enough.
    pub fn availability(&self, now: Instant) -> Availability {
        self.condition.availability(now)
    }

    /// Returns whether an attempt is under way that finds out if it works again.
    pub fn is_probed(&self) -> bool {
        self.is_probed
    }

    /// Takes what may begin now, at most so many; `None` where nothing may. `steady` is `now` for rates.
    pub fn allow(&mut self, at_most: usize, now: Instant, steady: Timestamp) -> Option<Allowance> {
        let (bound, purpose) = match self.condition.availability(now) {
            Availability::Closed { .. } => return None,
            Availability::Open => (at_most, Purpose::Work),
            Availability::Probe if self.is_probed => return None,
            Availability::Probe => (at_most.min(1), Purpose::Probe),
        };
        let allowed = [Share::Other, Share::Urgent]
            .into_iter()
            .find_map(|share| {
                let free = self.free(share).min(bound);
                self.count(share, free, steady)
                    .map(|(at_most, counted)| Allowance {
                        at_most,
                        lowest: share.lowest(),
                        share,
                        purpose,
                        counted,
                    })
            })?;
        *self.busy.of(allowed.share) += allowed.at_most;
        self.is_probed |= purpose == Purpose::Probe;
        Some(allowed)
    }

    fn free(&self, share: Share) -> usize {
        let limit = self.limit();
        let free = limit.saturating_sub(self.busy());
        match share {
            Share::Urgent => free,
            Share::Other => {
                let others = limit - self.reserved();
                free.min(others.saturating_sub(self.busy.other))
            }
        }
    }

    /// Returns how many of the connections that may be used now are for urgent mail alone: never the last one.
    fn reserved(&self) -> usize {
        self.bounds.reserved.min(self.limit().saturating_sub(1))
    }

    /// Counts as many attempts as all rates allow, `wanted` at most; returns how many and as when they count.
    fn count(
        &mut self,
        share: Share,
        wanted: usize,
        steady: Timestamp,
    ) -> Option<(usize, Vec<Timestamp>)> {
        let fits = |count: usize| {
            let has_room = |window: &Window| {
                let amount = share.kept_of(window.rate()) + count as u64;
                window.room(amount, steady) == Room::Now
            };
            self.windows.iter().all(has_room)
        };
        let count = (1..=wanted).rev().find(|count| fits(*count))?;
        let windows = self.windows.iter_mut();
        let counted = windows.map(|window| window.take(count as u64, steady));
        Some((count, counted.collect()))
    }

    /// Returns when to ask again where connections are free but a rate is used up.
    pub fn next_look(&self, now: Instant, steady: Timestamp) -> Option<Instant> {
        if self.free(Share::Urgent) == 0 {
            return None;
        }
        let share = if self.free(Share::Other) > 0 {
            Share::Other
        } else {
            Share::Urgent
        };
        let waits = self.windows.iter().filter_map(|window| {
            let amount = share.kept_of(window.rate()) + 1;
            match window.room(amount, steady) {
                Room::At(time) => Some(time.since(steady).max(SHORTEST_WAIT)),
                Room::Never | Room::Now => None,
            }
        });
        waits.max().map(|wait| now + wait)
    }

    /// Begins an attempt for a message of this priority, which the allowance must allow.
    pub fn begin(&mut self, allowance: &mut Allowance, priority: Priority) -> Taken {
        allowance.at_most = allowance.at_most.saturating_sub(1);
        let share = Share::of(priority);
        self.busy.release(allowance.share);
        *self.busy.of(share) += 1;
        Taken {
            share,
            purpose: allowance.purpose,
        }
    }

    /// Gives back what of an allowance is not used.
    pub fn give_back(&mut self, allowance: Allowance) {
        let count = allowance.at_most;
        for _ in 0..count {
            self.busy.release(allowance.share);
        }
        for (window, counted) in self.windows.iter_mut().zip(allowance.counted) {
            window.give_back(count as u64, counted);
        }
        self.is_probed &= allowance.purpose == Purpose::Work || count == 0;
    }

    /// Notes that an attempt has ended.
    pub fn end(&mut self, taken: Taken) {
        self.busy.release(taken.share);
        self.is_probed &= taken.purpose == Purpose::Work;
    }

    /// Takes in what an attempt said of the upstream.
    pub fn record(&mut self, report: Report, load: Load, now: Moment) -> Change {
        // What is reserved is in use: other mail has no more than the rest, and fills that to the full.
        let kept = self.reserved().saturating_sub(self.busy.urgent);
        let busy = self.busy() + kept;
        self.concurrency
            .record(load, busy, report.began, now.instant);
        let change = self.condition.record(report, now);
        if change != Change::None {
            self.is_probed = false;
        }
        change
    }
}

impl Share {
    /// What a message of this priority may use.
    fn of(priority: Priority) -> Self {
        match priority {
            Priority::VeryHigh | Priority::High => Self::Urgent,
            Priority::Normal | Priority::Low | Priority::VeryLow => Self::Other,
        }
    }

    /// The lowest priority that may use it.
    const fn lowest(self) -> Priority {
        match self {
            Self::Urgent => Priority::High,
            Self::Other => Priority::VeryLow,
        }
    }

    /// How much of a rate this share leaves alone.
    fn kept_of(self, rate: Rate) -> u64 {
        match self {
            Self::Urgent => 0,
            Self::Other => rate.count().get() / RESERVE,
        }
    }
}

impl Busy {
    fn of(&mut self, share: Share) -> &mut usize {
        match share {
            Share::Urgent => &mut self.urgent,
            Share::Other => &mut self.other,
        }
    }

    fn release(&mut self, share: Share) {
        let count = self.of(share);
        *count = count.saturating_sub(1);
    }
}

/// Nobody looks again sooner than this for a rate.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::mail::Health;
    use crate::schedule::condition::Reason;

    const T0: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn capacity(connections: usize, reserved: usize, rates: &[&str]) -> Capacity {
        let bounds = Bounds {
            connections,
            reserved,
            rates: rates
                .iter()
                .map(|rate| Rate::parse(rate).unwrap())
                .collect(),
        };
        Capacity::new(bounds, SystemClock.instant())
    }

    fn report(health: Health, began: Instant) -> Report {
        Report {
            health,
            reason: Reason::default(),
            began,
        }
    }

    fn moment(instant: Instant) -> Moment {
        Moment { civil: T0, instant }
    }

    /// Begins all that may begin with messages of this priority; returns the attempts.
    fn fill(capacity: &mut Capacity, priority: Priority, at: Timestamp) -> Vec<Taken> {
        let (mut taken, now) = (Vec::new(), SystemClock.instant());
        while let Some(mut allowance) = capacity.allow(usize::MAX, now, at) {
            let is_allowed = priority <= allowance.lowest;
            while is_allowed && allowance.at_most > 0 {
                taken.push(capacity.begin(&mut allowance, priority));
            }
            capacity.give_back(allowance);
            if !is_allowed {
                break;
            }
        }
        taken
    }

    fn end(capacity: &mut Capacity, taken: Vec<Taken>) {
        for taken in taken {
            capacity.end(taken);
        }
    }

    #[test]
    fn one_connection_is_kept_for_urgent_mail() {
        let mut capacity = capacity(4, 1, &[]);
        assert_eq!(fill(&mut capacity, Priority::Normal, T0).len(), 3);
        assert_eq!(fill(&mut capacity, Priority::High, T0).len(), 1);
        assert_eq!(capacity.busy(), 4);
    }

    #[test]
    fn urgent_mail_may_use_every_connection() {
        let mut capacity = capacity(4, 1, &[]);
        assert_eq!(fill(&mut capacity, Priority::VeryHigh, T0).len(), 4);
    }

    #[test]
    fn urgent_mail_under_way_leaves_others_what_is_not_reserved() {
        let mut capacity = capacity(4, 1, &[]);
        let now = SystemClock.instant();
        let mut allowance = capacity.allow(1, now, T0).unwrap();
        let urgent = capacity.begin(&mut allowance, Priority::High);
        capacity.give_back(allowance);
        assert_eq!(fill(&mut capacity, Priority::Low, T0).len(), 3);
        capacity.end(urgent);
        assert!(fill(&mut capacity, Priority::Low, T0).is_empty());
    }

    #[test]
    fn connections_grow_though_one_is_kept() {
        let (mut capacity, now) = (capacity(20, 1, &[]), SystemClock.instant());
        let mut running = fill(&mut capacity, Priority::Normal, T0);
        for _ in 0..20 {
            let _change = capacity.record(report(Health::Good, now), Load::Borne, moment(now));
            running.extend(fill(&mut capacity, Priority::Normal, T0));
        }
        assert_eq!((capacity.limit(), running.len()), (20, 19));
    }

    #[test]
    fn connections_do_not_grow_while_others_have_one_free() {
        let (mut capacity, now) = (capacity(20, 1, &[]), SystemClock.instant());
        let mut running = fill(&mut capacity, Priority::Normal, T0);
        end(&mut capacity, running.split_off(2));
        let _change = capacity.record(report(Health::Good, now), Load::Borne, moment(now));
        assert_eq!(capacity.limit(), 4);
    }

    #[test]
    fn a_single_connection_is_for_all() {
        let mut capacity = capacity(1, 1, &[]);
        assert_eq!(fill(&mut capacity, Priority::Low, T0).len(), 1);
    }

    #[test]
    fn what_has_ended_or_was_not_used_is_free_again() {
        let mut capacity = capacity(2, 0, &["2/m"]);
        let now = SystemClock.instant();
        let allowance = capacity.allow(9, now, T0).unwrap();
        assert_eq!(allowance.at_most, 2);
        assert!(capacity.allow(9, now, T0).is_none());
        capacity.give_back(allowance);
        let taken = fill(&mut capacity, Priority::Normal, T0);
        assert_eq!(taken.len(), 2);
        end(&mut capacity, taken);
        // The connections are free, the rate is used up.
        assert_eq!(capacity.busy(), 0);
        assert!(capacity.allow(9, now, T0).is_none());
        let later = capacity.next_look(now, T0).unwrap();
        assert!(later > now && later <= now + Duration::from_secs(61));
        let later = T0.after(Duration::from_secs(61));
        assert_eq!(fill(&mut capacity, Priority::Normal, later).len(), 2);
    }

    #[test]
    fn a_twentieth_of_a_rate_is_kept_for_urgent_mail() {
        let mut capacity = capacity(4, 0, &["40/h"]);
        let mut count = 0;
        loop {
            let taken = fill(&mut capacity, Priority::Normal, T0);
            if taken.is_empty() {
                break;
            }
            count += taken.len();
            end(&mut capacity, taken);
        }
        assert_eq!(count, 38);
        assert_eq!(fill(&mut capacity, Priority::VeryHigh, T0).len(), 2);
    }

    #[test]
    fn a_probe_is_one_attempt() {
        let mut capacity = capacity(4, 0, &[]);
        let t0 = SystemClock.instant();
        let _change = capacity.record(report(Health::Unreachable, t0), Load::Strained, moment(t0));
        assert!(capacity.allow(4, t0, T0).is_none());
        let later = t0 + Duration::from_secs(5);
        let allowance = capacity.allow(4, later, T0).unwrap();
        assert_eq!(allowance.at_most, 1);
        assert!(capacity.allow(4, later, T0).is_none());
        capacity.give_back(allowance);
        assert!(capacity.allow(4, later, T0).is_some());
    }

    #[test]
    fn a_reload_forgets_neither_what_runs_nor_what_was_counted() {
        let mut before = capacity(4, 0, &["10/m"]);
        let taken = fill(&mut before, Priority::Normal, T0);
        assert_eq!(taken.len(), 4);
        let mut after = capacity(4, 0, &["5/m"]).after(&before, SystemClock.instant(), T0);
        assert_eq!(after.busy(), 4);
        end(&mut after, taken);
        assert_eq!(fill(&mut after, Priority::Normal, T0).len(), 1);
    }
}
