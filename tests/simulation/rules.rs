//! What must hold after every step.

use std::collections::{BTreeMap, BTreeSet};

use posthouse::clock::Timestamp;
use posthouse::mail::Priority;
use posthouse::spool::{Claim, Entry, EntryState, Lease};

/// Returns whether a message may be claimed.
fn is_ready(entry: &Entry, now: Timestamp) -> bool {
    entry.state == EntryState::Pending && entry.due <= now
}

/// No message was left that has a higher priority than one that was claimed; of an account none that is older.
pub(crate) fn check_order(before: &[Entry], claim: &Claim<'_>, leases: &[Lease]) {
    let claimed: BTreeSet<_> = leases.iter().map(|lease| lease.id).collect();
    let left = before.iter().filter(|entry| {
        is_ready(entry, claim.now)
            && claim.routes.contains(&entry.message.route)
            && !claimed.contains(&entry.id)
    });
    for entry in left {
        for lease in leases {
            let (ours, theirs) = (&lease.message, &entry.message);
            assert!(
                ours.priority <= theirs.priority,
                "{} of priority {} goes before {} of priority {}",
                lease.id,
                ours.priority,
                entry.id,
                theirs.priority
            );
            let is_same_flow = ours.account == theirs.account
                && ours.tenant == theirs.tenant
                && ours.route == theirs.route
                && ours.priority == theirs.priority;
            assert!(
                !is_same_flow || lease.id < entry.id,
                "{} goes before the older {} of its account",
                lease.id,
                entry.id
            );
        }
    }
}

/// Tenant, then account.
type Flow = (Option<String>, Option<String>);

/// What flows have had since they began to wait together, by priority.
#[derive(Debug, Default)]
pub(crate) struct Fairness {
    tenants: BTreeMap<Priority, Served<Option<String>>>,
    accounts: BTreeMap<(Priority, Option<String>), Served<Option<String>>>,
    largest: u64,
}

#[derive(Debug)]
struct Served<K> {
    octets: BTreeMap<K, u64>,
}

impl<K> Default for Served<K> {
    fn default() -> Self {
        Self {
            octets: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord> Served<K> {
    /// Those who wait now and did not before begin with what the others have had least.
    fn wait(&mut self, waiting: &BTreeSet<K>) {
        self.octets.retain(|key, _| waiting.contains(key));
        let least = self.octets.values().min().copied().unwrap_or_default();
        for key in waiting {
            self.octets.entry(key.clone()).or_insert(least);
        }
    }

    /// Returns by how much the one who is served is ahead of the one who has had least, before it is served.
    fn serve(&mut self, key: &K, cost: u64) -> u64 {
        let least = self.octets.values().min().copied().unwrap_or_default();
        let had = self.octets.entry(key.clone()).or_insert(least);
        let ahead = *had - least;
        *had += cost;
        ahead
    }
}

/// What a transaction counts for besides its octets.
const TRANSACTION: u64 = 1024;

impl Fairness {
    /// Nobody is served who is ahead of another that waits by more than the two largest messages, and one for what the other
    /// may still owe from before it began to wait.
    pub(crate) fn check(&mut self, before: &[Entry], now: Timestamp, leases: &[Lease]) {
        let mut left: BTreeMap<_, (Flow, Priority, u64)> = BTreeMap::new();
        for entry in before.iter().filter(|entry| is_ready(entry, now)) {
            let message = &entry.message;
            let name = |name: &dyn ToString| name.to_string();
            let flow = (
                message.tenant.as_ref().map(|tenant| name(tenant)),
                message.account.as_ref().map(|account| name(account)),
            );
            let cost = entry.size + TRANSACTION;
            self.largest = self.largest.max(cost);
            left.insert(entry.id, (flow, message.priority, cost));
        }
        for lease in leases {
            let Some(((tenant, account), priority, cost)) = left.get(&lease.id).cloned() else {
                continue;
            };
            let of_rank = left.values().filter(|(_, rank, _)| *rank == priority);
            let tenants: BTreeSet<_> = of_rank
                .clone()
                .map(|((tenant, _), ..)| tenant.clone())
                .collect();
            let accounts: BTreeSet<_> = of_rank
                .filter(|((other, _), ..)| *other == tenant)
                .map(|((_, account), ..)| account.clone())
                .collect();
            let served = self.tenants.entry(priority).or_default();
            served.wait(&tenants);
            let ahead = served.serve(&tenant, cost);
            assert!(
                ahead <= 3 * self.largest,
                "{}: tenant {tenant:?} is {ahead} ahead",
                lease.id
            );
            let served = self.accounts.entry((priority, tenant)).or_default();
            served.wait(&accounts);
            let ahead = served.serve(&account, cost);
            assert!(
                ahead <= 3 * self.largest,
                "{}: account {account:?} is {ahead} ahead",
                lease.id
            );
            left.remove(&lease.id);
        }
    }
}
