//! Who has logged in from where lately, and the file of it, so that a restart in the middle of an attack does not make a
//! stranger of everybody.
//!
//! Text, written whole and now and then:
//!
//! ```text
//! posthouse known-clients 1
//! alice 192.0.2.7/32 1795000000000
//! ```
//!
//! A line for each pair of an account and a network: when it was known last, in milliseconds since 1970, to the hour. Lines
//! that are not understood are left out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::Keys;
use crate::clock::Timestamp;
use crate::identity::AccountName;

/// How long a pair, or a network, is known after a success.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// How long after one success another is news.
const NEWS_AFTER: Duration = Duration::from_hours(1);

/// Entries of one generation; there are two.
const CAPACITY: usize = 50_000;

/// The first line of the file.
const HEAD: &str = "posthouse known-clients 1";

/// Pairs of an account and a network, and the networks. Only a right password brings one in, so nobody who has none makes
/// others forgotten.
#[derive(Debug, Default)]
pub(super) struct Known {
    young: HashMap<u64, Seen>,
    old: HashMap<u64, Seen>,
    /// Whether something is new since it was written last.
    has_changed: bool,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    /// Whose login it was, and from where; `None` of a network alone.
    pair: Option<Arc<Pair>>,
}

impl Seen {
    fn is_known(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < LIFETIME
    }
}

/// An account and a network that it has logged in from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pair {
    pub(super) account: Box<str>,
    pub(super) network: IpNet,
}

impl Known {
    /// Returns whether a pair, or a network, has logged in within a week before `now`.
    pub(super) fn has(&self, key: u64, now: Instant) -> bool {
        let seen = self.young.get(&key).or_else(|| self.old.get(&key));
        seen.is_some_and(|seen| seen.is_known(now))
    }

    /// Returns whether it is worth noting that a pair has logged in: a login of the last hour tells the same.
    pub(super) fn is_news(&self, keys: Keys, now: Instant) -> bool {
        [keys.pair, keys.network].iter().any(|key| {
            let seen = self.young.get(key);
            seen.is_none_or(|seen| now.saturating_duration_since(seen.since) >= NEWS_AFTER)
        })
    }

    /// Notes a success. Those that did not log in while 50,000 others did are forgotten.
    pub(super) fn note(&mut self, keys: Keys, pair: Pair, since: Instant) {
        self.insert(keys.network, Seen { since, pair: None });
        let pair = Some(Arc::new(pair));
        self.insert(keys.pair, Seen { since, pair });
        self.has_changed = true;
    }

    fn insert(&mut self, key: u64, seen: Seen) {
        if self.young.len() >= CAPACITY && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        match self.young.get_mut(&key) {
            // Lines of a file are in no order.
            Some(known) if known.since > seen.since => {}
            Some(known) => *known = seen,
            None => drop(self.young.insert(key, seen)),
        }
    }

    /// Returns whether something is new since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Lets the next [`take_changed`](Self::take_changed) say so again.
    pub(super) fn not_written(&mut self) {
        self.has_changed = true;
    }

    /// Returns the pairs that are known at `now`, and since when; the latest generation last, so that it is that of whoever
    /// notes them in this order.
    pub(super) fn pairs(&self, now: Instant) -> Vec<(Arc<Pair>, Instant)> {
        let seen = self.old.values().chain(self.young.values());
        let known = seen.filter(|seen| seen.is_known(now));
        known
            .filter_map(|seen| Some((Arc::clone(seen.pair.as_ref()?), seen.since)))
            .collect()
    }
}

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Moment {
    pub(in crate::auth) instant: Instant,
    pub(in crate::auth) civil: Timestamp,
}

impl Moment {
    fn civil_of(self, instant: Instant) -> Timestamp {
        let age = self.instant.saturating_duration_since(instant).as_millis();
        let age = u64::try_from(age).unwrap_or(u64::MAX);
        Timestamp::from_unix_millis(self.civil.unix_millis().saturating_sub(age))
    }

    /// `None` where it lies before the clock that does not jump. What is said to be in the future is now.
    fn instant_of(self, civil: Timestamp) -> Option<Instant> {
        self.instant.checked_sub(self.civil.since(civil))
    }
}

