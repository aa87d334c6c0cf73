//! Tenants and the global route.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::context::Context;
use super::list::{route, unknown_name};
use super::routes::rules;
use crate::config::raw;
use crate::identity::{Route, TenantName, UpstreamName};
use crate::route::{Sending, Table, TenantRoute};

/// The names that accounts can refer to.
pub(in crate::config) struct Names {
    pub(in crate::config) upstreams: BTreeSet<UpstreamName>,
    pub(in crate::config) tenants: Vec<TenantName>,
}

/// Returns the routes but for the accounts, and the names of the tenants.
pub(in crate::config) fn relay(
    context: &mut Context,
    root: &raw::Root,
    upstreams: BTreeSet<UpstreamName>,
) -> (Table, Names) {
    let tenants = &root.tenant;
    let global = global(context, root, &upstreams);
    let mut routes = HashMap::new();
    let known: Vec<&str> = tenants.keys().map(|key| key.get_ref().as_str()).collect();
    for (key, tenant) in tenants {
        let Ok(name) = TenantName::parse(key.get_ref()) else {
            let message = format!("`{}` cannot be the name of a tenant", key.get_ref());
            let hint = "a name has no spaces, quotes or control characters";
            context.error(key.span(), message, hint);
            continue;
        };
        let tenant = tenant.get_ref();
        let parent = tenant.parent.as_ref();
        if let Some(parent) = parent
            && !known.contains(&parent.get_ref().as_str())
        {
            let hint = unknown_name("tenants", parent.get_ref(), &known);
            let message = format!("unknown tenant `{}`", parent.get_ref());
            context.error(parent.span(), message, hint);
        }
        let entry = TenantRoute {
            parent: parent.and_then(|parent| TenantName::parse(parent.get_ref()).ok()),
            route: tenant
                .upstream
                .as_ref()
                .and_then(|list| route(context, list, &upstreams)),
        };
        routes.insert(name, entry);
    }
    report_circles(context, tenants, &routes);
    let sending = if root.relay.enabled {
        Sending::Enabled
    } else {
        Sending::Disabled
    };
    let table = Table::new(sending, global, &routes);
    let names = Names {
        upstreams,
        tenants: routes.into_keys().collect(),
    };
    let rules = rules(context, &root.route, &names);
    (table.with_rules(rules), names)
}

fn global(
    context: &mut Context,
    root: &raw::Root,
    upstreams: &BTreeSet<UpstreamName>,
) -> Option<Route> {
    let raw = &root.relay;
    if let Some(list) = &raw.upstream {
        return route(context, list, upstreams);
    }
    let mut tenants = root.tenant.values();
    let has_other_routes =
        !root.route.is_empty() || tenants.any(|tenant| tenant.get_ref().upstream.is_some());
    if raw.enabled && !has_other_routes && !context.is_wrong(&["relay", "upstream"]) {
        let hint = match upstreams.iter().next() {
            Some(name) => format!("write upstream = [\"{name}\"] under [relay]"),
            None => {
                "write [upstream.main.smtp], and upstream = [\"main\"] under [relay]".to_owned()
            }
        };
        let message = "no upstream is set, so that all mail will be refused with 451";
        context.warning(0..0, message, hint);
    }
    None
}

/// Reports each circle once, at the tenant of it that stands first in the file.
fn report_circles(
    context: &mut Context,
    tenants: &raw::Named<raw::Tenant>,
    routes: &HashMap<TenantName, TenantRoute>,
) {
    let mut reported: HashSet<TenantName> = HashSet::new();
    let mut in_file: Vec<_> = tenants.iter().collect();
    in_file.sort_by_key(|(key, _)| key.span().start);
    for (key, tenant) in in_file {
        let Some(parent) = &tenant.get_ref().parent else {
            continue;
        };
        let Some((start, _)) = routes.get_key_value(key.get_ref().as_str()) else {
            continue;
        };
        let circle = chain_from(start, routes);
        let is_circle = circle.last().is_some_and(|last| *last == start);
        if is_circle && !circle.iter().any(|name| reported.contains(*name)) {
            let way: Vec<_> = circle.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("tenant `{start}` is its own ancestor");
            let hint = format!("the parents of `{start}` are {}", way.join(", then "));
            context.error(parent.span(), message, hint);
            reported.extend(circle.into_iter().cloned());
        }
    }
}

/// Returns the ancestors, up to the first that is `start` again or has no parent.
fn chain_from<'a>(
    start: &'a TenantName,
    routes: &'a HashMap<TenantName, TenantRoute>,
) -> Vec<&'a TenantName> {
    let mut chain = Vec::new();
    let mut current = start;
    while let Some(parent) = routes.get(current).and_then(|entry| entry.parent.as_ref()) {
        chain.push(parent);
        if parent == start || chain.len() > routes.len() {
            break;
        }
        current = parent;
    }
    chain
}
