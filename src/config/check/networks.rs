//! Networks, as lists have them.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use toml::Spanned;

use super::context::Context;
use super::list::entries;
use crate::config::raw::List;

/// Returns the networks of a list, each with its place. `whole` is what is wrong with one that has every address, and what
/// to do.
pub(super) fn networks(
    context: &mut Context,
    list: &Spanned<List>,
    whole: (&str, &str),
) -> Vec<(IpNet, Range<usize>)> {
    let entries = entries(context, list).unwrap_or_default();
    let mut networks = Vec::with_capacity(entries.len());
    for (entry, place) in entries {
        match network(&entry, whole) {
            Ok(network) => networks.push((network, place)),
            Err((message, hint)) => context.error(place, message, hint),
        }
    }
    networks
}

/// Reads a network; on failure gives message and hint.
pub(super) fn network(entry: &str, whole: (&str, &str)) -> Result<IpNet, (String, String)> {
    let parsed = entry
        .parse::<IpNet>()
        .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
    let refused = |what: &str, hint: &str| Err((format!("`{entry}` {what}"), hint.to_owned()));
    let Ok(network) = parsed else {
        let hint = "for example \"192.0.2.0/28\", \"2001:db8::/64\" or one address";
        return refused("is not a network", hint);
    };
    if network.prefix_len() == 0 {
        return refused(whole.0, whole.1);
    }
    let is_mapped = match network.addr() {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    if is_mapped {
        // Clients are compared by their IPv4 address, so that this would never match.
        let hint = "write it as IPv4, such as \"192.0.2.0/28\"";
        return refused("is IPv4 written as IPv6", hint);
    }
    if network.trunc().addr() != network.addr() {
        let hint = format!("did you mean \"{}\"?", network.trunc());
        return refused("has more bits than its prefix", &hint);
    }
    Ok(network)
}
