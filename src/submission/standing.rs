//! How much of a client is known before it has logged in.

use std::net::IpAddr;

use crate::auth::Authenticator;

/// How much of a client is known before it has logged in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Somebody has logged in from its network lately.
    Familiar,
    /// Nothing.
    Stranger,
}

impl Standing {
    /// Looks at a client's address, where that is known.
    pub(super) fn of(address: Option<IpAddr>, authenticator: &Authenticator) -> Self {
        match address {
            Some(address) if authenticator.is_familiar(address) => Self::Familiar,
            Some(_) | None => Self::Stranger,
        }
    }
}
