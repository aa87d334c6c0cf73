//! What one account or tenant has sent lately. Pure: time is an argument.

use std::time::Duration;

use super::limits::{Amounts, Limits, Measure};
use crate::clock::Timestamp;
use crate::schedule::{Counted, Rate, Room, Window};

/// How far ahead mail over a limit may be planned, at most.
pub(super) const HORIZON: Duration = Duration::from_hours(24);

/// How soon those should ask again who are kept out only by messages that are still coming in.
const IN_PROGRESS: Duration = Duration::from_secs(5);

/// The windows of one account or tenant.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    windows: Vec<(Measure, Window)>,
    /// What messages take that are coming in, and are counted when they are complete.
    held: Amounts,
}

/// A limit that is in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Bound {
    pub(super) measure: Measure,
    pub(super) rate: Rate,
    /// From when on there is room; `None`: never, for so much at once.
    pub(super) at: Option<Timestamp>,
}

/// Something that was counted in one window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Taken {
    measure: Measure,
    span: Duration,
    counted: Counted,
}

/// What one window has counted, as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) measure: Measure,
    pub(super) span: Duration,
    pub(super) counted: Vec<Counted>,
}

impl Meter {
    /// Makes a meter that has counted nothing.
    pub(super) fn new(limits: &Limits) -> Self {
        let windows = limits
            .rates()
            .map(|(measure, rate)| (measure, Window::new(rate).with_plans(HORIZON)));
        Self {
            windows: windows.collect(),
            held: Amounts::default(),
        }
    }

    /// Returns whether so much may be accepted now.
    ///
    /// # Errors
    /// The limit that is in the way for longest.
    pub(super) fn room(&self, amounts: Amounts, now: Timestamp) -> Result<(), Bound> {
        let bounds = self.windows.iter().filter_map(|(measure, window)| {
            let (amount, rate) = (amounts.of(*measure), window.rate());
            if amount == 0 {
                return None;
            }
            let held = self.held.of(*measure);
            let at = match window.room(amount.saturating_add(held), now) {
                Room::Now => return None,
                Room::At(time) => Some(time),
                Room::Never if amount > rate.count().get() => None,
                Room::Never => Some(now.after(IN_PROGRESS)),
            };
            Some(Bound {
                measure: *measure,
                rate,
                at,
            })
        });
        bounds.max_by_key(Bound::severity).map_or(Ok(()), Err)
    }

    /// Returns the first time from `from` on for which so much may be planned, and the limit that says so.
    ///
    /// # Errors
    /// The limit under which there is no such time.
    pub(super) fn pace(
        &self,
        amounts: Amounts,
        from: Timestamp,
    ) -> Result<(Timestamp, Option<Bound>), Bound> {
        let mut found = (from, None);
        for (measure, window) in &self.windows {
            let amount = amounts.of(*measure);
            if amount == 0 {
                continue;
            }
            let (measure, rate) = (*measure, window.rate());
            let count = rate.count().get();
            let bound = |at| Bound { measure, rate, at };
            if amount > count {
                return Err(bound(None));
            }
            // What is coming in comes first, as far as the rate has room for both.
            let with_held = amount.saturating_add(self.held.of(measure)).min(count);
            let at = window.pace(with_held, from);
            if let Some(at) = at.filter(|at| *at > found.0) {
                found = (at, Some(bound(Some(at))));
            }
        }
        Ok(found)
    }

    /// Counts so much at `at`.
    pub(super) fn take(&mut self, amounts: Amounts, at: Timestamp) -> Vec<Taken> {
        let windows = self.windows.iter_mut();
        let taken = windows.map(|(measure, window)| {
            let amount = amounts.of(*measure);
            Taken {
                measure: *measure,
                span: window.rate().span(),
                counted: Counted {
                    at: window.take(amount, at),
                    amount,
                },
            }
        });
        taken.collect()
    }

    /// Takes back what did not happen after all.
    pub(super) fn give_back(&mut self, taken: &[Taken]) {
        for taken in taken {
            let of_same = |(measure, window): &&mut (Measure, Window)| {
                *measure == taken.measure && window.rate().span() == taken.span
            };
            if let Some((_, window)) = self.windows.iter_mut().find(of_same) {
                window.give_back(taken.counted.amount, taken.counted.at);
            }
        }
    }

    /// Keeps room for a message that is coming in.
    pub(super) fn hold(&mut self, amounts: Amounts) {
        self.held = self.held.plus(amounts);
    }

    /// Ends [`Meter::hold`].
    pub(super) fn release(&mut self, amounts: Amounts) {
        self.held = self.held.minus(amounts);
    }

    /// Returns whether there is nothing to remember.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        let is_empty = |(_, window): &(Measure, Window)| window.snapshot(now).next().is_none();
        self.held == Amounts::default() && self.windows.iter().all(is_empty)
    }

    /// Returns what has been counted and still counts.
    pub(super) fn records(&self, now: Timestamp) -> Vec<Record> {
        let records = self.windows.iter().map(|(measure, window)| Record {
            measure: *measure,
            span: window.rate().span(),
            counted: window.snapshot(now).collect(),
        });
        records
            .filter(|record| !record.counted.is_empty())
            .collect()
    }

    /// Counts what was counted before, under whatever limits: each window takes over that of its own span, else the
    /// longest of its measure.
    pub(super) fn restore(&mut self, records: &[Record], now: Timestamp) {
        for (measure, window) in &mut self.windows {
            let span = window.rate().span();
            let best = records
                .iter()
                .filter(|record| record.measure == *measure)
                .max_by_key(|record| (record.span == span, record.span));
            if let Some(record) = best {
                window.restore(record.counted.iter().copied(), now);
            }
        }
    }

    /// Goes over to other limits with what has been counted.
    pub(super) fn adopt(&mut self, limits: &Limits, now: Timestamp) {
        let mut meter = Self::new(limits);
        meter.restore(&self.records(now), now);
        meter.held = self.held;
        *self = meter;
    }
}

impl Bound {
    /// Orders limits by how long they are in the way.
    pub(super) fn severity(&self) -> Timestamp {
        self.at.unwrap_or(Timestamp::MAX)
    }
}
