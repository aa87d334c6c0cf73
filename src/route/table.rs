//! The routing table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::pattern::Pattern;
use super::rules::{Rule, Rules, Sender};
use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::mail::Mailbox;

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

/// Whose upstreams an account's mail takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owner {
    /// The account's own.
    Account,
    /// Those of `[relay]`.
    Global,
    /// Those of this tenant: the account's, or one above it.
    Tenant(TenantName),
}

/// Where a recipient's mail goes, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice<'a> {
    /// The upstreams in failover order.
    pub route: &'a Route,
    /// What has decided.
    pub basis: Basis<'a>,
}

/// What decides about a recipient's route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis<'a> {
    /// A `[[route]]`, and which of its patterns.
    Rule(&'a Rule, &'a Pattern),
    /// No `[[route]]` means the recipient: the upstreams of the account.
    Upstream(&'a Owner),
}

/// The route of a message that has been accepted before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placement {
    /// Where it goes.
    pub route: Route,
    /// Whether some of its recipients would go elsewhere.
    pub is_divided: bool,
}

/// All routes of one configuration, resolved when it is made: a look-up walks no chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    sending: Sending,
    rules: Arc<Rules>,
    accounts: HashMap<AccountName, Member>,
    tenants: HashMap<TenantName, OfTenant>,
    global: Option<Route>,
}

impl Default for Table {
    /// Makes a table in which nothing leads anywhere.
    fn default() -> Self {
        Self::new(Sending::Enabled, None, &HashMap::new())
    }
}

/// What is known of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Member {
    own: Option<Owned>,
    /// Its tenant and those above it.
    tenants: Arc<[TenantName]>,
}

/// What is known of a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
struct OfTenant {
    inherited: Option<Owned>,
    /// The tenant itself and those above it.
    line: Arc<[TenantName]>,
}

