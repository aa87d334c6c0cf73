//! Whose limits hold for whose mail.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::{Limits, OverQuota};
use crate::identity::{AccountName, TenantName};

/// The limits of all accounts and tenants of one configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Table {
    accounts: HashMap<AccountName, Terms>,
    tenants: HashMap<TenantName, Ceilings>,
}

/// What a configuration says of a tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantLimits {
    /// The tenant above, whose limits hold too.
    pub parent: Option<TenantName>,
    /// What all accounts of the tenant, and of the tenants below it, may send together.
    pub limits: Limits,
}

/// A tenant and those above it, each with its limits.
type Ceilings = Arc<[(TenantName, Arc<Limits>)]>;

/// What holds for the mail of an account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Terms {
    pub(super) own: Arc<Limits>,
    pub(super) tenants: Ceilings,
    pub(super) over: OverQuota,
}

impl Table {
    /// Makes a table of the tenants. A parent that does not exist ends the chain; a chain that runs in a circle ends
    /// where it began.
    pub fn new(tenants: &HashMap<TenantName, TenantLimits>) -> Self {
        let limits: HashMap<&TenantName, Arc<Limits>> = tenants
            .iter()
            .map(|(name, tenant)| (name, Arc::new(tenant.limits.clone())))
            .collect();
        let ceilings = tenants.keys().map(|name| {
            let chain = chain(name, tenants).into_iter();
            let chain =
                chain.filter_map(|name| Some((name.clone(), Arc::clone(limits.get(name)?))));
            (name.clone(), chain.collect())
        });
        Self {
            accounts: HashMap::new(),
            tenants: ceilings.collect(),
        }
    }

    /// Adds an account with limits of its own, which may be shared with others that have the same.
    pub fn add_account(
        &mut self,
        account: AccountName,
        tenant: Option<&TenantName>,
        own: Arc<Limits>,
        over: OverQuota,
    ) {
        let tenants = tenant.and_then(|tenant| self.tenants.get(tenant));
        let terms = Terms {
            own,
            tenants: tenants.cloned().unwrap_or_default(),
            over,
        };
        self.accounts.insert(account, terms);
    }

    /// Returns the limits that hold for the mail of an account, its own and those of its tenants, in words.
    pub fn describe(&self, account: &AccountName) -> Vec<String> {
        let terms = self.terms(account);
        let own = terms.own.describe();
        let of_tenants = terms.tenants.iter().flat_map(|(name, limits)| {
            let limits = limits.describe().into_iter();
            limits.map(move |limit| format!("{limit} of tenant {name}"))
        });
        own.into_iter().chain(of_tenants).collect()
    }

    /// Returns what is done with mail of an account over these limits.
    pub fn over_quota(&self, account: &AccountName) -> OverQuota {
        self.accounts
            .get(account)
            .map_or_else(OverQuota::default, |terms| terms.over)
    }

    /// Returns what holds for the mail of an account: nothing for one that is not known.
    pub(super) fn terms(&self, account: &AccountName) -> Terms {
        self.accounts.get(account).cloned().unwrap_or_default()
    }

    /// Returns the limits of an account, without those of its tenant.
    pub(super) fn of_account(&self, account: &AccountName) -> Option<&Limits> {
        self.accounts.get(account).map(|terms| &*terms.own)
    }

    /// Returns the limits of a tenant, without those of its parent.
    pub(super) fn of_tenant(&self, tenant: &TenantName) -> Option<&Limits> {
        let (_, limits) = self.tenants.get(tenant)?.first()?;
        Some(limits)
    }
}

/// Returns a tenant and those above it.
fn chain<'a>(
    start: &'a TenantName,
    tenants: &'a HashMap<TenantName, TenantLimits>,
) -> Vec<&'a TenantName> {
    let mut chain = Vec::new();
    let mut next = Some(start);
    while let Some(name) = next {
        if chain.contains(&name) {
            break;
        }
        chain.push(name);
        next = tenants.get(name).and_then(|tenant| tenant.parent.as_ref());
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Rate;

    fn tenant(name: &str) -> TenantName {
        TenantName::parse(name).unwrap()
    }

    fn tenants(list: &[(&str, Option<&str>)]) -> HashMap<TenantName, TenantLimits> {
        let entry = |(name, parent): &(&str, Option<&str>)| {
            let limits = TenantLimits {
                parent: parent.map(tenant),
                limits: Limits {
                    messages: vec![Rate::parse("9/m").unwrap()],
                    ..Limits::default()
                },
            };
            (tenant(name), limits)
        };
        list.iter().map(entry).collect()
    }

    fn ceilings(list: &[(&str, Option<&str>)], of: &str) -> Vec<String> {
        let mut table = Table::new(&tenants(list));
        let account = AccountName::parse("alice").unwrap();
        table.add_account(
            account.clone(),
            Some(&tenant(of)),
            Arc::default(),
            OverQuota::Refuse,
        );
        let terms = table.terms(&account);
        terms
            .tenants
            .iter()
            .map(|(name, _)| name.to_string())
            .collect()
    }

    #[test]
    fn the_limits_of_all_tenants_above_hold() {
        let list = [
            ("acme", Some("reseller")),
            ("reseller", Some("provider")),
            ("provider", None),
        ];
        assert_eq!(ceilings(&list, "acme"), ["acme", "reseller", "provider"]);
        assert_eq!(ceilings(&list, "provider"), ["provider"]);
    }

    #[test]
    fn a_circle_of_tenants_ends_and_so_does_a_chain_to_nowhere() {
        assert_eq!(
            ceilings(&[("a", Some("b")), ("b", Some("a"))], "a"),
            ["a", "b"]
        );
        assert_eq!(ceilings(&[("a", Some("gone"))], "a"), ["a"]);
    }

    #[test]
    fn an_unknown_account_or_tenant_has_no_limits() {
        assert!(ceilings(&[], "gone").is_empty());
        let terms = Table::default().terms(&AccountName::parse("nobody").unwrap());
        assert_eq!(terms, Terms::default());
    }
}
