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
//! they do not make a user forgotten; and it outlives the process.

mod blocks;
mod known;
mod settings;
mod table;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::pool::Turn;
use crate::identity::folded;

use blocks::Blocks;
pub use blocks::{Block, Subject};
pub(super) use known::Moment;
use known::{Known, Pair};
pub use settings::{FailureLimit, ThrottleSettings};
use table::Table;

/// Checks of one network that may be under way at once; as many for strangers there as for those who are known.
const UNDER_WAY_BY_NETWORK: u32 = 128;

/// All counters. Those of logins that are let in for what they are, and those of strangers, are behind locks of their own:
/// whoever is known never waits for a crowd of strangers, one of whom may have been put aside by the system with its lock.
#[derive(Debug)]
pub(super) struct Throttle {
    hasher: RandomState,
    settings: RwLock<Arc<ThrottleSettings>>,
    known: RwLock<Known>,
    /// Of pairs that are known or allowed, and what is under way for them.
    familiar: Mutex<Table>,
    /// Of all others, and of what all failures together come to.
    strange: Mutex<Table>,
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
            settings: RwLock::default(),
            known: RwLock::default(),
            familiar: Mutex::default(),
            strange: Mutex::default(),
        }
    }

    /// Puts other settings in force. What has been counted stays.
    pub(super) fn set(&self, settings: ThrottleSettings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
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
        let settings = self.settings();
        let (name, network) = (Box::from(folded(name)), settings.network_of(peer));
        let keys = self.keys(&name, network);
        let standing = if settings.allows(peer) {
            Standing::Allowed
        } else if self.is_known(keys.pair, now) {
            Standing::Known
        } else {
            Standing::Stranger
        };
        let mut table = self.table(standing);
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
        drop(table);
        Ok(Leave {
            throttle: self,
            login,
        })
    }

    /// Returns whether anybody has logged in from the network of this address lately, or nobody is refused there.
    pub(super) fn is_familiar(&self, peer: IpAddr, now: Instant) -> bool {
        let settings = self.settings();
        let network = settings.network_of(peer);
        settings.allows(peer) || self.is_known(self.hasher.hash_one(network), now)
    }

    /// Returns who is refused now, for the longest time first.
    pub(super) fn blocks(&self, now: Instant) -> Vec<Block> {
        let mut blocks = self.table(Standing::Known).blocks.list(now);
        blocks.extend(self.table(Standing::Stranger).blocks.list(now));
        blocks.sort_by_key(|block| std::cmp::Reverse((block.age, block.refused)));
        blocks
    }

    /// Forgets the failures of an account; returns how many blocks have ended.
    pub(super) fn release_account(&self, name: &str) -> usize {
        let name = folded(name);
        let key = self.hasher.hash_one(name.as_str());
        self.release(key, |blocks| blocks.release_account(&name))
    }

    /// Forgets the failures of the network with this address; returns how many blocks have ended.
    pub(super) fn release_address(&self, address: IpAddr) -> usize {
        let key = self.hasher.hash_one(self.settings().network_of(address));
        let address = address.to_canonical();
        self.release(key, |blocks| blocks.release_address(address))
    }

    fn release(&self, key: u64, release: impl Fn(&mut Blocks) -> Vec<u64>) -> usize {
        let ended = [&self.familiar, &self.strange].map(|table| {
            let mut table = lock(table);
            let mut keys = release(&mut table.blocks);
            let ended = keys.len();
            keys.push(key);
            table.clear(&keys);
            ended
        });
        ended.iter().sum()
    }

    fn keys(&self, name: &str, network: IpNet) -> Keys {
        Keys {
            network: self.hasher.hash_one(network),
            account: self.hasher.hash_one(name),
            pair: self.hasher.hash_one((name, network)),
        }
    }

    fn settings(&self) -> Arc<ThrottleSettings> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings)
    }

    fn is_known(&self, key: u64, now: Instant) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.has(key, now)
    }

    /// Notes that a pair and its network are known. Most of the time that is no news, and then nobody waits for anybody.
    fn note(&self, keys: Keys, pair: Pair, now: Instant) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.is_news(keys, now);
        drop(known);
        if is_news {
            self.known_mut().note(keys, pair, now);
        }
    }

    /// Takes up who was known to the process before, from the text of its file.
    ///
    /// # Errors
    /// It is none of ours.
    pub(super) fn recall(&self, text: &str, now: Moment) -> io::Result<()> {
        let pairs = known::parse(text, now)?;
        let mut known = self.known_mut();
        for (pair, since) in pairs {
            known.note(self.keys(&pair.account, pair.network), pair, since);
        }
        Ok(())
    }

    /// Returns who is known, as the text of the file, where that is another than at the last call.
    pub(super) fn known_text(&self, now: Moment) -> Option<String> {
        if !self.known_mut().take_changed() {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let pairs = known.pairs(now.instant);
        // There may be 50,000, and whoever logs in would wait for their text.
        drop(known);
        Some(known::text(&pairs, now))
    }

    /// Lets the next [`known_text`](Self::known_text) return the text again: it could not be written.
    pub(super) fn known_not_written(&self) {
        self.known_mut().not_written();
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self, standing: Standing) -> MutexGuard<'_, Table> {
        lock(match standing {
            Standing::Allowed | Standing::Known => &self.familiar,
            Standing::Stranger => &self.strange,
        })
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (throttle, login) = (self.throttle, &self.login);
        throttle.table(login.standing).clear(&[login.keys.pair]);
        let pair = Pair {
            account: login.name.clone(),
            network: login.network,
        };
        throttle.note(login.keys, pair, now);
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
        let (throttle, login) = (self.throttle, &self.login);
        let (settings, keys) = (throttle.settings(), login.keys);
        let mut blocks = Vec::new();
        if login.standing != Standing::Allowed {
            let mut table = throttle.table(Standing::Stranger);
            let network = Subject::Network(login.network);
            blocks.extend(table.fail((keys.network, settings.network), network, now));
            let account = Subject::Account(login.name.clone());
            blocks.extend(table.fail((keys.account, settings.account), account, now));
        }
        let mut table = throttle.table(login.standing);
        let pair = (keys.pair, settings.both);
        if login.standing == Standing::Allowed {
            table.count(pair, now);
        } else {
            let both = Subject::Both(login.name.clone(), login.network);
            blocks.extend(table.fail(pair, both, now));
        }
        let over = table.failures(keys.pair) - f64::from(settings.undelayed);
        let longest = settings.longest_delay.as_secs_f64();
        Failure {
            delay: Duration::from_secs_f64(over.clamp(0.0, longest)),
            blocks,
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut table = self.throttle.table(self.login.standing);
        for key in self.login.under_way() {
            table.end(key);
        }
    }
}

#[cfg(test)]
mod tests;