/// Upstreams, and whose they are.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owned {
    route: Route,
    owner: Owner,
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
        let resolved = tenants.keys().map(|name| {
            let line = line(name, tenants);
            let of_tenant = OfTenant {
                inherited: inherited(&line, tenants).or_else(|| of_relay(global.as_ref())),
                line: line.into(),
            };
            (name.clone(), of_tenant)
        });
        Self {
            sending,
            rules: Arc::default(),
            accounts: HashMap::new(),
            tenants: resolved.collect(),
            global,
        }
    }

    /// Returns the table with routes by recipient, which come before all others.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self {
            rules: Arc::new(rules),
            ..self
        }
    }

    /// Adds an account. Its own route counts before that of its tenant; without a tenant the global one is taken.
    pub fn add_account(
        &mut self,
        account: AccountName,
        tenant: Option<&TenantName>,
        own: Option<Route>,
    ) {
        let own = own.map(|route| Owned {
            route,
            owner: Owner::Account,
        });
        let of_tenant = tenant.and_then(|tenant| self.tenants.get(tenant));
        let member = Member {
            own: own.or_else(|| match tenant {
                Some(_) => of_tenant.and_then(|tenant| tenant.inherited.clone()),
                None => of_relay(self.global.as_ref()),
            }),
            tenants: of_tenant.map_or_else(Arc::default, |tenant| Arc::clone(&tenant.line)),
        };
        self.accounts.insert(account, member);
    }

    /// Returns whether mail of an account may be accepted at all: sending is enabled, and there is an upstream for it or for
    /// some recipients.
    pub fn may_send(&self, account: &AccountName) -> bool {
        let has_any = |member: &Member| {
            member.own.is_some() || self.rules.of(sender(account, member)).next().is_some()
        };
        match self.sending {
            Sending::Disabled => false,
            Sending::Enabled => self.accounts.get(account).is_some_and(has_any),
        }
    }

    /// Returns the upstreams of an account, which take its mail to recipients that no rule means, whether or not sending is
    /// enabled: for mail that was accepted before, and for explanations.
    pub fn configured_route(&self, account: &AccountName) -> Option<Route> {
        let own = self.accounts.get(account)?.own.as_ref()?;
        Some(own.route.clone())
    }

    /// Returns the upstreams of an account as [`Table::configured_route`] does, and whose they are.
    pub fn upstream_of(&self, account: &AccountName) -> Option<Choice<'_>> {
        let own = self.accounts.get(account)?.own.as_ref()?;
        Some(Choice {
            route: &own.route,
            basis: Basis::Upstream(&own.owner),
        })
    }

    /// Returns the rules that may be for mail of an account, in their order.
    pub fn rules_of(&self, account: &AccountName) -> Vec<&Rule> {
        let member = self.accounts.get(account);
        member.map_or_else(Vec::new, |member| {
            self.rules.of(sender(account, member)).collect()
        })
    }

    /// Returns where mail of an account to this recipient goes, whether or not sending is enabled; `None` where nothing
    /// leads there, and where there is no such account.
    pub fn route_to(&self, account: &AccountName, recipient: &Mailbox) -> Option<Choice<'_>> {
        let member = self.accounts.get(account)?;
        if let Some((rule, pattern)) = self.rules.find(sender(account, member), recipient) {
            return Some(Choice {
                route: &rule.route,
                basis: Basis::Rule(rule, pattern),
            });
        }
        self.upstream_of(account)
    }

    /// Divides the recipients of an account's message by their routes: each route with the places of its recipients, in the
    /// order of the first of each. `None` where nothing leads to one of them.
    pub fn divide<'a>(
        &self,
        account: &AccountName,
        recipients: impl Iterator<Item = &'a Mailbox>,
    ) -> Option<Vec<(Route, Vec<usize>)>> {
        let mut parts: Vec<(Route, Vec<usize>)> = Vec::new();
        for (place, recipient) in recipients.enumerate() {
            let route = self.route_to(account, recipient)?.route;
            match parts.iter_mut().find(|(known, _)| known == route) {
                Some((_, places)) => places.push(place),
                None => parts.push((route.clone(), vec![place])),
            }
        }
        Some(parts)
    }

    /// Returns where a message goes that was accepted before and waits for these recipients; `None` where it stays as it
    /// is, since its account is gone or nothing leads there any more.
    ///
    /// A message is not divided once it is in the queue. Where its recipients lead to several routes it keeps the one it
    /// has if that is among them, else it takes that of the first.
    pub fn place<'a>(
        &self,
        account: &AccountName,
        recipients: impl Iterator<Item = &'a Mailbox>,
        current: &Route,
    ) -> Option<Placement> {
        let routes =
            recipients.filter_map(|recipient| Some(self.route_to(account, recipient)?.route));
        let mut wanted: Vec<&Route> = Vec::new();
        for route in routes {
            if !wanted.contains(&route) {
                wanted.push(route);
            }
        }
        let first = *wanted.first()?;
        Some(Placement {
            route: if wanted.contains(&current) {
                current.clone()
            } else {
                first.clone()
            },
            is_divided: wanted.len() > 1,
        })
    }

    /// Returns whether recipients decide about routes.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Returns the table with other upstreams in the place of some. One that comes twice into a route stays where it is
    /// first.
    #[must_use]
    pub fn with_stand_ins(&self, stand_ins: &BTreeMap<UpstreamName, UpstreamName>) -> Self {
        if stand_ins.is_empty() {
            return self.clone();
        }
        let changed = |route: &Route| replaced(route, stand_ins);
        let owned = |owned: &Owned| Owned {
            route: changed(&owned.route),
            owner: owned.owner.clone(),
        };
        let account = |(name, member): (&AccountName, &Member)| {
            let member = Member {
                own: member.own.as_ref().map(owned),
                tenants: Arc::clone(&member.tenants),
            };
            (name.clone(), member)
        };
        let tenant = |(name, tenant): (&TenantName, &OfTenant)| {
            let tenant = OfTenant {
                inherited: tenant.inherited.as_ref().map(owned),
                line: Arc::clone(&tenant.line),
            };
            (name.clone(), tenant)
        };
        Self {
            sending: self.sending,
            rules: Arc::new(self.rules.with_routes(changed)),
            accounts: self.accounts.iter().map(account).collect(),
            tenants: self.tenants.iter().map(tenant).collect(),
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

fn sender<'a>(account: &'a AccountName, member: &'a Member) -> Sender<'a> {
    Sender {
        account,
        tenants: &member.tenants,
    }
}

fn of_relay(global: Option<&Route>) -> Option<Owned> {
    global.map(|route| Owned {
        route: route.clone(),
        owner: Owner::Global,
    })
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

/// Returns a tenant and those above it, each once.
fn line(name: &TenantName, tenants: &HashMap<TenantName, TenantRoute>) -> Vec<TenantName> {
    let mut line = vec![name.clone()];
    while let Some(parent) = line
        .last()
        .and_then(|last| tenants.get(last)?.parent.as_ref())
        .filter(|parent| !line.contains(parent))
    {
        line.push(parent.clone());
    }
    line
}

fn inherited(line: &[TenantName], tenants: &HashMap<TenantName, TenantRoute>) -> Option<Owned> {
    line.iter().find_map(|name| {
        Some(Owned {
            route: tenants.get(name)?.route.clone()?,
            owner: Owner::Tenant(name.clone()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Scope;

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
        assert_eq!(
            table.may_send(&account("alice")),
            table.configured_route(&account("alice")).is_some()
        );
        table.configured_route(&account("alice"))
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
            assert_eq!(
                changed.configured_route(&account("alice")),
                Some(route(expected))
            );
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
        table.add_account(account("alice"), None, None);
        assert!(!table.may_send(&account("alice")));
        assert_eq!(
            table.configured_route(&account("alice")),
            Some(route("main"))
        );
    }

    #[test]
    fn an_account_that_does_not_exist_has_no_route() {
        let table = Table::new(Sending::Enabled, Some(route("main")), &HashMap::new());
        assert!(!table.may_send(&account("nobody")));
        assert_eq!(table.configured_route(&account("nobody")), None);
        assert_eq!(table.route_to(&account("nobody"), &to("a@b.example")), None);
    }

    #[test]
    fn an_account_of_an_unknown_tenant_has_no_route() {
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &HashMap::new());
        assert_eq!(of(&mut table, Some("gone"), None), None);
    }

    fn to(recipient: &str) -> Mailbox {
        Mailbox::parse(recipient).unwrap()
    }

    fn with_rules(table: Table, list: &[(&[&str], &str)]) -> Table {
        let mut rules = Rules::default();
        for (number, (patterns, upstream)) in (1..).zip(list) {
            rules.push(Rule {
                number,
                name: None,
                patterns: patterns
                    .iter()
                    .map(|text| Pattern::parse(text).unwrap())
                    .collect(),
                scope: Scope::Everyone,
                route: route(upstream),
            });
        }
        table.with_rules(rules)
    }

    /// `*@fax.example` goes to `fax`, `internal.example` to `inside`, everything else to `main`.
    fn office(global: Option<&str>) -> Table {
        let table = Table::new(Sending::Enabled, global.map(route), &HashMap::new());
        let mut table = with_rules(
            table,
            &[
                (&["*@fax.example"], "fax"),
                (&["internal.example"], "inside"),
            ],
        );
        table.add_account(account("alice"), None, None);
        table
    }

    #[test]
    fn a_rule_comes_before_the_accounts_upstream() {
        let mut table = office(Some("main"));
        table.add_account(account("alice"), None, Some(route("own")));
        let chosen = |recipient: &str| {
            let choice = table.route_to(&account("alice"), &to(recipient)).unwrap();
            choice.route.clone()
        };
        assert_eq!(chosen("49123@fax.example"), route("fax"));
        assert_eq!(chosen("bob@INTERNAL.example"), route("inside"));
        assert_eq!(chosen("carol@other.example"), route("own"));
        let choice = table
            .route_to(&account("alice"), &to("a@fax.example"))
            .unwrap();
        assert!(matches!(choice.basis, Basis::Rule(rule, _) if rule.number == 1));
        let choice = table
            .route_to(&account("alice"), &to("a@b.example"))
            .unwrap();
        assert_eq!(choice.basis, Basis::Upstream(&Owner::Account));
    }

    #[test]
    fn an_account_without_upstream_may_send_to_whom_a_rule_leads() {
        let table = office(None);
        assert!(table.may_send(&account("alice")));
        assert!(
            table
                .route_to(&account("alice"), &to("a@fax.example"))
                .is_some()
        );
        assert_eq!(table.route_to(&account("alice"), &to("a@b.example")), None);
        assert_eq!(table.configured_route(&account("alice")), None);
    }

    #[test]
    fn recipients_are_divided_by_their_routes_in_their_order() {
        let recipients = [
            "a@b.example",
            "1@fax.example",
            "c@d.example",
            "2@fax.example",
        ]
        .map(to);
        let divided = office(Some("main")).divide(&account("alice"), recipients.iter());
        let expected = vec![(route("main"), vec![0, 2]), (route("fax"), vec![1, 3])];
        assert_eq!(divided, Some(expected));
        assert_eq!(
            office(None).divide(&account("alice"), recipients.iter()),
            None
        );
    }

    #[test]
    fn rules_that_lead_to_the_same_upstreams_are_one_route() {
        let recipients = ["1@fax.example", "a@b.example"].map(to);
        let divided = office(Some("fax")).divide(&account("alice"), recipients.iter());
        assert_eq!(divided, Some(vec![(route("fax"), vec![0, 1])]));
    }

    #[test]
    fn a_message_in_the_queue_keeps_its_route_as_long_as_a_recipient_leads_there() {
        let table = office(Some("main"));
        let place = |recipients: &[&str], current: &str| {
            let recipients: Vec<_> = recipients.iter().map(|text| to(text)).collect();
            let current = route(current);
            let placed = table.place(&account("alice"), recipients.iter(), &current)?;
            Some((placed.route.to_string(), placed.is_divided))
        };
        let placed = |name: &str, is_divided| Some((name.to_owned(), is_divided));
        assert_eq!(place(&["1@fax.example"], "main"), placed("fax", false));
        assert_eq!(
            place(&["1@fax.example", "a@b.example"], "main"),
            placed("main", true)
        );
        assert_eq!(
            place(&["a@b.example", "1@fax.example"], "fax"),
            placed("fax", true)
        );
        assert_eq!(
            place(&["1@fax.example", "a@b.example"], "old"),
            placed("fax", true)
        );
        assert_eq!(place(&[], "old"), None);
        let nobody = table.place(
            &account("nobody"),
            [to("a@b.example")].iter(),
            &route("old"),
        );
        assert_eq!(nobody, None);
    }

    #[test]
    fn a_stand_in_takes_its_place_in_rules_too() {
        let name = |text: &str| UpstreamName::parse(text).unwrap();
        let table = office(Some("main")).with_stand_ins(&[(name("fax"), name("spare"))].into());
        let choice = table
            .route_to(&account("alice"), &to("1@fax.example"))
            .unwrap();
        assert_eq!(*choice.route, route("spare"));
    }

    #[test]
    fn a_tenant_passes_on_whose_route_it_is() {
        let tenants = tenants(&[
            ("provider", None, Some("p")),
            ("acme", Some("provider"), None),
        ]);
        let mut table = Table::new(Sending::Enabled, Some(route("main")), &tenants);
        table.add_account(account("alice"), Some(&tenant("acme")), None);
        let choice = table
            .route_to(&account("alice"), &to("a@b.example"))
            .unwrap();
        assert_eq!(
            choice.basis,
            Basis::Upstream(&Owner::Tenant(tenant("provider")))
        );
    }
}
