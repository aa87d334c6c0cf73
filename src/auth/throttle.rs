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
//! A login that is refused leaves nothing behind: only failures make counters, so that what one network can do to the
//! bounded table is bounded too. Who has logged in from where is kept apart: however many fail, from however many networks,
//! they do not make a user forgotten.

mod blocks;
mod known;
mod settings;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::pool::Turn;
use crate::identity::folded;

use blocks::Blocks;
pub use blocks::{Block, Subject};
use known::Known;
pub use settings::{FailureLimit, ThrottleSettings};

/// How many minutes of leaking a counter may be overdrawn by.
const OVERDRAFT: u32 = 10;

/// Checks of one network that may be under way at once.
const UNDER_WAY_BY_NETWORK: u32 = 128;

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
    settings: Arc<ThrottleSettings>,
    blocks: Blocks,
    known: Known,
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

/// The names of the three counters of one login; digests, so that their number costs little memory.
#[derive(Clone, Copy, Debug)]
struct Keys {
    network: u64,
    account: u64,
    pair: u64,
}

/// What a login is, as far as it is counted.
#[derive(Debug)]
struct Login {
    keys: Keys,
    name: Box<str>,
    network: IpNet,
    standing: Standing,
}

/// How much a login is held to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// It comes from where nobody is refused.
    Allowed,
    /// The account has logged in from there lately.
    Known,
    /// Neither.
    Stranger,
}

/// What a failure led to.
#[derive(Debug, Default)]
pub(super) struct Failure {
    /// How long the answer is to be held back.
    pub(super) delay: Duration,
    /// Whose logins are refused from now on, where that is news.
    pub(super) blocks: Vec<Block>,
}

