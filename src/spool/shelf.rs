//! The messages of one route and one rank that are ready: fair between tenants, inside a tenant between accounts, inside
//! an account the oldest first.

use std::collections::{BTreeMap, BTreeSet};

use crate::mail::QueueId;
use crate::schedule::Fair;

use super::parties::PartyKey;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    order: Fair<u32>,
    tenants: BTreeMap<u32, Tenant>,
}

#[derive(Debug, Default)]
struct Tenant {
    order: Fair<u32>,
    accounts: BTreeMap<u32, BTreeSet<QueueId>>,
}

impl Shelf {
    pub(super) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Returns how many tenants have messages here.
    pub(super) fn tenants(&self) -> usize {
        self.tenants.len()
    }

    pub(super) fn insert(&mut self, party: PartyKey, id: QueueId) {
        let tenant = self.tenants.entry(party.tenant).or_default();
        tenant.accounts.entry(party.account).or_default().insert(id);
        tenant.order.enter(party.account);
        self.order.enter(party.tenant);
    }

    /// Takes a message out; returns whether it was here.
    pub(super) fn remove(&mut self, party: PartyKey, id: QueueId) -> bool {
        let Some(tenant) = self.tenants.get_mut(&party.tenant) else {
            return false;
        };
        let Some(queue) = tenant.accounts.get_mut(&party.account) else {
            return false;
        };
        let was_here = queue.remove(&id);
        if queue.is_empty() {
            tenant.accounts.remove(&party.account);
            tenant.order.leave(party.account);
        }
        if tenant.accounts.is_empty() {
            self.tenants.remove(&party.tenant);
            self.order.leave(party.tenant);
        }
        was_here
    }

    /// Returns the message that is next.
    pub(super) fn first(&self) -> Option<(PartyKey, QueueId)> {
        let tenant = self.order.first()?;
        let within = self.tenants.get(&tenant)?;
        let account = within.order.first()?;
        let id = *within.accounts.get(&account)?.first()?;
        Some((PartyKey { tenant, account }, id))
    }

    /// Notes that a message of this party is served.
    pub(super) fn charge(&mut self, party: PartyKey, cost: u64) {
        self.order.charge(party.tenant, cost);
        if let Some(tenant) = self.tenants.get_mut(&party.tenant) {
            tenant.order.charge(party.account, cost);
        }
    }

    /// Returns the messages of each account with ids from `from` on, the oldest first.
    pub(super) fn queues(&self, from: QueueId) -> impl Iterator<Item = Queue<'_>> {
        let tenants = self.tenants.values();
        let queues = tenants.flat_map(|tenant| tenant.accounts.values());
        queues.map(move |queue| queue.range(from..))
    }

    /// Takes out the messages that are older than `before`, and returns them with whose they are.
    pub(super) fn take_older(&mut self, before: QueueId) -> Vec<(PartyKey, QueueId)> {
        let mut older = Vec::new();
        for (tenant, within) in &self.tenants {
            for (account, queue) in &within.accounts {
                let party = PartyKey {
                    tenant: *tenant,
                    account: *account,
                };
                older.extend(queue.range(..before).map(|id| (party, *id)));
            }
        }
        for (party, id) in &older {
            self.remove(*party, *id);
        }
        older
    }
}

/// The messages of one account, in the order of their ids.
pub(super) type Queue<'a> = std::collections::btree_set::Range<'a, QueueId>;
