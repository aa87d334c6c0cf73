//! `[auth]` and below.

use serde::Deserialize;
use toml::Spanned;

use super::List;
use crate::auth::{FailureLimit, ThrottleSettings};
use crate::config::units::{Number, Span};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Auth {
    pub(in crate::config) throttle: Throttle,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Throttle {
    pub(in crate::config) network_burst: Number<1, 100_000>,
    pub(in crate::config) network_per_minute: Number<1, 100_000>,
    pub(in crate::config) account_burst: Number<1, 100_000>,
    pub(in crate::config) account_per_minute: Number<1, 100_000>,
    pub(in crate::config) both_burst: Number<1, 100_000>,
    pub(in crate::config) both_per_minute: Number<1, 100_000>,
    pub(in crate::config) undelayed: Number<0, 100_000>,
    pub(in crate::config) longest_delay: Span<0>,
    pub(in crate::config) ipv4_prefix: Number<8, 32>,
    pub(in crate::config) ipv6_prefix: Number<16, 128>,
    pub(in crate::config) allow: Option<Spanned<List>>,
}

impl Default for Throttle {
    fn default() -> Self {
        let ThrottleSettings {
            network,
            account,
            both,
            undelayed,
            longest_delay,
            ipv4_prefix,
            ipv6_prefix,
            allow: _,
        } = ThrottleSettings::default();
        let [network, account, both] = [network, account, both]
            .map(|FailureLimit { burst, per_minute }| (burst.into(), per_minute.into()));
        Self {
            network_burst: Number::of(network.0),
            network_per_minute: Number::of(network.1),
            account_burst: Number::of(account.0),
            account_per_minute: Number::of(account.1),
            both_burst: Number::of(both.0),
            both_per_minute: Number::of(both.1),
            undelayed: Number::of(undelayed.into()),
            longest_delay: Span::of(longest_delay),
            ipv4_prefix: Number::of(ipv4_prefix.into()),
            ipv6_prefix: Number::of(ipv6_prefix.into()),
            allow: None,
        }
    }
}
