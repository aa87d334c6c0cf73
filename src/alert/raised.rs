//! One thing that a person should be told.

use std::fmt;

use crate::identity::{AccountName, TenantName, UpstreamName};

/// What an alert is about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Logins of an account are refused, since too many have failed.
    AccountBlocked,
    /// A message was not delivered in the time it should have been.
    DeliveryTimeExceeded,
    /// A secret, key or certificate ends soon, or has ended.
    ExpiryNear,
    /// The queue is over one of its limits.
    QueueOverLimit,
    /// Something of the server itself has failed.
    SystemError,
    /// A message claimed a sender that its account may not use.
    UnauthorizedSender,
    /// An upstream is parked until a person has repaired something.
    UpstreamParked,
}

impl Kind {
    /// All kinds, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::AccountBlocked,
        Self::DeliveryTimeExceeded,
        Self::ExpiryNear,
        Self::QueueOverLimit,
        Self::SystemError,
        Self::UnauthorizedSender,
        Self::UpstreamParked,
    ];

    /// Returns its name in configuration, log and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountBlocked => "account_blocked",
            Self::DeliveryTimeExceeded => "delivery_time_exceeded",
            Self::ExpiryNear => "expiry_near",
            Self::QueueOverLimit => "queue_over_limit",
            Self::SystemError => "system_error",
            Self::UnauthorizedSender => "unauthorized_sender",
            Self::UpstreamParked => "upstream_parked",
        }
    }

    /// Finds a kind by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a person should be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub kind: Kind,
    /// The account whose matter it is, if it is one's.
    pub account: Option<AccountName>,
    /// The tenant whose matter it is, if it is one's.
    pub tenant: Option<TenantName>,
    /// The upstream it is about, if it is about one: no alert about it goes that way.
    pub upstream: Option<UpstreamName>,
    /// What happened and what to do, in words, without secrets.
    pub text: Box<str>,
}

impl Alert {
    /// Makes an alert that is nobody's but the server's.
    pub fn new(kind: Kind, text: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            account: None,
            tenant: None,
            upstream: None,
            text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("weather"), None);
    }
}
