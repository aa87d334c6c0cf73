//! `[auth.throttle]`.

use super::context::Context;
use super::networks::networks;
use crate::auth::{FailureLimit, ThrottleSettings};
use crate::config::raw;

const ANYBODY: (&str, &str) = (
    "is the whole internet: everybody could guess",
    "name the networks that you trust",
);

/// Returns how much guessing is put up with.
pub(in crate::config) fn throttle(context: &mut Context, raw: &raw::Throttle) -> ThrottleSettings {
    let allow = raw.allow.as_ref();
    let allow = allow
        .map(|list| networks(context, list, ANYBODY))
        .unwrap_or_default();
    let allow: Vec<_> = allow.into_iter().map(|(network, _)| network).collect();
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
