//! Who is refused now, by name: for operators, and so that each is told of once.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

/// How many are known by name. Those beyond are refused all the same.
const CAPACITY: usize = 10_000;

/// How long after the last failure or refusal another block is no news.
const EPISODE: Duration = Duration::from_hours(1);

/// How often those that are over are looked for where there is no room: it takes a look at all, and others wait meanwhile.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// Whose logins are refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// Those of an account, from wherever it is not known.
    Account(Box<str>),
    /// Those of an account from a network.
    Both(Box<str>, IpNet),
    /// Those from a network, of accounts that are not known there.
    Network(IpNet),
}

impl Subject {
    /// Returns the account, where it is about one: as it is compared, in lower case.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(account) | Self::Both(account, _) => Some(account),
            Self::Network(_) => None,
        }
    }

    /// Returns the network, where it is about one.
    pub fn network(&self) -> Option<IpNet> {
        match self {
            Self::Both(_, network) | Self::Network(network) => Some(*network),
            Self::Account(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => f.write_str(account),
            Self::Both(account, network) => write!(f, "{account} from {network}"),
            Self::Network(network) => write!(f, "{network}"),
        }
    }
}

/// That logins are refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// Whose.
    pub subject: Subject,
    /// For how long they have been, with pauses shorter than an hour.
    pub age: Duration,
    /// When the next try will be allowed.
    pub retry_after: Duration,
    /// How many were refused without a look at the password.
    pub refused: u64,
}

/// The blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    known: HashMap<u64, Known>,
    /// When those that are over were looked for last.
    tidied: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    subject: Subject,
    since: Instant,
    last: Instant,
    until: Instant,
    refused: u64,
}

impl Known {
    fn is_of_network(&self) -> bool {
        self.subject.network().is_some()
    }

    fn block(&self, now: Instant) -> Block {
        Block {
            subject: self.subject.clone(),
            age: now.saturating_duration_since(self.since),
            retry_after: self.until.saturating_duration_since(now),
            refused: self.refused,
        }
    }
}

impl Blocks {
    /// Notes that a counter is full until `wait` is over; returns the block where it is news.
    pub(super) fn begin(
        &mut self,
        key: u64,
        subject: Subject,
        wait: Duration,
        now: Instant,
    ) -> Option<Block> {
        let until = now.checked_add(wait).unwrap_or(now);
        if let Some(known) = self.known.get_mut(&key)
            && now.saturating_duration_since(known.last) < EPISODE
        {
            (known.last, known.until) = (now, until);
            return None;
        }
        if !self.has_room(&subject, now) {
            return None;
        }
        let known = Known {
            subject,
            since: now,
            last: now,
            until,
            refused: 0,
        };
        let block = known.block(now);
        self.known.insert(key, known);
        Some(block)
    }

    /// Makes room where there is none: for an account, by the block of a network if there is no other way. Whoever makes
    /// blocks without number, each from another network, keeps nobody from being told of an account's.
    fn has_room(&mut self, subject: &Subject, now: Instant) -> bool {
        if self.known.len() < CAPACITY {
            return true;
        }
        let is_due = |at| now.saturating_duration_since(at) >= TIDY_EVERY;
        if self.tidied.is_none_or(is_due) {
            self.tidied = Some(now);
            self.known
                .retain(|_, known| now.saturating_duration_since(known.last) < EPISODE);
            if self.known.len() < CAPACITY {
                return true;
            }
        }
        let of_network = match subject {
            Subject::Account(_) => self.known.iter().find(|(_, known)| known.is_of_network()),
            Subject::Both(..) | Subject::Network(_) => None,
        };
        let given_up = of_network.map(|(key, _)| *key);
        given_up.is_some_and(|key| self.known.remove(&key).is_some())
    }

    /// Counts a refusal.
    pub(super) fn refuse(&mut self, key: u64, now: Instant) {
        if let Some(known) = self.known.get_mut(&key) {
            known.last = now;
            known.refused = known.refused.saturating_add(1);
        }
    }

    /// Returns those that hold now, in no order.
    pub(super) fn list(&self, now: Instant) -> Vec<Block> {
        let known = self.known.values().filter(|known| now < known.until);
        known.map(|known| known.block(now)).collect()
    }

    /// Forgets those of an account, and returns their counters.
    pub(super) fn release_account(&mut self, account: &str) -> Vec<u64> {
        self.release(|subject| subject.account() == Some(account))
    }

    /// Forgets those of the networks with this address, and returns their counters.
    pub(super) fn release_address(&mut self, address: IpAddr) -> Vec<u64> {
        self.release(|subject| {
            let network = subject.network();
            network.is_some_and(|network| network.contains(&address))
        })
    }

    fn release(&mut self, is_meant: impl Fn(&Subject) -> bool) -> Vec<u64> {
        let meant = self
            .known
            .iter()
            .filter(|(_, known)| is_meant(&known.subject));
        let keys: Vec<u64> = meant.map(|(key, _)| *key).collect();
        for key in &keys {
            self.known.remove(key);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn account(name: &str) -> Subject {
        Subject::Account(name.into())
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_block_is_news_once_and_again_after_an_hour_of_rest() {
        let (mut blocks, now) = (Blocks::default(), SystemClock.instant());
        assert!(blocks.begin(1, account("alice"), MINUTE, now).is_some());
        for minute in 1..120 {
            let later = now + MINUTE * minute;
            assert!(blocks.begin(1, account("alice"), MINUTE, later).is_none());
        }
        let rested = now + MINUTE * 119 + EPISODE;
        assert!(blocks.begin(1, account("alice"), MINUTE, rested).is_some());
    }

    #[test]
    fn what_is_over_is_not_listed() {
        let (mut blocks, now) = (Blocks::default(), SystemClock.instant());
        blocks.begin(1, account("alice"), MINUTE, now);
        blocks.refuse(1, now);
        let listed = blocks.list(now);
        let block = listed.first().unwrap();
        assert_eq!((block.refused, block.retry_after), (1, MINUTE));
        assert!(blocks.list(now + MINUTE).is_empty());
    }

    #[test]
    fn blocks_of_networks_without_number_do_not_hide_that_of_an_account() {
        let (mut blocks, now) = (Blocks::default(), SystemClock.instant());
        for key in 0..20_000_u32 {
            let network = IpNet::from(IpAddr::from(key.to_be_bytes()));
            let subject = Subject::Both("x".into(), network);
            blocks.begin(u64::from(key), subject, MINUTE, now);
        }
        assert!(
            blocks
                .begin(90_000, account("alice"), MINUTE, now)
                .is_some()
        );
        assert!(
            blocks
                .list(now)
                .iter()
                .any(|block| block.subject == account("alice"))
        );
        assert_eq!(blocks.known.len(), CAPACITY);
    }

    #[test]
    fn the_number_of_blocks_is_bounded_and_old_ones_make_room() {
        let (mut blocks, now) = (Blocks::default(), SystemClock.instant());
        for key in 0..20_000 {
            blocks.begin(key, account("x"), MINUTE, now);
        }
        assert_eq!(blocks.known.len(), CAPACITY);
        assert!(blocks.begin(80_000, account("y"), MINUTE, now).is_none());
        assert!(
            blocks
                .begin(90_000, account("y"), MINUTE, now + EPISODE)
                .is_some()
        );
    }
}