/// Returns the text of the file.
pub(super) fn text(pairs: &[(Arc<Pair>, Instant)], now: Moment) -> String {
    let mut text = format!("{HEAD}\n");
    for (pair, since) in pairs {
        let Pair { account, network } = &**pair;
        let at = now.civil_of(*since).unix_millis();
        // Writing to a string does not fail. What is no name of an account has nobody to be known as.
        if AccountName::parse(account).is_ok() {
            let _ = writeln!(text, "{account} {network} {at}");
        }
    }
    text
}

/// Returns what stands in a file.
///
/// # Errors
/// It is none of ours.
pub(super) fn parse(text: &str, now: Moment) -> io::Result<impl Iterator<Item = (Pair, Instant)>> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err(io::Error::other("it is no list of known clients"));
    }
    Ok(lines.filter_map(move |line| {
        // Names have no spaces.
        let mut words = line.split(' ');
        let account = AccountName::parse(words.next()?).ok()?;
        let network = words.next()?.parse().ok()?;
        let at = Timestamp::from_unix_millis(words.next()?.parse().ok()?);
        let account = account.as_str().into();
        Some((Pair { account, network }, now.instant_of(at)?))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn keys(pair: u64) -> Keys {
        Keys {
            network: u64::MAX - pair,
            account: 0,
            pair,
        }
    }

    fn pair(account: &str) -> Pair {
        Pair {
            account: account.into(),
            network: "192.0.2.0/24".parse().unwrap(),
        }
    }

    fn moment() -> Moment {
        Moment {
            instant: SystemClock.instant(),
            civil: Timestamp::from_unix_millis(1_795_000_000_000),
        }
    }

    #[test]
    fn a_pair_is_known_for_a_week_after_its_last_login() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        known.note(keys(1), pair("alice"), now);
        let later = now + LIFETIME.saturating_sub(Duration::from_secs(1));
        assert!(known.has(1, later));
        assert!(!known.has(1, now + LIFETIME));
        assert!(!known.has(2, now));
        known.note(keys(1), pair("alice"), later);
        assert!(known.has(1, now + LIFETIME));
    }

    #[test]
    fn another_login_within_the_hour_is_no_news() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        assert!(known.is_news(keys(1), now));
        known.note(keys(1), pair("alice"), now);
        assert!(!known.is_news(keys(1), now + Duration::from_mins(59)));
        assert!(known.is_news(keys(1), now + NEWS_AFTER));
    }

    #[test]
    fn the_number_of_pairs_is_bounded_and_the_latest_stay() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        for number in 0..2 * CAPACITY as u64 {
            known.note(keys(number), pair("alice"), now);
        }
        assert!(known.young.len() + known.old.len() <= 2 * CAPACITY);
        assert!(known.has(2 * CAPACITY as u64 - 1, now));
    }

    #[test]
    fn what_is_written_is_read_again_with_its_age() {
        let (mut known, now) = (Known::default(), moment());
        let day = Duration::from_hours(24);
        let login = now.instant.checked_sub(day).unwrap();
        known.note(keys(1), pair("alice"), login);
        known.note(keys(2), pair("no name"), login);
        assert!(known.take_changed());
        assert!(!known.take_changed());
        let text = text(&known.pairs(now.instant), now);
        assert_eq!(
            text,
            "posthouse known-clients 1\nalice 192.0.2.0/24 1794913600000\n"
        );
        let read: Vec<_> = parse(&text, now).unwrap().collect();
        assert_eq!(read, [(pair("alice"), login)]);
    }

    #[test]
    fn who_has_not_come_for_a_week_is_not_written() {
        let (mut known, now) = (Known::default(), SystemClock.instant());
        known.note(keys(1), pair("alice"), now);
        assert_eq!(known.pairs(now).len(), 1);
        assert_eq!(known.pairs(now + LIFETIME), []);
    }

    #[test]
    fn a_foreign_file_is_refused_and_a_damaged_line_left_out() {
        let now = moment();
        assert!(parse("something else\n", now).is_err());
        let text = format!("{HEAD}\nalice 192.0.2.0\nalice 192.0.2.0/24 9999999999999\n\u{0}\n");
        let read: Vec<_> = parse(&text, now).unwrap().collect();
        assert_eq!(
            read,
            [(pair("alice"), now.instant)],
            "nothing is later than now"
        );
    }
}
