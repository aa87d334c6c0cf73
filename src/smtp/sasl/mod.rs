//! The server's side of SASL exchanges (RFC 4422, RFC 4954 §4): what a client says, not whether it is true.

mod password;
pub mod scram;
mod token;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::secret::Secret;

use super::replies;
use super::reply::Reply;

use scram::{Binding, ClientFirst, Proven, ServerFirst};

/// A mechanism of AUTH. A listener offers some of them, in an order of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN (draft-murchison-sasl-login).
    Login,
    /// XOAUTH2, Google's forerunner of OAUTHBEARER.
    XOAuth2,
    /// OAUTHBEARER (RFC 7628).
    OAuthBearer,
    /// SCRAM-SHA-256 (RFC 5802, RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-256 with channel binding.
    ScramSha256Plus,
    /// EXTERNAL: the certificate of the TLS handshake (RFC 4422 Appendix A).
    External,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Login,
        Self::XOAuth2,
        Self::OAuthBearer,
        Self::ScramSha256,
        Self::ScramSha256Plus,
        Self::External,
    ];

    /// Finds a mechanism by its name, in any letter case.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Returns its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::External => "EXTERNAL",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client gave to show who it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// The certificate of its TLS handshake (EXTERNAL).
    Certificate {
        /// Whom it wants to act for, where it says so.
        authzid: Option<String>,
    },
    /// A user name and a password (PLAIN, LOGIN).
    Password {
        /// The user name.
        name: String,
        /// The password.
        password: Secret,
    },
    /// A proof of knowing the password (SCRAM-SHA-256).
    Scram {
        /// The user name.
        name: String,
        /// What the proof was worth; nothing where the name is nobody's.
        proven: Proven,
    },
    /// An access token (XOAUTH2, OAUTHBEARER).
    Token {
        /// Whom it wants to act for, where it says so.
        name: Option<String>,
        /// The token.
        token: Secret,
    },
}

/// An exchange that waits for a response.
#[derive(Debug, Eq, PartialEq)]
pub enum Exchange {
    /// PLAIN, for its only response.
    Plain,
    /// LOGIN, for the user name.
    LoginName,
    /// LOGIN, for the password.
    LoginPassword(String),
    /// SCRAM, for the first message.
    ScramFirst(Binding),
    /// SCRAM, for the last message.
    ScramLast(Box<ServerFirst>),
    /// SCRAM, for the empty response to the server's proof (RFC 4954 §4): the client has logged in then.
    ScramProved(Box<Identity>),
    /// OAUTHBEARER, for its only response.
    OAuthBearer,
    /// OAUTHBEARER or XOAUTH2, for the response that says nothing, to the challenge which tells that the token is refused.
    TokenRefused,
    /// XOAUTH2, for its only response.
    XOAuth2,
}

/// What follows a response.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// The exchange goes on with this challenge.
    Challenge(Exchange, Reply),
    /// The client has said all.
    Credentials(Credentials),
    /// The client has logged in; that was decided before.
    LoggedIn(Box<Identity>),
    /// The exchange is over without credentials.
    Refused(Reply),
    /// What is kept of a password is needed.
    ScramKeys(ClientFirst),
}

impl Exchange {
    /// Begins an exchange. `binding` is what SCRAM must bind to. `initial` is the initial response, base64; `=` is an empty one (RFC 4954 §4).
    pub fn begin(mechanism: Mechanism, initial: Option<&str>, binding: Binding) -> Next {
        let (exchange, challenge) = match mechanism {
            Mechanism::Plain => (Self::Plain, replies::AUTH_CONTINUE),
            Mechanism::Login => (Self::LoginName, replies::AUTH_USERNAME),
            Mechanism::OAuthBearer => (Self::OAuthBearer, replies::AUTH_CONTINUE),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                (Self::ScramFirst(binding), replies::AUTH_CONTINUE)
            }
            Mechanism::XOAuth2 => (Self::XOAuth2, replies::AUTH_CONTINUE),
            Mechanism::External => {
                return Next::Refused(replies::UNKNOWN_MECHANISM);
            }
        };
        match initial {
            Some(initial) => exchange.respond(initial.as_bytes()),
            None => Next::Challenge(exchange, challenge),
        }
    }

    /// Takes a response line. `*` cancels.
    pub fn respond(self, line: &[u8]) -> Next {
        if self == Self::TokenRefused {
            // The failure is one already, and cancelling does not undo it.
            return Next::Refused(replies::TOKEN_REFUSED);
        }
        let line = line.trim_ascii();
        if line == b"*" {
            return Next::Refused(replies::AUTH_CANCELLED);
        }
        let encoded: &[u8] = if line == b"=" { b"" } else { line };
        let Ok(response) = STANDARD.decode(encoded) else {
            return Next::Refused(replies::AUTH_MALFORMED);
        };
        // It may be a password: nothing of it stays in memory.
        let response = Zeroizing::new(response);
        match str::from_utf8(&response) {
            Ok(response) => self.answer(response),
            Err(_) => Next::Refused(replies::AUTH_FAILED),
        }
    }

    fn answer(self, response: &str) -> Next {
        match self {
            Self::Plain => password::plain(response),
            Self::LoginName => Next::Challenge(
                Self::LoginPassword(response.to_owned()),
                replies::AUTH_PASSWORD,
            ),
            Self::LoginPassword(name) => password::credentials(&name, response),
            Self::ScramFirst(binding) => match ClientFirst::parse(response, binding) {
                Some(first) => Next::ScramKeys(first),
                None => Next::Refused(replies::AUTH_FAILED),
            },
            Self::ScramLast(server) => Next::Credentials(Credentials::Scram {
                proven: server.check(response),
                name: server.name().to_owned(),
            }),
            Self::ScramProved(identity) if response.is_empty() => Next::LoggedIn(identity),
            Self::ScramProved(_) => Next::Refused(replies::AUTH_FAILED),
            Self::OAuthBearer => token::oauthbearer(response),
            Self::TokenRefused => Next::Refused(replies::TOKEN_REFUSED),
            Self::XOAuth2 => token::xoauth2(response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_is_found_by_its_name_in_any_letter_case() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
            assert_eq!(
                Mechanism::parse(&mechanism.name().to_lowercase()),
                Some(mechanism)
            );
        }
        assert_eq!(Mechanism::parse("CRAM-MD5"), None);
    }
}
