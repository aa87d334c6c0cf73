//! Routes by recipient, in the order of the file: the first that means a recipient takes it.

use std::collections::{HashMap, HashSet};

use super::pattern::Pattern;
use crate::identity::{AccountName, Route, TenantName};
use crate::mail::Mailbox;

/// One `[[route]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Which one of the file, counted from 1.
    pub number: usize,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Which recipients it is for.
    pub patterns: Vec<Pattern>,
    /// Whose mail it is for.
    pub scope: Scope,
    /// Where their mail goes.
    pub route: Route,
}

/// Whose mail a rule is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// Everybody's.
    #[default]
    Everyone,
    /// That of these accounts, and of the accounts of these tenants and of the tenants below them.
    Only {
        /// Accounts by name.
        accounts: HashSet<AccountName>,
        /// Tenants by name.
        tenants: HashSet<TenantName>,
    },
}

/// Somebody whose mail is to be routed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    pub(super) account: &'a AccountName,
    /// The account's tenant and those above it.
    pub(super) tenants: &'a [TenantName],
}

impl Scope {
    fn takes(&self, sender: Sender<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only { accounts, tenants } => {
                accounts.contains(sender.account)
                    || sender.tenants.iter().any(|tenant| tenants.contains(tenant))
            }
        }
    }
}

/// All rules, with an index by what their patterns name: a look-up costs the same whether there are ten or ten thousand.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    list: Vec<Rule>,
    domains: HashMap<Box<str>, Vec<Entry>>,
    mailboxes: HashMap<MailboxKey, Vec<Entry>>,
    subdomains: HashMap<Box<str>, Vec<Entry>>,
}

/// A rule by its place, and one of its patterns by its place. Lists of them are in ascending order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    rule: usize,
    pattern: usize,
}

/// A mailbox in a form that is equal where [`Mailbox::is_same_as`] says so.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct MailboxKey {
    /// No international local part is the same as an ASCII one, not even in lower case.
    is_ascii: bool,
    local_part: Box<str>,
    domain: Box<str>,
}

impl MailboxKey {
    fn of(mailbox: &Mailbox) -> Self {
        let local_part = mailbox.local_part();
        Self {
            is_ascii: local_part.is_ascii(),
            local_part: local_part.as_unquoted().to_lowercase().into(),
            domain: mailbox.domain().as_ascii().into(),
        }
    }
}

impl Rules {
    /// Adds a rule behind the others.
    pub fn push(&mut self, rule: Rule) {
        let place = self.list.len();
        for (pattern, meant) in rule.patterns.iter().enumerate() {
            let entry = Entry {
                rule: place,
                pattern,
            };
            let list = match meant {
                Pattern::Domain(domain) => {
                    self.domains.entry(domain.as_ascii().into()).or_default()
                }
                Pattern::Mailbox(mailbox) => {
                    self.mailboxes.entry(MailboxKey::of(mailbox)).or_default()
                }
                Pattern::Subdomains(parent) => {
                    self.subdomains.entry(parent.as_ascii().into()).or_default()
                }
            };
            list.push(entry);
        }
        self.list.push(rule);
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns them in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.list.iter()
    }

    /// Returns the rules with other routes in the place of theirs.
    #[must_use]
    pub(super) fn with_routes(&self, replaced: impl Fn(&Route) -> Route) -> Self {
        let mut rules = self.clone();
        for rule in &mut rules.list {
            rule.route = replaced(&rule.route);
        }
        rules
    }

    /// Returns the first rule that is for this recipient of this sender's mail, and which of its patterns says so.
    pub(super) fn find(
        &self,
        sender: Sender<'_>,
        recipient: &Mailbox,
    ) -> Option<(&Rule, &Pattern)> {
        self.first(
            |rule| rule.scope.takes(sender),
            self.of_mailbox(recipient)
                .chain(self.of_domain(recipient.domain().as_ascii())),
        )
    }

