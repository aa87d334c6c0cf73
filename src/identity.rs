//! Names of accounts, tenants and upstreams, and who has authenticated.

mod nearest;

use std::fmt;
use std::sync::Arc;

pub use nearest::nearest;

/// Why a name was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// The name holds a character that does not print, white space or a quote.
    #[error("a name has no spaces, quotes or control characters")]
    Character,
    /// The name is empty.
    #[error("a name is not empty")]
    Empty,
    /// The name has more than 255 octets.
    #[error("a name has at most 255 octets")]
    TooLong,
}

/// Returns a name of an account as it is compared: letter case does not count, also outside of ASCII.
///
/// A character that only looks like one of ASCII never becomes one: the Kelvin sign is not a `k`. Names that have such
/// characters are compared to the letter, so that nobody is taken for somebody else by them.
pub fn folded(name: &str) -> String {
    let becomes_ascii = |c: char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
    if name.contains(becomes_ascii) {
        name.to_owned()
    } else {
        name.to_lowercase()
    }
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > 255 {
        return Err(NameError::TooLong);
    }
    let refused =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\' | '`');
    if name.contains(refused) {
        return Err(NameError::Character);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name: 1 to 255 octets, no white space, quotes, backslashes or control characters.
            ///
            /// # Errors
            /// [`NameError`] says which of these rules is broken.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check(name).map(|()| Self(Arc::from(name)))
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of a configured account: what a client sends as its user name.
    AccountName
}
name! {
    /// The name of an application password, which tells it from the others of its account.
    Label
}
name! {
    /// The name of a tenant.
    TenantName
}
name! {
    /// The name of a configured upstream.
    UpstreamName
}

/// How an identity came to be known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The client showed a certificate of the account in its TLS handshake.
    Certificate,
    /// The client connected from one of the account's `networks`.
    Network,
    /// Nobody's: an operator of this server sends a message as the account, to see that it goes out.
    Operator,
    /// The client gave the account's password, or one of them.
    Password,
    /// The client gave an access token that an identity provider made for the account.
    Token,
}

/// Who has authenticated on a session, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The configured account.
    pub account: AccountName,
    /// The tenant the account belongs to, if any.
    pub tenant: Option<TenantName>,
    /// How the account was recognised.
    pub proof: Proof,
}

impl Identity {
    /// Returns whether the client has shown who it is, and is not merely known by its network.
    pub fn has_logged_in(&self) -> bool {
        match self.proof {
            Proof::Certificate | Proof::Password | Proof::Token => true,
            Proof::Network | Proof::Operator => false,
        }
    }
}

/// The upstreams a message may take, in failover order; never empty.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Route(Arc<[UpstreamName]>);

impl Route {
    /// Makes a route, or `None` from an empty list.
    pub fn new(upstreams: Vec<UpstreamName>) -> Option<Self> {
        (!upstreams.is_empty()).then(|| Self(upstreams.into()))
    }

    /// Returns the upstreams in failover order.
    pub fn upstreams(&self) -> &[UpstreamName] {
        &self.0
    }
}

impl fmt::Display for Route {
    /// Writes the names separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_an_address() {
        assert_eq!(
            AccountName::parse("alice@example.com").unwrap().as_str(),
            "alice@example.com"
        );
    }

    #[test]
    fn a_name_cannot_carry_a_line_break_into_a_log() {
        assert_eq!(AccountName::parse("a\r\nb"), Err(NameError::Character));
        assert_eq!(AccountName::parse("a b"), Err(NameError::Character));
        assert_eq!(AccountName::parse(""), Err(NameError::Empty));
        assert_eq!(
            AccountName::parse(&"a".repeat(256)),
            Err(NameError::TooLong)
        );
    }

    #[test]
    fn letter_case_of_names_does_not_count_but_a_look_alike_is_another_name() {
        assert_eq!(folded("ÄNN@Example.COM"), "änn@example.com");
        assert_eq!(folded("Kim"), "kim");
        assert_ne!(folded("\u{212a}im"), "kim", "the Kelvin sign");
        assert_ne!(folded("\u{130}da"), "ida", "the dotted capital I");
    }

    #[test]
    fn a_route_is_never_empty() {
        assert!(Route::new(Vec::new()).is_none());
        let names = ["main", "spare"].map(|name| UpstreamName::parse(name).unwrap());
        assert_eq!(
            Route::new(names.to_vec()).unwrap().to_string(),
            "main,spare"
        );
    }
}
