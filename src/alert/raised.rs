//! One thing that a person should be told.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::identity::{AccountName, TenantName, UpstreamName};

/// What an alert is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// Nothing has happened: an operator wants to see that alerts arrive. Cannot be switched off.
    Test,
    /// A message claimed a sender that its account may not use.
    UnauthorizedSender,
    /// An upstream is parked until a person has repaired something.
    UpstreamParked,
}

impl Kind {
    /// All kinds that something can happen of, in the order of their names.
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
            Self::Test => "test",
            Self::UnauthorizedSender => "unauthorized_sender",
            Self::UpstreamParked => "upstream_parked",
        }
    }

    /// Returns what has happened, for people.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::AccountBlocked => "logins refused",
            Self::DeliveryTimeExceeded => "mail is late",
            Self::ExpiryNear => "something expires",
            Self::QueueOverLimit => "the queue is over a limit",
            Self::SystemError => "the server has a fault",
            Self::Test => "test",
            Self::UnauthorizedSender => "sender not authorized",
            Self::UpstreamParked => "upstream parked",
        }
    }

    /// Finds a kind by its name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Test]);
        all.find(|kind| kind.as_str() == name)
    }

    /// Returns whether it is about what an account does, so that whoever owns the account is told too.
    pub const fn is_of_account(self) -> bool {
        match self {
            Self::AccountBlocked
            | Self::DeliveryTimeExceeded
            | Self::Test
            | Self::UnauthorizedSender => true,
            Self::ExpiryNear | Self::QueueOverLimit | Self::SystemError | Self::UpstreamParked => {
                false
            }
        }
    }

    /// Returns how long nobody is told again of the same kind and the same account, upstream or tenant.
    pub const fn rest(self) -> Duration {
        match self {
            Self::Test => Duration::ZERO,
            Self::AccountBlocked
            | Self::DeliveryTimeExceeded
            | Self::ExpiryNear
            | Self::QueueOverLimit
            | Self::SystemError
            | Self::UnauthorizedSender
            | Self::UpstreamParked => Duration::from_hours(1),
        }
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
    fn a_kind_is_found_by_its_name_which_is_also_what_is_stored() {
        for kind in Kind::ALL.into_iter().chain([Kind::Test]) {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            let stored = serde_json::to_string(&kind).unwrap();
            assert_eq!(stored, format!("\"{kind}\""));
        }
        assert_eq!(Kind::parse("weather"), None);
    }
}
