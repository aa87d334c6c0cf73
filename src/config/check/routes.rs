//! Routes by recipient: `[[route]]`.

use std::collections::{BTreeSet, HashSet};

use toml::Spanned;

use super::context::Context;
use super::list::{Entry, entries, route, unknown_name};
use super::tenants::Names;
use crate::config::raw;
use crate::identity::{AccountName, Route, TenantName};
use crate::route::{Pattern, PatternError, Rule, Rules, Scope};

/// Returns the rules without errors, in the order of the file. That accounts exist is checked by [`route_accounts`].
pub(super) fn rules(
    context: &mut Context,
    raw: &[Spanned<raw::RecipientRoute>],
    names: &Names,
) -> Rules {
    let mut rules = Rules::default();
    for (number, spanned) in (1..).zip(raw) {
        let table = spanned.get_ref();
        let scope = scope(context, table, names);
        let patterns = patterns(context, spanned, number);
        let route = upstream(context, spanned, (number, names));
        let (Some(scope), Some(patterns), Some(route)) = (scope, patterns, route) else {
            continue;
        };
        warn_of_shadows(context, &rules, &patterns, &scope);
        rules.push(Rule {
            number,
            name: table.name.as_ref().map(|name| name.as_str().into()),
            patterns: patterns.into_iter().map(|(pattern, _)| pattern).collect(),
            scope,
            route,
        });
    }
    rules
}

/// Returns where mail goes, or `None` after an error.
fn upstream(
    context: &mut Context,
    table: &Spanned<raw::RecipientRoute>,
    (number, names): (usize, &Names),
) -> Option<Route> {
    let Some(list) = &table.get_ref().upstream else {
        let hint = "name where its mail goes: upstream = \"fax\"";
        missing(context, table, (number, "upstream"), hint);
        return None;
    };
    route(context, list, &names.upstreams)
}

/// Checks that the accounts exist that routes are for.
pub(in crate::config) fn route_accounts(
    context: &mut Context,
    raw: &[Spanned<raw::RecipientRoute>],
    accounts: &BTreeSet<&str>,
) {
    let lists = raw
        .iter()
        .filter_map(|table| table.get_ref().accounts.as_ref());
    for list in lists {
        for (entry, place) in entries(context, list).unwrap_or_default() {
            // What cannot be a name has been reported.
            let is_name = AccountName::parse(&entry).is_ok();
            if is_name && !accounts.contains(entry.as_str()) {
                let known: Vec<&str> = accounts.iter().copied().take(KNOWN_SHOWN).collect();
                let hint = unknown_name("accounts", &entry, &known);
                context.error(place, format!("unknown account `{entry}`"), hint);
            }
        }
    }
}

/// How many accounts a hint lists.
const KNOWN_SHOWN: usize = 20;

fn missing(
    context: &mut Context,
    table: &Spanned<raw::RecipientRoute>,
    (number, key): (usize, &str),
    hint: &str,
) {
    let index = (number - 1).to_string();
    context.missing(table.span(), &["route", &index, key], hint);
}

/// A pattern, and its entry in the file.
type Placed = (Pattern, Entry);

/// Returns the patterns, or `None` after an error.
fn patterns(
    context: &mut Context,
    table: &Spanned<raw::RecipientRoute>,
    number: usize,
) -> Option<Vec<Placed>> {
    const HINT: &str = "for example: recipients = [\"*@fax.example.com\", \"bob@example.org\"]";
    let Some(list) = &table.get_ref().recipients else {
        missing(context, table, (number, "recipients"), HINT);
        return None;
    };
    let entries = entries(context, list)?;
    if entries.is_empty() {
        context.error(list.span(), "this route is for nobody", HINT);
        return None;
    }
    let count = entries.len();
    let mut patterns: Vec<Placed> = Vec::with_capacity(count);
    for (entry, place) in entries {
        match Pattern::parse(&entry) {
            Ok(pattern) => patterns.push((pattern, (entry, place))),
            Err(error) => {
                let message = format!("`{entry}` means no recipients: {error}");
                context.error(place, message, advice(error));
            }
        }
    }
    (patterns.len() == count).then_some(patterns)
}

fn advice(error: PatternError) -> &'static str {
    match error {
        PatternError::Address(_) => "for example \"bob@example.com\", without a display name",
        PatternError::Domain => {
            "for example \"example.com\", or \"*.example.com\" for its subdomains"
        }
        PatternError::Everyone => {
            "that is what `upstream` of [relay], a tenant or an account is for"
        }
        PatternError::Wildcard => {
            "\"*@example.com\" is a domain, \"*.example.com\" are its subdomains; there are no other patterns"
        }
    }
}

/// Returns whose mail a route is for, or `None` after an error.
fn scope(context: &mut Context, table: &raw::RecipientRoute, names: &Names) -> Option<Scope> {
    if table.accounts.is_none() && table.tenants.is_none() {
        return Some(Scope::Everyone);
    }
    let (mut accounts, mut tenants) = (HashSet::new(), HashSet::new());
    let mut is_whole = true;
    for (entry, place) in listed(context, table.accounts.as_ref())? {
        match AccountName::parse(&entry) {
            Ok(name) => {
                accounts.insert(name);
            }
            Err(error) => {
                let message = format!("`{entry}` cannot be the name of an account");
                context.error(place, message, error.to_string());
                is_whole = false;
            }
        }
    }
    for (entry, place) in listed(context, table.tenants.as_ref())? {
        let mut known = names.tenants.iter();
        if let Some(name) = known.find(|known| known.as_str() == entry) {
            tenants.insert(name.clone());
            continue;
        }
        let mut known: Vec<&str> = names.tenants.iter().map(TenantName::as_str).collect();
        known.sort_unstable();
        let hint = unknown_name("tenants", &entry, &known);
        context.error(place, format!("unknown tenant `{entry}`"), hint);
        is_whole = false;
    }
    is_whole.then_some(Scope::Only { accounts, tenants })
}

/// Returns the entries of a list that may be left out; `None` after an error, also where it is there and empty.
fn listed(context: &mut Context, list: Option<&Spanned<raw::List>>) -> Option<Vec<Entry>> {
    let Some(list) = list else {
        return Some(Vec::new());
    };
    let entries = entries(context, list)?;
    if entries.is_empty() {
        let message = "this route is for the mail of nobody";
        context.error(list.span(), message, "leave the key out for everybody");
        return None;
    }
    Some(entries)
}

/// Warns of patterns whose recipients an earlier route takes already.
fn warn_of_shadows(context: &mut Context, rules: &Rules, patterns: &[Placed], scope: &Scope) {
    for (pattern, (entry, place)) in patterns {
        if let Some((earlier, wider)) = rules.covering(pattern, scope) {
            let message = format!(
                "`{entry}` is never looked at: `{wider}` of the {} [[route]] takes it",
                ordinal(earlier.number)
            );
            let hint = "routes count in the order of the file; move this one up, or take it out";
            context.warning(place.clone(), message, hint);
        }
    }
}

/// Returns `1st`, `2nd` and so on.
fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
