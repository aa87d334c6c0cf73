//! Makes those wait who guess passwords.
//!
//! Three leaky counters hold the failures: of a network (an IPv4 address, an IPv6 /64), of an account from anywhere,
//! and of the pair of both. A pair that has logged in before is held to its own counter alone. So a guesser is
//! slowed down wherever the guesses come from, and yet cannot lock out the user, who is known from elsewhere, nor
//! can a device with a wrong password lock out its office.
//!
//! Failures are counted when they are known; until then only the number of checks under way is bounded. Those that
//! were under way together may overdraw a counter, and are paid for by a longer wait: some ten minutes at most, so
//! that nobody can lock a user out for long.
//!
//! A login that is refused leaves nothing behind: only failures and successes make counters, so that what one network
//! can do to the bounded table is bounded too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::account::folded;

/// A leaky counter: so many failures at once, and so many more each minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Limit {
    burst: u32,
    per_minute: u32,
}

const BY_NETWORK: Limit = Limit {
    burst: 10,
    per_minute: 10,
};
const BY_ACCOUNT: Limit = Limit {
    burst: 60,
    per_minute: 1,
};
const BY_PAIR: Limit = Limit {
    burst: 5,
    per_minute: 2,
};

/// How many minutes of leaking a counter may be overdrawn by.
const OVERDRAFT: u32 = 10;

/// Checks of one network that may be under way at once.
const UNDER_WAY_BY_NETWORK: u32 = 128;

/// Checks of one account that may be under way at once, from where it is not known.
const UNDER_WAY_BY_ACCOUNT: u32 = BY_ACCOUNT.burst;

/// How long a pair is known after a success.
const KNOWN: Duration = Duration::from_hours(7 * 24);

/// Failures of a pair that are answered at once; each further one is answered a second later than the one before.
const UNDELAYED: f64 = 2.0;

/// The longest delay of an answer.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Counters in one generation; there are two. One takes about 64 octets.
const CAPACITY: usize = 50_000;

/// All counters.
#[derive(Debug)]
pub(super) struct Throttle {
    hasher: RandomState,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    young: HashMap<u64, Counter>,
    old: HashMap<u64, Counter>,
    /// Checks under way, of networks and accounts; none is here with zero.
    under_way: HashMap<u64, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    failures: f64,
    at: Instant,
    known_until: Option<Instant>,
}

/// The names of the three counters of one login; digests, so that their number costs little memory.
#[derive(Clone, Copy, Debug)]
struct Keys {
    network: u64,
    account: u64,
    pair: u64,
}

