//! `[auth.throttle]`.

use super::accounts::network;
use super::context::Context;
use super::list::entries;
use crate::auth::{FailureLimit, ThrottleSettings};
use crate::config::raw;

/// Returns how much guessing is put up with.
pub(in crate::config) fn throttle(context: &mut Context, raw: &raw::Throttle) -> ThrottleSettings {
    let entries = raw.allow.as_ref().and_then(|list| entries(context, list));
    let mut allow = Vec::new();
    for (entry, place) in entries.unwrap_or_default() {
        match network(&entry) {
            Ok(network) => allow.push(network),
            Err((message, hint)) => context.error(place, message, hint),
        }
    }
    ThrottleSettings {
        network: FailureLimit {
            burst: raw.network_burst.to(),
            per_minute: raw.network_per_minute.to(),
        },
        account: FailureLimit {
            burst: raw.account_burst.to(),
            per_minute: raw.account_per_minute.to(),
        },
        both: FailureLimit {
            burst: raw.both_burst.to(),
            per_minute: raw.both_per_minute.to(),
        },
        undelayed: raw.undelayed.to(),
        longest_delay: raw.longest_delay.get(),
        ipv4_prefix: raw.ipv4_prefix.to(),
        ipv6_prefix: raw.ipv6_prefix.to(),
        allow: allow.into(),
    }
}
