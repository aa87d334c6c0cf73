//! What listeners and accounts are told.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;

use crate::mail::Priority;
use crate::message::{AddedField, AddressRule, PriorityHeader};
use crate::policy::Rules;
use crate::smtp::server;

use super::limits::ConnectionLimits;

/// Settings of a listener: one kind of session on a number of addresses and ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenerSettings {
    /// The configured name, for logs.
    pub name: String,
    /// The addresses to listen on; `::` takes IPv4 too.
    pub addresses: Vec<IpAddr>,
    /// The ports, on each address.
    pub ports: PortSet,
    /// What happens where a port is taken. `None`: a single port fails, a port of a range is skipped.
    pub on_port_in_use: Option<OnPortInUse>,
    /// What its sessions are told.
    pub session: server::Settings,
    /// What sessions of clients in these networks are told instead. The most specific network of a client counts.
    pub networks: Vec<(IpNet, server::Settings)>,
    /// Whoever connects from here is a balancer and begins with a PROXY header.
    pub balancers: Vec<IpNet>,
    /// How many of its connections there may be; `None`: those of the server count alone.
    pub connections: Option<ConnectionLimits>,
}

/// What happens where a port is taken by another program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnPortInUse {
    /// posthouse refuses to start.
    Fail,
    /// The port is left out; one warning tells how many are.
    Skip,
}

/// Why a text is no port or range of ports.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortSetError {
    /// The first port of a range is above the last.
    #[error("the range ends before it begins")]
    Backwards,
    /// Not a number from 0 to 65535, or two of them with a hyphen between.
    #[error("not a port or a range of ports")]
    Form,
}

/// A set of ports, such as 25, 587 and 1025 to 5000: ranges that do not overlap, in ascending order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PortSet {
    parts: Vec<RangeInclusive<u16>>,
}

impl PortSet {
    /// Reads `"25"` or `"1025-5000"`. Port 0 stands for any free port.
    ///
    /// # Errors
    /// [`PortSetError`].
    pub fn parse_part(text: &str) -> Result<RangeInclusive<u16>, PortSetError> {
        let port = |text: &str| {
            let text = text.trim();
            let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
            let number = is_number.then(|| text.parse().ok()).flatten();
            number.ok_or(PortSetError::Form)
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if first > last {
            return Err(PortSetError::Backwards);
        }
        Ok(first..=last)
    }

    /// Adds a port or a range.
    ///
    /// # Errors
    /// Returns the first port that the set has already; the set is as it was.
    pub fn insert(&mut self, part: RangeInclusive<u16>) -> Result<(), u16> {
        if let Some(port) = self.first_shared(&part) {
            return Err(port);
        }
        self.parts.push(part);
        self.parts.sort_by_key(|part| *part.start());
        Ok(())
    }

    /// Returns all ports, each with whether it was given as part of a range.
    pub fn iter(&self) -> impl Iterator<Item = (u16, bool)> + '_ {
        self.parts.iter().flat_map(|part| {
            let is_range = part.start() != part.end();
            part.clone().map(move |port| (port, is_range))
        })
    }

    /// Returns how many ports there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(ExactSizeIterator::len).sum()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the first port that both sets have. Port 0 is never shared: it is another port each time.
    pub fn overlap(&self, other: &Self) -> Option<u16> {
        other.parts.iter().find_map(|part| self.first_shared(part))
    }

    fn first_shared(&self, part: &RangeInclusive<u16>) -> Option<u16> {
        self.parts.iter().find_map(|own| {
            let first = (*own.start()).max(*part.start()).max(1);
            let last = (*own.end()).min(*part.end());
            (first <= last).then_some(first)
        })
    }
}

impl fmt::Display for PortSet {
    /// Writes the set as in the configuration: `25, 587, 1025-5000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", part.start())?;
            if part.start() != part.end() {
                write!(f, "-{}", part.end())?;
            }
        }
        Ok(())
    }
}