/// The leave to check one password. Dropping it without a verdict counts as neither.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    throttle: &'a Throttle,
    keys: Keys,
    is_known: bool,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            table: Mutex::default(),
        }
    }

    /// Allows a check, or says how long to wait before the next.
    ///
    /// # Errors
    /// The time until a check will be allowed.
    pub(super) fn admit(
        &self,
        name: &str,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Leave<'_>, Duration> {
        let keys = self.keys(name, peer);
        let mut table = self.lock();
        let is_known = table.is_known(keys.pair, now);
        if !is_known {
            table.wait(keys.network, BY_NETWORK, now)?;
            table.wait(keys.account, BY_ACCOUNT, now)?;
        }
        table.wait(keys.pair, BY_PAIR, now)?;
        let is_crowded = table.under_way(keys.network) >= UNDER_WAY_BY_NETWORK
            || !is_known && table.under_way(keys.account) >= UNDER_WAY_BY_ACCOUNT;
        if is_crowded {
            return Err(Duration::from_secs(1));
        }
        let leave = Leave {
            throttle: self,
            keys,
            is_known,
        };
        for key in leave.under_way() {
            table.begin(key);
        }
        Ok(leave)
    }

    fn keys(&self, name: &str, peer: IpAddr) -> Keys {
        let (name, network) = (folded(name), network_of(peer));
        Keys {
            network: self.hasher.hash_one(network),
            account: self.hasher.hash_one(&name),
            pair: self.hasher.hash_one((&name, network)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// Returns what the check is under way for. Those of a known pair do not hold up the account elsewhere, nor are
    /// they held up by those from elsewhere.
    fn under_way(&self) -> impl Iterator<Item = u64> + use<> {
        let account = (!self.is_known).then_some(self.keys.account);
        [self.keys.network].into_iter().chain(account)
    }

    /// Records that the password was right.
    pub(super) fn succeeded(self, now: Instant) {
        let mut table = self.throttle.lock();
        let pair = table.counter(self.keys.pair, now);
        pair.failures = 0.0;
        pair.known_until = now.checked_add(KNOWN);
    }

    /// Records that the password was wrong; returns how long the answer is to be held back.
    pub(super) fn failed(self, now: Instant) -> Duration {
        let mut table = self.throttle.lock();
        for (key, limit) in [
            (self.keys.network, BY_NETWORK),
            (self.keys.account, BY_ACCOUNT),
        ] {
            table.counter(key, now).add(limit, now);
        }
        let pair = table.counter(self.keys.pair, now);
        pair.add(BY_PAIR, now);
        Duration::from_secs_f64((pair.failures - UNDELAYED).clamp(0.0, LONGEST_DELAY.as_secs_f64()))
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut table = self.throttle.lock();
        for key in self.under_way() {
            table.end(key);
        }
    }
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

    /// Returns whether a pair has logged in lately.
    fn is_known(&mut self, pair: u64, now: Instant) -> bool {
        let until = self.existing(pair).and_then(|pair| pair.known_until);
        until.is_some_and(|until| now < until)
    }

    /// Says how long to wait. What has no counter has not failed.
    fn wait(&mut self, key: u64, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.existing(key)
            .map_or(Ok(()), |counter| counter.wait(limit, now))
    }

    fn under_way(&self, key: u64) -> u32 {
        self.under_way.get(&key).copied().unwrap_or(0)
    }

    fn begin(&mut self, key: u64) {
        let count = self.under_way.entry(key).or_insert(0);
        *count = count.saturating_add(1);
    }

    fn end(&mut self, key: u64) {
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
            known_until: None,
        }
    }

    fn leak(&mut self, limit: Limit, now: Instant) {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.failures = (self.failures - minutes * f64::from(limit.per_minute)).max(0.0);
        self.at = now;
    }

    fn wait(&mut self, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.leak(limit, now);
        let over = self.failures + 1.0 - f64::from(limit.burst);
        if over <= 0.0 {
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            over / f64::from(limit.per_minute) * 60.0,
        ))
    }

    fn add(&mut self, limit: Limit, now: Instant) {
        self.leak(limit, now);
        let most = limit.burst + OVERDRAFT * limit.per_minute;
        self.failures = (self.failures + 1.0).min(f64::from(most));
    }
}

