//! The sums over the queue as they cross the socket and as `queue stats --json` prints them.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::spool::{Census, Stats, Sum};

use super::view::Time;

/// The most names that one kind of sum has.
pub const MAX_TOP: usize = 1000;

/// What the queue holds, by several criteria.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CensusView {
    /// Messages that are not done.
    pub messages: u64,
    /// Octets of their headers and bodies.
    pub octets: u64,
    /// Those that wait for their due time or a free connection.
    pub pending: u64,
    /// Those that are held.
    pub held: u64,
    /// Those that are being attempted.
    pub leased: u64,
    /// Damaged records met since the start.
    pub damaged: u64,
    /// When the oldest message was accepted.
    pub oldest: Option<Time>,
    /// By priority, 1 to 5.
    pub priorities: Vec<SumView>,
    /// By the first upstream of the route, the longest first.
    pub upstreams: Vec<SumView>,
    /// By account, the longest first.
    pub accounts: Vec<SumView>,
    /// How many more accounts have messages.
    pub accounts_left_out: usize,
    /// By tenant, the longest first.
    pub tenants: Vec<SumView>,
    /// How many more tenants have messages.
    pub tenants_left_out: usize,
}

/// The messages that have something in common.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SumView {
    /// What they have in common; `None` for messages of posthouse itself.
    pub name: Option<String>,
    /// How many there are.
    pub messages: u64,
    /// Octets of their headers and bodies.
    pub octets: u64,
}

impl SumView {
    fn new(name: Option<String>, sum: Sum) -> Self {
        Self {
            name,
            messages: sum.messages,
            octets: sum.octets,
        }
    }
}

impl CensusView {
    pub(super) fn new(stats: Stats, census: &Census, top: usize) -> Self {
        let all = [census.pending, census.leased, census.held];
        let accounts = census.accounts.iter().map(|(account, sum)| {
            let name = account.as_ref().map(ToString::to_string);
            SumView::new(name, *sum)
        });
        let tenants = census.tenants.iter();
        let tenants = tenants.map(|(name, sum)| SumView::new(Some(name.to_string()), *sum));
        let upstreams = census.upstreams.iter();
        let upstreams = upstreams.map(|(name, sum)| SumView::new(Some(name.to_string()), *sum));
        let top = top.clamp(1, MAX_TOP);
        let (accounts, accounts_left_out) = longest(accounts.collect(), top);
        let (tenants, tenants_left_out) = longest(tenants.collect(), top);
        Self {
            messages: all.iter().map(|sum| sum.messages).sum(),
            octets: all.iter().map(|sum| sum.octets).sum(),
            pending: census.pending.messages,
            held: census.held.messages,
            leased: census.leased.messages,
            damaged: stats.damaged,
            oldest: census.oldest.map(|id| {
                let made = Timestamp::from_unix_millis(id.number() >> 16);
                Time(made)
            }),
            priorities: census
                .priorities
                .iter()
                .map(|(priority, sum)| SumView::new(Some(priority.number().to_string()), *sum))
                .collect(),
            upstreams: longest(upstreams.collect(), MAX_TOP).0,
            accounts,
            accounts_left_out,
            tenants,
            tenants_left_out,
        }
    }
}

/// Returns those with the most messages, and how many others there are.
fn longest(mut sums: Vec<SumView>, top: usize) -> (Vec<SumView>, usize) {
    sums.sort_by_key(|sum| Reverse(sum.messages));
    let left_out = sums.len().saturating_sub(top);
    sums.truncate(top);
    (sums, left_out)
}
