//! The policies that are known, by domain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::policy::Policy;
use crate::clock::Timestamp;

/// A policy that was fetched once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) policy: Arc<Policy>,
    /// The id that announced it.
    pub(super) id: Box<str>,
    pub(super) fetched: Timestamp,
}

/// What is known. There is at most one entry for each domain that an upstream names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Cache {
    entries: BTreeMap<Box<str>, Entry>,
}

/// A policy is fetched anew after this time, long before most of them are over (RFC 8461 §3.3 suggests a day).
const REFRESH: Duration = Duration::from_hours(24);

impl Entry {
    /// Returns whether it still counts.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        now.since(self.fetched) < self.policy.max_age
    }

    /// Returns whether it should be fetched anew: after a day, or when half of its time is over.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.fetched) >= REFRESH.min(self.policy.max_age / 2)
    }
}

impl Cache {
    /// Returns the entry of a domain, in lower case, if it still counts.
    pub(super) fn find(&self, domain: &str, now: Timestamp) -> Option<&Entry> {
        self.entries.get(domain).filter(|entry| entry.is_valid(now))
    }

    /// Puts an entry in the place of the domain's last one, and forgets what counts no more.
    pub(super) fn put(&mut self, domain: &str, entry: Entry) {
        let now = entry.fetched;
        self.entries.retain(|_, known| known.is_valid(now));
        self.entries.insert(domain.into(), entry);
    }

    /// Returns the domains whose policies should be fetched anew.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(Box<str>, Box<str>)> {
        let entries = self.entries.iter();
        let due = entries.filter(|(_, entry)| entry.is_valid(now) && entry.is_due(now));
        due.map(|(domain, entry)| (domain.clone(), entry.id.clone()))
            .collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(domain, entry)| (&**domain, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

    fn entry(max_age: u64) -> Entry {
        let file = format!("version: STSv1\nmode: none\nmax_age: {max_age}\n");
        Entry {
            policy: Arc::new(Policy::parse(file.as_bytes()).unwrap()),
            id: "1".into(),
            fetched: START,
        }
    }

    fn with(domain: &str, max_age: u64) -> Cache {
        let mut cache = Cache::default();
        cache.put(domain, entry(max_age));
        cache
    }

    #[test]
    fn a_policy_counts_until_its_time_is_over() {
        let cache = with("a.example", 60);
        let later = |seconds| START.after(Duration::from_secs(seconds));
        assert!(cache.find("a.example", later(59)).is_some());
        assert!(cache.find("a.example", later(60)).is_none());
        assert!(cache.find("b.example", later(0)).is_none());
    }

    #[test]
    fn a_clock_that_goes_back_ends_no_policy() {
        let cache = with("a.example", 60);
        assert!(
            cache
                .find("a.example", START.before(Duration::from_hours(1)))
                .is_some()
        );
    }

    #[test]
    fn a_policy_is_due_after_a_day_or_half_of_its_time() {
        for (max_age, seconds) in [(604_800, 86_400), (3600, 1800)] {
            let cache = with("a.example", max_age);
            let later = |seconds| START.after(Duration::from_secs(seconds));
            assert!(cache.due(later(seconds - 1)).is_empty(), "{max_age}");
            assert_eq!(cache.due(later(seconds)).len(), 1, "{max_age}");
        }
    }

    #[test]
    fn what_counts_no_more_is_forgotten() {
        let mut cache = with("a.example", 60);
        let fetched = START.after(Duration::from_mins(1));
        cache.put(
            "b.example",
            Entry {
                fetched,
                ..entry(60)
            },
        );
        assert_eq!(cache.entries().count(), 1);
    }
}
