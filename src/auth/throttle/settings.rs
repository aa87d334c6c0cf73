//! How much guessing is put up with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// A leaky counter: so many failures at once, and so many more each minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FailureLimit {
    /// At once.
    pub burst: u32,
    /// As time goes on, at least 1.
    pub per_minute: u32,
}

/// Settings of the throttle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ThrottleSettings {
    /// Failures from one network, whatever the names.
    pub network: FailureLimit,
    /// Failures of one account from anywhere but where it is known.
    pub account: FailureLimit,
    /// Failures of one account from one network.
    pub both: FailureLimit,
    /// How many failures of one account from one network are answered at once. Each further answer comes a second later
    /// than the one before.
    pub undelayed: u32,
    /// The longest delay of an answer.
    pub longest_delay: Duration,
    /// How many bits of an IPv4 address make a network, 8 to 32.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network, 16 to 128.
    pub ipv6_prefix: u8,
    /// Clients here are never refused, and their failures hold up nobody else.
    pub allow: Arc<[IpNet]>,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        let limit = |burst, per_minute| FailureLimit { burst, per_minute };
        Self {
            network: limit(10, 10),
            account: limit(60, 1),
            both: limit(5, 2),
            undelayed: 2,
            longest_delay: Duration::from_secs(5),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            allow: Arc::new([]),
        }
    }
}

impl ThrottleSettings {
    /// Returns the part of an address that its owner cannot change at will. An IPv4 address in its IPv6 form counts as
    /// IPv4.
    pub fn network_of(&self, address: IpAddr) -> IpNet {
        let address = address.to_canonical();
        let prefix = match address {
            IpAddr::V4(_) => self.ipv4_prefix,
            IpAddr::V6(_) => self.ipv6_prefix,
        };
        IpNet::new(address, prefix).map_or_else(|_| IpNet::from(address), |network| network.trunc())
    }

    /// Returns whether clients at this address are never refused.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_as_wide_as_it_is_set() {
        let mut settings = ThrottleSettings::default();
        let network = |settings: &ThrottleSettings, address: &str| {
            settings.network_of(address.parse().unwrap()).to_string()
        };
        assert_eq!(network(&settings, "192.0.2.7"), "192.0.2.7/32");
        assert_eq!(network(&settings, "::ffff:192.0.2.7"), "192.0.2.7/32");
        assert_eq!(network(&settings, "2001:db8::7"), "2001:db8::/64");
        settings.ipv4_prefix = 24;
        settings.ipv6_prefix = 48;
        assert_eq!(network(&settings, "192.0.2.7"), "192.0.2.0/24");
        assert_eq!(network(&settings, "2001:db8:0:1::7"), "2001:db8::/48");
    }
}
