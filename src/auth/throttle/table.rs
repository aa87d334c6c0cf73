//! Counters of failures, and of checks under way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::blocks::{Block, Blocks, Subject};
use super::settings::FailureLimit;

/// How many minutes of leaking a counter may be overdrawn by.
const OVERDRAFT: u32 = 10;

/// Counters in one generation; there are two. One takes about 64 octets.
pub(super) const CAPACITY: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) blocks: Blocks,
    young: HashMap<u64, Counter>,
    old: HashMap<u64, Counter>,
    /// Checks under way, of networks and accounts; none is here with zero.
    under_way: HashMap<u64, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    failures: f64,
    at: Instant,
}

impl Table {
    /// Returns a counter, at zero where there is none. Those not asked for while 50,000 others were are forgotten.
    fn counter(&mut self, key: u64, now: Instant) -> &mut Counter {
        if self.young.len() >= CAPACITY && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young
            .entry(key)
            .or_insert_with(|| old.remove(&key).unwrap_or_else(|| Counter::new(now)))
    }

    fn existing(&mut self, key: u64) -> Option<&mut Counter> {
        self.young.get_mut(&key).or_else(|| self.old.get_mut(&key))
    }

    /// Says how long to wait. What has no counter has not failed.
    pub(super) fn wait(
        &mut self,
        key: u64,
        limit: FailureLimit,
        now: Instant,
    ) -> Result<(), Duration> {
        let wait = self
            .existing(key)
            .map_or(Ok(()), |counter| counter.wait(limit, now));
        if wait.is_err() {
            self.blocks.refuse(key, now);
        }
        wait
    }

    /// Counts a failure that keeps nobody waiting.
    pub(super) fn count(&mut self, (key, limit): (u64, FailureLimit), now: Instant) {
        self.counter(key, now).add(limit, now);
    }

    /// Returns what a counter was at when it was asked for last.
    pub(super) fn failures(&self, key: u64) -> f64 {
        let counter = self.young.get(&key).or_else(|| self.old.get(&key));
        counter.map_or(0.0, |counter| counter.failures)
    }

    /// Counts a failure; returns the block that it begins, where that is news.
    pub(super) fn fail(
        &mut self,
        (key, limit): (u64, FailureLimit),
        subject: Subject,
        now: Instant,
    ) -> Option<Block> {
        let counter = self.counter(key, now);
        counter.add(limit, now);
        let wait = counter.wait(limit, now).err()?;
        self.blocks.begin(key, subject, wait, now)
    }

    /// Forgets failures.
    pub(super) fn clear(&mut self, keys: &[u64]) {
        for key in keys {
            if let Some(counter) = self.existing(*key) {
                counter.failures = 0.0;
            }
        }
    }

    /// Returns how many checks are under way.
    pub(super) fn under_way(&self, key: u64) -> u32 {
        self.under_way.get(&key).copied().unwrap_or(0)
    }

    /// Notes that a check begins.
    pub(super) fn begin(&mut self, key: u64) {
        let count = self.under_way.entry(key).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Notes that a check has ended.
    pub(super) fn end(&mut self, key: u64) {
        match self.under_way.get_mut(&key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.under_way.remove(&key)),
        }
    }
}

impl Counter {
    fn new(now: Instant) -> Self {
        Self {
            failures: 0.0,
            at: now,
        }
    }

    fn leak(&mut self, limit: FailureLimit, now: Instant) {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.failures = (self.failures - minutes * f64::from(limit.per_minute)).max(0.0);
        self.at = now;
    }

    fn wait(&mut self, limit: FailureLimit, now: Instant) -> Result<(), Duration> {
        self.leak(limit, now);
        let over = self.failures + 1.0 - f64::from(limit.burst);
        if over <= 0.0 {
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            over / f64::from(limit.per_minute) * 60.0,
        ))
    }

    fn add(&mut self, limit: FailureLimit, now: Instant) {
        self.leak(limit, now);
        let most = limit.burst + OVERDRAFT * limit.per_minute;
        self.failures = (self.failures + 1.0).min(f64::from(most));
    }
}

#[cfg(test)]
impl Table {
    /// Returns how many counters there are.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Returns whether no check is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.under_way.is_empty()
    }
}