/// The part of an address that its owner cannot change at will.
fn network_of(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Fails as often as is allowed, at most `times`; returns how often that was.
    fn guess(throttle: &Throttle, name: &str, peer: &str, now: Instant, times: usize) -> usize {
        (0..times)
            .take_while(|_| match throttle.admit(name, ip(peer), now) {
                Ok(leave) => {
                    leave.failed(now);
                    true
                }
                Err(_) => false,
            })
            .count()
    }

    fn log_in(throttle: &Throttle, name: &str, peer: &str, now: Instant) -> bool {
        let leave = throttle.admit(name, ip(peer), now);
        leave.map(|leave| leave.succeeded(now)).is_ok()
    }

    #[test]
    fn five_failures_of_an_account_from_one_address_make_it_wait() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert_eq!(guess(&throttle, "alice", "192.0.2.1", now, 100), 5);
        let wait = throttle.admit("alice", ip("192.0.2.1"), now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(30));
        assert!(log_in(&throttle, "alice", "192.0.2.1", now + wait));
    }

    #[test]
    fn ten_failures_of_an_address_make_it_wait_whatever_the_names() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let tried = (0..100)
            .filter(|n| guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1) == 1)
            .count();
        assert_eq!(tried, 10);
        let minute_later = now + Duration::from_mins(1);
        assert!(log_in(&throttle, "user99", "192.0.2.1", minute_later));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let tried = (0..100)
            .filter(|n| {
                let peer = format!("2001:db8::{n}");
                guess(&throttle, &format!("user{n}"), &peer, now, 1) == 1
            })
            .count();
        assert_eq!(tried, 10);
        assert!(log_in(&throttle, "user99", "2001:db8:0:1::1", now));
    }

    #[test]
    fn guesses_from_everywhere_are_slowed_down() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let tried = (0..200)
            .filter(|n| guess(&throttle, "alice", &format!("198.51.100.{n}"), now, 1) == 1)
            .count();
        assert_eq!(tried, 60);
    }

    #[test]
    fn a_guesser_does_not_lock_out_a_user_who_is_known() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        for n in 0..200 {
            guess(&throttle, "alice", &format!("198.51.100.{n}"), now, 1);
        }
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    }

    #[test]
    fn a_device_with_a_wrong_password_does_not_lock_out_its_office() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        for n in 0..20 {
            guess(&throttle, &format!("printer{n}"), "192.0.2.1", now, 1);
        }
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        assert!(!log_in(&throttle, "bob", "192.0.2.1", now));
    }

    #[test]
    fn a_success_does_not_pay_for_failures_with_other_names() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let tried = (0..100)
            .filter(|n| {
                log_in(&throttle, "mallory", "192.0.2.1", now);
                guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1) == 1
            })
            .count();
        assert_eq!(tried, 10);
    }

    #[test]
    fn unknown_names_are_made_to_wait_like_known_ones() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert_eq!(guess(&throttle, "nobody", "192.0.2.1", now, 100), 5);
        assert_eq!(guess(&throttle, "NoBody", "192.0.2.1", now, 100), 0);
    }

    #[test]
    fn checks_under_way_are_bounded_and_overdraw() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let leaves: Vec<_> = (0..200)
            .filter_map(|n| {
                throttle
                    .admit(&format!("user{n}"), ip("192.0.2.1"), now)
                    .ok()
            })
            .collect();
        assert_eq!(leaves.len(), 128);
        for leave in leaves {
            leave.failed(now);
        }
        let wait = throttle.admit("user0", ip("192.0.2.1"), now).unwrap_err();
        assert!(wait > Duration::from_mins(1), "{wait:?}");
        assert!(log_in(&throttle, "user0", "192.0.2.1", now + wait));
    }

    #[test]
    fn nobody_can_make_others_wait_much_longer_than_ten_minutes() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        for n in 0..200 {
            // As many as slip through together over time; not one of them waits.
            let leave = Leave {
                throttle: &throttle,
                keys: throttle.keys("alice", ip(&format!("203.0.113.{n}"))),
                is_known: false,
            };
            leave.failed(now);
        }
        let wait = throttle.admit("alice", ip("192.0.2.1"), now).unwrap_err();
        assert_eq!(wait, Duration::from_mins(11));
    }

    #[test]
    fn checks_of_an_account_under_way_are_bounded_and_leave_a_known_user_alone() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        let leaves: Vec<_> = (0..200)
            .filter_map(|n| {
                throttle
                    .admit("alice", ip(&format!("198.51.100.{n}")), now)
                    .ok()
            })
            .collect();
        assert_eq!(leaves.len(), 60);
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        drop(leaves);
        assert!(log_in(&throttle, "alice", "198.51.100.1", now));
        assert!(throttle.lock().under_way.is_empty());
    }

    #[test]
    fn refused_and_abandoned_logins_leave_no_counter() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        guess(&throttle, "alice", "192.0.2.1", now, 5);
        for n in 0..5 {
            guess(&throttle, &format!("user{n}"), "192.0.2.1", now, 1);
        }
        let count = |throttle: &Throttle| throttle.lock().young.len();
        let before = count(&throttle);
        for n in 0..1000 {
            assert!(
                throttle
                    .admit(&format!("other{n}"), ip("192.0.2.1"), now)
                    .is_err()
            );
            drop(
                throttle
                    .admit("bob", ip(&format!("2001:db8:{n}::1")), now)
                    .unwrap(),
            );
        }
        assert_eq!(count(&throttle), before);
    }

    #[test]
    fn one_address_cannot_make_others_forgotten() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
        for n in 0..3 * CAPACITY {
            guess(&throttle, &format!("user{n}"), "203.0.113.1", now, 1);
        }
        let known = throttle.keys("alice", ip("192.0.2.1")).pair;
        assert!(throttle.lock().is_known(known, now));
    }

    #[test]
    fn a_check_that_was_given_up_counts_as_nothing() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        for _ in 0..1000 {
            drop(throttle.admit("alice", ip("192.0.2.1"), now).unwrap());
        }
        assert!(log_in(&throttle, "alice", "192.0.2.1", now));
    }

    #[test]
    fn answers_to_failures_come_later_and_later() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        let delays: Vec<_> = (0..5)
            .map(|_| {
                let leave = throttle.admit("alice", ip("192.0.2.1"), now).unwrap();
                leave.failed(now).as_secs()
            })
            .collect();
        assert_eq!(delays, [0, 0, 1, 2, 3]);
    }

    #[test]
    fn the_number_of_counters_is_bounded() {
        let (throttle, now) = (Throttle::new(), SystemClock.instant());
        for n in 0..150_000_u32 {
            let leave = throttle.admit(&format!("user{n}"), IpAddr::from(n.to_be_bytes()), now);
            leave.unwrap().failed(now);
        }
        let table = throttle.lock();
        assert!(table.young.len() + table.old.len() <= 2 * CAPACITY);
    }
}