/// The leave to check one password. Dropping it without a verdict counts as neither.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    throttle: &'a Throttle,
    login: Login,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            table: Mutex::default(),
        }
    }

    /// Puts other settings in force. What has been counted stays.
    pub(super) fn set(&self, settings: ThrottleSettings) {
        self.lock().settings = Arc::new(settings);
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
        let mut table = self.lock();
        let settings = Arc::clone(&table.settings);
        let (name, network) = (Box::from(folded(name)), settings.network_of(peer));
        let keys = self.keys(&name, network);
        let standing = if settings.allows(peer) {
            Standing::Allowed
        } else if table.known.has(keys.pair, now) {
            Standing::Known
        } else {
            Standing::Stranger
        };
        match standing {
            Standing::Allowed => {}
            Standing::Known => table.wait(keys.pair, settings.both, now)?,
            Standing::Stranger => {
                table.wait(keys.network, settings.network, now)?;
                table.wait(keys.account, settings.account, now)?;
                table.wait(keys.pair, settings.both, now)?;
            }
        }
        let login = Login {
            keys,
            name,
            network,
            standing,
        };
        if login.is_crowded(&table, &settings) {
            return Err(Duration::from_secs(1));
        }
        for key in login.under_way() {
            table.begin(key);
        }
        Ok(Leave {
            throttle: self,
            login,
        })
    }

    /// Returns whether anybody has logged in from the network of this address lately, or nobody is refused there.
    pub(super) fn is_familiar(&self, peer: IpAddr, now: Instant) -> bool {
        let table = self.lock();
        let network = table.settings.network_of(peer);
        table.settings.allows(peer) || table.known.has(self.hasher.hash_one(network), now)
    }

    /// Returns who is refused now.
    pub(super) fn blocks(&self, now: Instant) -> Vec<Block> {
        self.lock().blocks.list(now)
    }

    /// Forgets the failures of an account; returns how many blocks have ended.
    pub(super) fn release_account(&self, name: &str) -> usize {
        let name = folded(name);
        let mut table = self.lock();
        let mut keys = table.blocks.release_account(&name);
        let ended = keys.len();
        keys.push(self.hasher.hash_one(name.as_str()));
        table.clear(&keys);
        ended
    }

    /// Forgets the failures of the network with this address; returns how many blocks have ended.
    pub(super) fn release_address(&self, address: IpAddr) -> usize {
        let mut table = self.lock();
        let network = table.settings.network_of(address);
        let mut keys = table.blocks.release_address(address.to_canonical());
        let ended = keys.len();
        keys.push(self.hasher.hash_one(network));
        table.clear(&keys);
        ended
    }

    fn keys(&self, name: &str, network: IpNet) -> Keys {
        Keys {
            network: self.hasher.hash_one(network),
            account: self.hasher.hash_one(name),
            pair: self.hasher.hash_one((name, network)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    /// Returns what the check is under way for. Those of a known pair do not hold up the account elsewhere, nor are
    /// they held up by those from elsewhere.
    fn under_way(&self) -> impl Iterator<Item = u64> + use<> {
        let network = (self.standing != Standing::Allowed).then_some(self.keys.network);
        let account = (self.standing == Standing::Stranger).then_some(self.keys.account);
        network.into_iter().chain(account)
    }

    /// Returns whether too many are under way already.
    fn is_crowded(&self, table: &Table, settings: &ThrottleSettings) -> bool {
        let of_network = || table.under_way(self.keys.network) >= UNDER_WAY_BY_NETWORK;
        let of_account = || table.under_way(self.keys.account) >= settings.account.burst;
        match self.standing {
            Standing::Allowed => false,
            Standing::Known => of_network(),
            Standing::Stranger => of_network() || of_account(),
        }
    }
}

impl Leave<'_> {
    /// Records that the password was right.
    pub(super) fn succeeded(self, now: Instant) {
        let mut table = self.throttle.lock();
        let keys = self.login.keys;
        table.clear(&[keys.pair]);
        table.known.note(keys.pair, now);
        table.known.note(keys.network, now);
    }

    /// Returns whose check comes first.
    pub(super) fn turn(&self) -> Turn {
        match self.login.standing {
            Standing::Allowed | Standing::Known => Turn::First,
            Standing::Stranger => Turn::Last,
        }
    }

    /// Records that the password was wrong; returns how long the answer is to be held back, and who is refused now.
    pub(super) fn failed(self, now: Instant) -> Failure {
        let mut table = self.throttle.lock();
        let settings = Arc::clone(&table.settings);
        let (keys, login) = (self.login.keys, &self.login);
        let mut blocks = Vec::new();
        match login.standing {
            Standing::Allowed => table.counter(keys.pair, now).add(settings.both, now),
            Standing::Known | Standing::Stranger => {
                let network = Subject::Network(login.network);
                blocks.extend(table.fail((keys.network, settings.network), network, now));
                let account = Subject::Account(login.name.clone());
                blocks.extend(table.fail((keys.account, settings.account), account, now));
                let both = Subject::Both(login.name.clone(), login.network);
                blocks.extend(table.fail((keys.pair, settings.both), both, now));
            }
        }
        let failures = table.counter(keys.pair, now).failures;
        let over = failures - f64::from(settings.undelayed);
        let longest = settings.longest_delay.as_secs_f64();
        Failure {
            delay: Duration::from_secs_f64(over.clamp(0.0, longest)),
            blocks,
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut table = self.throttle.lock();
        for key in self.login.under_way() {
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

    /// Says how long to wait. What has no counter has not failed.
    fn wait(&mut self, key: u64, limit: FailureLimit, now: Instant) -> Result<(), Duration> {
        let wait = self
            .existing(key)
            .map_or(Ok(()), |counter| counter.wait(limit, now));
        if wait.is_err() {
            self.blocks.refuse(key, now);
        }
        wait
    }

    /// Counts a failure; returns the block that it begins, where that is news.
    fn fail(
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
    fn clear(&mut self, keys: &[u64]) {
        for key in keys {
            if let Some(counter) = self.existing(*key) {
                counter.failures = 0.0;
            }
        }
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
mod tests;
