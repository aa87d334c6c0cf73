//! What operators ask of a spool and are answered.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::mail::{Priority, QueueId};

use super::EntryState;

/// Which messages are meant, as far as that is known without reading one; all that is given must hold. Letter case does
/// not count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// What they do now.
    pub state: Option<EntryState>,
    /// Their priority, from the highest to the lowest that counts.
    pub priorities: Option<RangeInclusive<Priority>>,
    /// The whole name of the account.
    pub account: Option<Box<str>>,
    /// The whole name of the tenant.
    pub tenant: Option<Box<str>>,
    /// The whole name of an upstream on the route.
    pub upstream: Option<Box<str>>,
    /// A part of the reason of a recipient's last deferral.
    pub reply: Option<Box<str>>,
    /// Only ids from this one on.
    pub from: Option<QueueId>,
    /// Only smaller ids.
    pub before: Option<QueueId>,
}

/// Some of the messages of a selection.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In the order of their ids; perhaps none, even if there are more.
    pub items: Vec<T>,
    /// Behind which id the next page begins; `None` at the end.
    pub next: Option<QueueId>,
}

/// What operators do to messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Removes it without a report to its sender.
    Delete,
    /// Keeps it from being attempted until it is released.
    Hold,
    /// Ends a hold.
    Release,
    /// Makes it due at once.
    Retry,
    /// Gives it a route that is stronger than its account's, until it is taken back; also over reloads and restarts.
    Route(Route),
    /// Takes an operator's route back. It keeps the route until it is given its account's; see
    /// [`SpoolAdmin::reroute`](super::SpoolAdmin::reroute).
    RouteOfAccount,
}

/// Messages and their octets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sum {
    /// How many messages.
    pub messages: u64,
    /// The octets of their headers and bodies.
    pub octets: u64,
}

impl Sum {
    /// Counts a message in.
    pub fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets = self.octets.saturating_add(octets);
    }
}

/// What the spool holds, by several criteria.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Those that wait for their due time or a free connection.
    pub pending: Sum,
    /// Those that are being attempted.
    pub leased: Sum,
    /// Those that wait for an operator.
    pub held: Sum,
    /// By priority.
    pub priorities: BTreeMap<Priority, Sum>,
    /// By the first upstream of the route.
    pub upstreams: BTreeMap<UpstreamName, Sum>,
    /// By account; `None` for messages of posthouse itself that belong to no account.
    pub accounts: BTreeMap<Option<AccountName>, Sum>,
    /// By tenant.
    pub tenants: BTreeMap<TenantName, Sum>,
    /// The oldest message.
    pub oldest: Option<QueueId>,
}