/// What is done for the mail of one account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// What it may send as.
    pub rules: Rules,
    /// Its own priority; a message can claim a higher one.
    pub priority: Priority,
    /// The highest priority a message can claim. `None`: any.
    pub max_priority: Option<Priority>,
    /// What recipients see of the priority.
    pub priority_header: PriorityHeader,
    /// Which address fields must be RFC 5322 (`strict_addresses`).
    pub address_rule: AddressRule,
    /// What is added to the header of each message; others of these names are removed.
    pub added_fields: Arc<[AddedField]>,
}

impl Profile {
    /// Returns the priority of a message that claims one: the higher of the account's and the message's, which
    /// `max_priority` caps.
    pub fn effective_priority(&self, claimed: Option<Priority>) -> Priority {
        let capped =
            claimed.map(|claimed| self.max_priority.map_or(claimed, |cap| claimed.max(cap)));
        capped.map_or(self.priority, |claimed| claimed.min(self.priority))
    }

    /// Returns the highest priority that a message can come to have before its header is known: what MAIL claims decides
    /// where it claims one, else a field may claim any.
    pub(super) fn highest_priority(&self, claimed: Option<Priority>) -> Priority {
        self.effective_priority(claimed.or(Some(Priority::VeryHigh)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::policy::{Detail, Grants, OnUnauthorized, Scope};

    /// The profile of an account of which nothing is configured.
    pub(in crate::submission) fn profile() -> Profile {
        Profile {
            rules: Rules {
                grants: Grants::Anyone,
                scope: Scope::default(),
                detail: Detail::default(),
                on_unauthorized: OnUnauthorized::default(),
            },
            priority: Priority::Normal,
            max_priority: None,
            priority_header: PriorityHeader::Keep,
            address_rule: AddressRule::All,
            added_fields: Arc::default(),
        }
    }

    fn set(parts: &[&str]) -> PortSet {
        let mut set = PortSet::default();
        for part in parts {
            set.insert(PortSet::parse_part(part).unwrap()).unwrap();
        }
        set
    }

    #[test]
    fn a_set_holds_single_ports_and_ranges() {
        let ports = set(&["587", "25", "1025-5000"]);
        assert_eq!(ports.len(), 3978);
        assert_eq!(ports.iter().next(), Some((25, false)));
        assert_eq!(ports.iter().last(), Some((5000, true)));
        assert_eq!(ports.to_string(), "25, 587, 1025-5000");
    }

    #[test]
    fn a_part_is_a_number_or_two_with_a_hyphen() {
        assert_eq!(PortSet::parse_part("25"), Ok(25..=25));
        assert_eq!(PortSet::parse_part("1025 - 5000"), Ok(1025..=5000));
        for wrong in ["", "-", "smtp", "25-", "65536", "+25", "1,2", "1-2-3"] {
            assert_eq!(
                PortSet::parse_part(wrong),
                Err(PortSetError::Form),
                "{wrong}"
            );
        }
        assert_eq!(
            PortSet::parse_part("5000-1025"),
            Err(PortSetError::Backwards)
        );
    }

    #[test]
    fn the_whole_range_ends_at_the_last_port() {
        assert_eq!(set(&["1-65535"]).len(), 65_535);
    }

    #[test]
    fn a_port_is_not_in_a_set_twice() {
        let mut ports = set(&["1025-5000"]);
        assert_eq!(ports.insert(2525..=2525), Err(2525));
        assert_eq!(ports.len(), 3976);
    }

    #[test]
    fn sets_overlap_in_a_port_they_share() {
        assert_eq!(
            set(&["25", "1000-2000"]).overlap(&set(&["1500-1600"])),
            Some(1500)
        );
        assert_eq!(set(&["25"]).overlap(&set(&["26"])), None);
        assert_eq!(set(&["0"]).overlap(&set(&["0"])), None);
    }
}
