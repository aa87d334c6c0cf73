//! The routing table.

use std::collections::{BTreeMap, HashMap};

use crate::identity::{AccountName, Route, TenantName, UpstreamName};

/// The master switch: whether mail is accepted at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sending {
    /// `[relay] enabled = false`: nothing is accepted.
    Disabled,
    /// Mail is accepted.
    Enabled,
}

/// What a tenant says about routes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TenantRoute {
    /// Where to look when the tenant has no route of its own.
    pub parent: Option<TenantName>,
    /// Its own route.
    pub route: Option<Route>,
}

/// All routes of one configuration, resolved when it is made: a look-up walks no chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    sending: Sending,
    accounts: HashMap<AccountName, Route>,
    tenants: HashMap<TenantName, Route>,
    global: Option<Route>,
}

impl Table {
    /// Makes a table of the global route and the tenants.
    ///
    /// A tenant without a route takes that of its nearest ancestor with one, else the global one. A parent that
    /// does not exist ends the chain; a chain that runs in a circle ends where it began.
    pub fn new(
        sending: Sending,
        global: Option<Route>,
        tenants: &HashMap<TenantName, TenantRoute>,
    ) -> Self {
        let resolved = tenants.keys().filter_map(|name| {
            let route = inherited(name, tenants).or_else(|| global.clone())?;
            Some((name.clone(), route))
        });
        Self {
            sending,
            accounts: HashMap::new(),
            tenants: resolved.collect(),
            global,
        }
    }

    /// Adds an account. Its own route counts before that of its tenant; without a tenant the global one is taken.
    pub fn add_account(
        &mut self,
        account: AccountName,
        tenant: Option<&TenantName>,
        own: Option<Route>,
    ) {
        let route = own.or_else(|| match tenant {
            Some(tenant) => self.tenants.get(tenant).cloned(),
            None => self.global.clone(),
        });
        if let Some(route) = route {
            self.accounts.insert(account, route);
        }
    }

    /// Returns the route of an account's mail, or `None` where it has none and where sending is disabled: nothing is
    /// accepted then.
    pub fn route(&self, account: &AccountName) -> Option<Route> {
        match self.sending {
            Sending::Enabled => self.configured_route(account),
            Sending::Disabled => None,
        }
    }

    /// Returns the route of an account's mail whether or not sending is enabled: for mail that was accepted before,
    /// and for explanations.
    pub fn configured_route(&self, account: &AccountName) -> Option<Route> {
        self.accounts.get(account).cloned()
    }

    /// Returns the table with other upstreams in the place of some. One that comes twice into a route stays where it is
    /// first.
    #[must_use]
    pub fn with_stand_ins(&self, stand_ins: &BTreeMap<UpstreamName, UpstreamName>) -> Self {
        let changed = |route: &Route| replaced(route, stand_ins);
        let accounts = self.accounts.iter();
        let tenants = self.tenants.iter();
        Self {
            sending: self.sending,
            accounts: accounts
                .map(|(name, route)| (name.clone(), changed(route)))
                .collect(),
            tenants: tenants
                .map(|(name, route)| (name.clone(), changed(route)))
                .collect(),
            global: self.global.as_ref().map(changed),
        }
    }

    /// Returns the global route, which also takes the mail of posthouse itself that belongs to no account.
    pub fn global(&self) -> Option<&Route> {
        self.global.as_ref()
    }

    /// Returns the position of the master switch.
    pub fn sending(&self) -> Sending {
        self.sending
    }
}

fn replaced(route: &Route, stand_ins: &BTreeMap<UpstreamName, UpstreamName>) -> Route {
    let mut upstreams: Vec<UpstreamName> = Vec::new();
    for name in route.upstreams() {
        let mut last = name;
        // A stand-in may have one itself; a circle ends.
        for _ in 0..stand_ins.len() {
            last = stand_ins.get(last).unwrap_or(last);
        }
        if !upstreams.contains(last) {
            upstreams.push(last.clone());
        }
    }
    Route::new(upstreams).unwrap_or_else(|| route.clone())
}