    /// Returns the rules that may be for mail of this sender.
    pub(super) fn of(&self, sender: Sender<'_>) -> impl Iterator<Item = &Rule> {
        let rules = self.list.iter();
        rules.filter(move |rule| rule.scope.takes(sender))
    }

    /// Returns the first rule that takes whatever a later one with this pattern and scope could be for.
    pub fn covering(&self, pattern: &Pattern, scope: &Scope) -> Option<(&Rule, &Pattern)> {
        let is_wider = |rule: &Rule| rule.scope == Scope::Everyone || rule.scope == *scope;
        match pattern {
            Pattern::Domain(domain) => self.first(is_wider, self.of_domain(domain.as_ascii())),
            Pattern::Mailbox(mailbox) => {
                let domain = self.of_domain(mailbox.domain().as_ascii());
                self.first(is_wider, self.of_mailbox(mailbox).chain(domain))
            }
            Pattern::Subdomains(parent) => {
                let own = self.subdomains.get(parent.as_ascii());
                let above = self.above(parent.as_ascii());
                self.first(is_wider, own.into_iter().chain(above))
            }
        }
    }

    fn first<'a>(
        &self,
        is_wanted: impl Fn(&Rule) -> bool,
        lists: impl Iterator<Item = &'a Vec<Entry>>,
    ) -> Option<(&Rule, &Pattern)> {
        let wanted = |entry: &&Entry| self.list.get(entry.rule).is_some_and(&is_wanted);
        let found = lists.filter_map(|list| list.iter().find(wanted)).min()?;
        let rule = self.list.get(found.rule)?;
        Some((rule, rule.patterns.get(found.pattern)?))
    }

    fn of_mailbox(&self, mailbox: &Mailbox) -> impl Iterator<Item = &Vec<Entry>> {
        // Without rules for single mailboxes nothing is folded to lower case.
        let has_any = !self.mailboxes.is_empty();
        let found = has_any.then(|| self.mailboxes.get(&MailboxKey::of(mailbox)));
        found.flatten().into_iter()
    }

    fn of_domain<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a Vec<Entry>> {
        self.domains
            .get(domain)
            .into_iter()
            .chain(self.above(domain))
    }

    /// Returns what is said of the domains below each domain above this one.
    fn above<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a Vec<Entry>> {
        let is_name = !self.subdomains.is_empty() && !domain.starts_with('[');
        let dots = domain.match_indices('.').filter(move |_| is_name);
        dots.filter_map(move |(at, _)| self.subdomains.get(domain.get(at + 1..)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::UpstreamName;

    fn rule(number: usize, patterns: &[&str], scope: Scope) -> Rule {
        let name = UpstreamName::parse(&format!("u{number}")).unwrap();
        Rule {
            number,
            name: None,
            patterns: patterns
                .iter()
                .map(|text| Pattern::parse(text).unwrap())
                .collect(),
            scope,
            route: Route::new(vec![name]).unwrap(),
        }
    }

    fn rules(list: &[&[&str]]) -> Rules {
        let mut rules = Rules::default();
        for (number, patterns) in (1..).zip(list) {
            rules.push(rule(number, patterns, Scope::Everyone));
        }
        rules
    }

    fn found(rules: &Rules, recipient: &str) -> Option<(usize, String)> {
        let account = AccountName::parse("alice").unwrap();
        let sender = Sender {
            account: &account,
            tenants: &[],
        };
        let found = rules.find(sender, &Mailbox::parse(recipient).unwrap());
        found.map(|(rule, pattern)| (rule.number, pattern.to_string()))
    }

    #[test]
    fn the_first_rule_of_the_file_counts_not_the_narrowest() {
        let rules = rules(&[
            &["*@fax.example.com"],
            &["bob@fax.example.com", "*.example.com"],
        ]);
        let found = |recipient| found(&rules, recipient);
        assert_eq!(
            found("bob@fax.example.com"),
            Some((1, "*@fax.example.com".to_owned()))
        );
        assert_eq!(
            found("a@b.example.com"),
            Some((2, "*.example.com".to_owned()))
        );
        assert_eq!(found("a@example.com"), None);
    }

    #[test]
    fn a_rule_for_some_is_passed_over_for_others() {
        let only = |accounts: &[&str], tenants: &[&str]| Scope::Only {
            accounts: accounts
                .iter()
                .map(|name| AccountName::parse(name).unwrap())
                .collect(),
            tenants: tenants
                .iter()
                .map(|name| TenantName::parse(name).unwrap())
                .collect(),
        };
        let mut rules = Rules::default();
        rules.push(rule(1, &["a.example"], only(&["alice"], &["acme"])));
        rules.push(rule(2, &["a.example"], Scope::Everyone));
        let number = |account: &str, tenants: &[&str]| {
            let account = AccountName::parse(account).unwrap();
            let tenants: Vec<_> = tenants
                .iter()
                .map(|name| TenantName::parse(name).unwrap())
                .collect();
            let sender = Sender {
                account: &account,
                tenants: &tenants,
            };
            let recipient = Mailbox::parse("x@a.example").unwrap();
            rules.find(sender, &recipient).map(|(rule, _)| rule.number)
        };
        assert_eq!(number("alice", &[]), Some(1));
        assert_eq!(number("bob", &["branch", "acme"]), Some(1));
        assert_eq!(number("bob", &["other"]), Some(2));
    }

    #[test]
    fn a_pattern_that_an_earlier_rule_includes_is_covered() {
        let rules = rules(&[
            &["fax.example.com", "bob@internal.example"],
            &["*.example.net"],
        ]);
        let covering = |pattern: &str| {
            let pattern = Pattern::parse(pattern).unwrap();
            rules
                .covering(&pattern, &Scope::Everyone)
                .map(|(rule, _)| rule.number)
        };
        assert_eq!(covering("*@fax.example.com"), Some(1));
        assert_eq!(covering("joe@FAX.example.com"), Some(1));
        assert_eq!(covering("Bob@internal.example"), Some(1));
        assert_eq!(covering("internal.example"), None);
        assert_eq!(covering("*.fax.example.com"), None);
        assert_eq!(covering("*.example.net"), Some(2));
        assert_eq!(covering("*.a.example.net"), Some(2));
        assert_eq!(covering("a.example.net"), Some(2));
        assert_eq!(covering("example.net"), None);
    }

    fn pattern() -> impl Strategy<Value = String> {
        let domain = "[ab](\\.[ab]){0,2}";
        let local = prop_oneof![
            Just("a"),
            Just("B"),
            Just("\"a b\""),
            Just("k"),
            Just("\u{212a}")
        ];
        prop_oneof![
            domain.prop_map(|domain| domain),
            domain.prop_map(|domain| format!("*@{domain}")),
            domain.prop_map(|domain| format!("*.{domain}")),
            (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}")),
        ]
    }

    proptest! {
        /// The index finds what a walk over all rules finds.
        #[test]
        fn the_index_finds_the_first_rule_that_covers(
            list in prop::collection::vec(prop::collection::vec(pattern(), 1..4), 0..6),
            local in prop_oneof![Just("a"), Just("A"), Just("\"A b\""), Just("K"), Just("\u{212a}")],
            domain in "[abAB](\\.[ab]){0,3}",
        ) {
            let mut rules = Rules::default();
            for (number, patterns) in (1..).zip(&list) {
                let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
                rules.push(rule(number, &patterns, Scope::Everyone));
            }
            let recipient = format!("{local}@{domain}");
            let mailbox = Mailbox::parse(&recipient).unwrap();
            let walked = rules.iter().find_map(|rule| {
                let pattern = rule.patterns.iter().find(|pattern| pattern.covers(&mailbox))?;
                Some((rule.number, pattern.clone()))
            });
            let account = AccountName::parse("alice").unwrap();
            let sender = Sender { account: &account, tenants: &[] };
            let found = rules.find(sender, &mailbox);
            prop_assert_eq!(found.map(|(rule, pattern)| (rule.number, pattern.clone())), walked);
        }
    }
}
