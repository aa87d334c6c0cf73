//! Who has logged in from where lately.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a pair, or a network, is known after a success.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// How long after one success another is news.
const NEWS_AFTER: Duration = Duration::from_hours(1);

/// Entries of one generation; there are two.
const CAPACITY: usize = 50_000;

/// Pairs of an account and a network, and the networks. Only a right password brings one in, so nobody who has none makes
/// others forgotten.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashMap<u64, Instant>,
    old: HashMap<u64, Instant>,
}

impl Known {
    /// Returns whether a pair has logged in within a week before `now`.
    pub(super) fn has(&self, pair: u64, now: Instant) -> bool {
        let since = self.young.get(&pair).or_else(|| self.old.get(&pair));
        since.is_some_and(|since| now.saturating_duration_since(*since) < LIFETIME)
    }

    /// Returns whether it is worth noting that a pair has logged in: a login of the last hour tells the same.
    pub(super) fn is_news(&self, pair: u64, now: Instant) -> bool {
        let since = self.young.get(&pair);
        since.is_none_or(|since| now.saturating_duration_since(*since) >= NEWS_AFTER)
    }

    /// Notes a success. Those that did not log in while 50,000 others did are forgotten.
    pub(super) fn note(&mut self, pair: u64, now: Instant) {
        if self.young.len() >= CAPACITY && !self.young.contains_key(&pair) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(pair, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn a_pair_is_known_for_a_week_after_its_last_login() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        known.note(1, now);
        let later = now + LIFETIME.saturating_sub(Duration::from_secs(1));
        assert!(known.has(1, later));
        assert!(!known.has(1, now + LIFETIME));
        assert!(!known.has(2, now));
        known.note(1, later);
        assert!(known.has(1, now + LIFETIME));
    }

    #[test]
    fn the_number_of_pairs_is_bounded_and_the_latest_stay() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        for pair in 0..3 * CAPACITY as u64 {
            known.note(pair, now);
        }
        assert!(known.young.len() + known.old.len() <= 2 * CAPACITY);
        assert!(known.has(3 * CAPACITY as u64 - 1, now));
    }
}
