//! What became of each numbered message: one clock, one place, written by generator and sink.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, SystemClock};

/// Times and copies of messages `0..count`. Times are nanoseconds since the ledger was made; 0 means never.
pub(crate) struct Ledger {
    origin: Instant,
    ended: Vec<AtomicU64>,
    accepted: Vec<AtomicU64>,
    arrived: Vec<AtomicU64>,
    copies: Vec<AtomicU8>,
    accepted_total: AtomicU64,
    arrived_total: AtomicU64,
    strays: AtomicU64,
}

/// What a comparison of acknowledged and arrived messages showed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Balance {
    /// Acknowledged by the relay.
    pub(crate) accepted: u64,
    /// Arrived at the sink at least once.
    pub(crate) arrived: u64,
    /// Acknowledged and never arrived.
    pub(crate) lost: u64,
    /// Copies beyond the first.
    pub(crate) copies: u64,
    /// Arrived with a number that was never sent, or with the content of another message.
    pub(crate) strays: u64,
}

impl Balance {
    /// Returns whether each acknowledged message arrived exactly once.
    pub(crate) fn is_even(self) -> bool {
        self.lost == 0 && self.copies == 0 && self.strays == 0
    }
}

impl Ledger {
    /// Makes a ledger for `count` messages.
    pub(crate) fn new(count: u64) -> Self {
        let times = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            origin: SystemClock.instant(),
            ended: times(),
            accepted: times(),
            arrived: times(),
            copies: (0..count).map(|_| AtomicU8::new(0)).collect(),
            accepted_total: AtomicU64::new(0),
            arrived_total: AtomicU64::new(0),
            strays: AtomicU64::new(0),
        }
    }

    /// Returns the time since the ledger was made.
    pub(crate) fn elapsed(&self) -> Duration {
        SystemClock.instant() - self.origin
    }

    /// The last octet of the message is about to be written to the relay.
    pub(crate) fn end_of_data(&self, number: u64) {
        self.store(&self.ended, number);
    }

    /// The relay has answered for the message.
    pub(crate) fn accept(&self, number: u64) {
        self.store(&self.accepted, number);
        self.accepted_total.fetch_add(1, Ordering::Relaxed);
    }

    /// The message is complete at the sink; `content` is the number inside it.
    pub(crate) fn arrive(&self, number: Option<u64>, content: Option<u64>) {
        let known = number.filter(|_| number == content);
        let Some(copies) = known.and_then(|known| slot(&self.copies, known)) else {
            self.strays.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let earlier = copies.load(Ordering::Relaxed);
        copies.store(earlier.saturating_add(1), Ordering::Relaxed);
        if earlier == 0 {
            if let Some(known) = known {
                self.store(&self.arrived, known);
            }
            self.arrived_total.fetch_add(1, Ordering::Release);
        }
    }

    /// Returns how many messages were acknowledged so far.
    pub(crate) fn accepted_total(&self) -> u64 {
        self.accepted_total.load(Ordering::Relaxed)
    }

    /// Returns how many different messages have arrived so far.
    pub(crate) fn arrived_total(&self) -> u64 {
        self.arrived_total.load(Ordering::Acquire)
    }

    /// Compares what was acknowledged with what arrived.
    pub(crate) fn balance(&self) -> Balance {
        self.balance_of(0..u64::MAX)
    }

    /// Compares what was acknowledged with what arrived of these messages.
    pub(crate) fn balance_of(&self, numbers: Range<u64>) -> Balance {
        let mut balance = Balance {
            strays: self.strays.load(Ordering::Relaxed),
            ..Balance::default()
        };
        let accepted = slots(&self.accepted, &numbers).iter();
        for (accepted, copies) in accepted.zip(slots(&self.copies, &numbers)) {
            let accepted = accepted.load(Ordering::Relaxed) != 0;
            let copies = u64::from(copies.load(Ordering::Relaxed));
            balance.accepted += u64::from(accepted);
            balance.arrived += u64::from(copies > 0);
            balance.lost += u64::from(accepted && copies == 0);
            balance.copies += copies.saturating_sub(1);
        }
        balance
    }

    /// Returns the nanoseconds from the making of the ledger to the last acknowledgement and the last arrival.
    pub(crate) fn last_times(&self) -> (u64, u64) {
        let last = |times: &[AtomicU64]| {
            let times = times.iter().map(|time| time.load(Ordering::Relaxed));
            times.max().unwrap_or(0)
        };
        (last(&self.accepted), last(&self.arrived))
    }

    /// Returns, sorted, the nanoseconds from end of data at the client to complete at the sink, of these messages.
    pub(crate) fn latencies_of(&self, numbers: Range<u64>) -> Vec<u64> {
        self.since_end_of_data(&self.arrived, &numbers)
    }

    /// Returns, sorted, the nanoseconds from end of data at the client to the acknowledgement, of these messages.
    pub(crate) fn acknowledgements_of(&self, numbers: Range<u64>) -> Vec<u64> {
        self.since_end_of_data(&self.accepted, &numbers)
    }

    fn since_end_of_data(&self, times: &[AtomicU64], numbers: &Range<u64>) -> Vec<u64> {
        let ended = slots(&self.ended, numbers).iter();
        let pairs = ended.zip(slots(times, numbers));
        let mut spans: Vec<u64> = pairs
            .map(|(end, time)| (end.load(Ordering::Relaxed), time.load(Ordering::Relaxed)))
            .filter(|&(end, time)| end != 0 && time != 0)
            .map(|(end, time)| time.saturating_sub(end))
            .collect();
        spans.sort_unstable();
        spans
    }

    fn store(&self, times: &[AtomicU64], number: u64) {
        if let Some(time) = slot(times, number) {
            let nanos = u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX);
            time.store(nanos.max(1), Ordering::Relaxed);
        }
    }
}

fn slot<T>(slots: &[T], number: u64) -> Option<&T> {
    usize::try_from(number)
        .ok()
        .and_then(|index| slots.get(index))
}

fn slots<'a, T>(slots: &'a [T], numbers: &Range<u64>) -> &'a [T] {
    let bound = |number| usize::try_from(number).map_or(slots.len(), |at| at.min(slots.len()));
    let (from, to) = (bound(numbers.start), bound(numbers.end));
    slots.get(from..to).unwrap_or_default()
}
