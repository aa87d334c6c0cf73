//! Who has messages waiting, as numbers: four octets for each message instead of two names.

use std::collections::HashMap;

use crate::identity::{AccountName, TenantName};

/// Stands for an account and its tenant in the index.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PartyKey {
    pub(super) tenant: u32,
    pub(super) account: u32,
}

/// All accounts and tenants that have had messages since the start; as many as are configured, and few more.
///
/// Accounts without a tenant are together one tenant: the operator's own.
#[derive(Debug, Default)]
pub(super) struct Parties {
    tenants: Names<TenantName>,
    accounts: Names<AccountName>,
}

impl Parties {
    pub(super) fn key(
        &mut self,
        tenant: Option<&TenantName>,
        account: Option<&AccountName>,
    ) -> PartyKey {
        PartyKey {
            tenant: tenant.map_or(0, |tenant| self.tenants.number(tenant)),
            account: account.map_or(0, |account| self.accounts.number(account)),
        }
    }

    pub(super) fn tenant(&self, key: PartyKey) -> Option<&TenantName> {
        self.tenants.name(key.tenant)
    }

    pub(super) fn account(&self, key: PartyKey) -> Option<&AccountName> {
        self.accounts.name(key.account)
    }

    pub(super) fn names(&self, key: PartyKey) -> (Option<&TenantName>, Option<&AccountName>) {
        (self.tenants.name(key.tenant), self.account(key))
    }
}

/// Names by number, from 1 on; 0 stands for no name.
#[derive(Debug)]
struct Names<N> {
    numbers: HashMap<N, u32>,
    names: Vec<N>,
}

impl<N> Default for Names<N> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            names: Vec::new(),
        }
    }
}

impl<N: Clone + Eq + std::hash::Hash> Names<N> {
    fn number(&mut self, name: &N) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.clone());
        // Four thousand million accounts do not fit into memory.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.clone(), number);
        number
    }

    fn name(&self, number: u32) -> Option<&N> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.names.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_number_and_none_is_nobody() {
        let mut parties = Parties::default();
        let (alice, acme) = (
            AccountName::parse("alice").unwrap(),
            TenantName::parse("acme").unwrap(),
        );
        let key = parties.key(Some(&acme), Some(&alice));
        assert_eq!(key, parties.key(Some(&acme), Some(&alice)));
        assert_eq!(parties.account(key), Some(&alice));
        let nobody = parties.key(None, None);
        assert_ne!(nobody.tenant, key.tenant);
        assert_eq!(parties.account(nobody), None);
    }
}