fn inherited(name: &TenantName, tenants: &HashMap<TenantName, TenantRoute>) -> Option<Route> {
    let mut current = Some(name);
    // No chain without a circle is longer than the number of tenants.
    for _ in 0..tenants.len() {
        let tenant = tenants.get(current?)?;
        if let Some(route) = &tenant.route {
            return Some(route.clone());
        }
        current = tenant.parent.as_ref();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str) -> Route {
        Route::new(vec![UpstreamName::parse(name).unwrap()]).unwrap()
    }

    fn account(name: &str) -> AccountName {
        AccountName::parse(name).unwrap()
    }

    fn tenant(name: &str) -> TenantName {
        TenantName::parse(name).unwrap()
    }

    fn tenants(list: &[(&str, Option<&str>, Option<&str>)]) -> HashMap<TenantName, TenantRoute> {
        list.iter()
            .map(|(name, parent, own)| {
                let (parent, route) = (parent.map(tenant), own.map(route));
                (tenant(name), TenantRoute { parent, route })
            })
            .collect()
    }

    /// The route of an account of that tenant.
    fn of(table: &mut Table, of_tenant: Option<&str>, own: Option<&str>) -> Option<Route> {
        let of_tenant = of_tenant.map(tenant);
        table.add_account(account("alice"), of_tenant.as_ref(), own.map(route));
        table.route(&account("alice"))
    }

    #[test]
    fn a_stand_in_takes_the_place_of_an_upstream() {
        let names = |list: &[&str]| {
            list.iter()
                .map(|n| UpstreamName::parse(n).unwrap())
                .collect()
        };
        let route = |list: &[&str]| Route::new(names(list)).unwrap();
        let stand_ins = |list: &[(&str, &str)]| {
            let name = |text: &str| UpstreamName::parse(text).unwrap();
            list.iter()
                .map(|(from, to)| (name(from), name(to)))
                .collect()
        };
        let global = Some(route(&["main", "spare"]));
        let mut table = Table::new(Sending::Enabled, global, &HashMap::new());
        table.add_account(account("alice"), None, None);
        for (list, expected) in [
            (&[][..], &["main", "spare"][..]),
            (&[("main", "other")], &["other", "spare"]),
            (&[("main", "spare")], &["spare"]),
            (
                &[("main", "other"), ("other", "third")],
                &["third", "spare"],
            ),
        ] {
            let changed = table.with_stand_ins(&stand_ins(list));
            assert_eq!(changed.route(&account("alice")), Some(route(expected)));
            assert_eq!(changed.global(), Some(&route(expected)));
        }
        let circle = stand_ins(&[("main", "spare"), ("spare", "main")]);
        assert!(table.with_stand_ins(&circle).global().is_some());
    }

    #[test]
    fn the_accounts_own_route_comes_first() {
        let tenants = tenants(&[("acme", None, Some("acme"))]);
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &tenants);
        assert_eq!(
            of(&mut table, Some("acme"), Some("own")),
            Some(route("own"))
        );
        assert_eq!(of(&mut table, Some("acme"), None), Some(route("acme")));
        assert_eq!(of(&mut table, None, None), Some(route("main")));
    }

    #[test]
    fn a_tenant_inherits_from_the_nearest_ancestor_with_a_route() {
        let tenants = tenants(&[
            ("provider", None, Some("provider")),
            ("reseller", Some("provider"), None),
            ("acme", Some("reseller"), None),
        ]);
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &tenants);
        assert_eq!(of(&mut table, Some("acme"), None), Some(route("provider")));
    }

    #[test]
    fn a_tenant_without_ancestors_takes_the_global_route() {
        let tenants = tenants(&[("acme", None, None)]);
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &tenants);
        assert_eq!(of(&mut table, Some("acme"), None), Some(route("main")));
    }

    #[test]
    fn a_circle_of_tenants_ends() {
        let tenants = tenants(&[("a", Some("b"), None), ("b", Some("a"), None)]);
        let mut table = Table::new(Sending::Enabled, None, &tenants);
        assert_eq!(of(&mut table, Some("a"), None), None);
    }

    #[test]
    fn the_master_switch_stops_everything() {
        let mut table = Table::new(Sending::Disabled, Some(route("main")), &HashMap::new());
        assert_eq!(of(&mut table, None, None), None);
        assert_eq!(
            table.configured_route(&account("alice")),
            Some(route("main"))
        );
    }

    #[test]
    fn an_account_that_does_not_exist_has_no_route() {
        let table = Table::new(Sending::Enabled, Some(route("main")), &HashMap::new());
        assert_eq!(table.route(&account("nobody")), None);
    }

    #[test]
    fn an_account_of_an_unknown_tenant_has_no_route() {
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &HashMap::new());
        assert_eq!(of(&mut table, Some("gone"), None), None);
    }
}
