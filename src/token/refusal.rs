//! Why a token does not count.

use crate::telemetry::printable;

/// Why a token does not count. Texts are for the log alone; they hold what the token says of issuer, audience and account,
/// never the token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The claim that names the account is missing, or no name.
    #[error("the token names no account in its claim `{0}`")]
    Account(String),
    /// It is signed by an algorithm that does not count: none, or by a shared secret.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// It is meant for somebody else.
    #[error("the token is for the audience `{0}`")]
    Audience(Box<str>),
    /// It was given to a program that is not allowed.
    #[error("the token was given to the program `{0}`")]
    Client(Box<str>),
    /// The account's address is of a domain the issuer does not vouch for.
    #[error("the token's account `{0}` is of a domain that is not listed")]
    Domain(Box<str>),
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// The issuer says that it does not count, or does not count any more (RFC 7662 §2.2).
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// Nobody who is configured has issued it.
    #[error("the token is of the issuer `{0}`")]
    Issuer(Box<str>),
    /// No key of the issuer has the name that the token says.
    #[error("the issuer has no key that the token names")]
    Key,
    /// It is no token.
    #[error("the token is malformed")]
    Malformed,
    /// Its time has not begun.
    #[error("the token is not valid yet")]
    NotYet,
    /// A scope or role is missing.
    #[error("the token lacks the scope or role `{0}`")]
    Scope(String),
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// The issuer has not checked that the address belongs to the person.
    #[error("the issuer has not verified the address")]
    Unverified,
}

impl Refusal {
    /// Returns foreign words for a refusal: one line, not long.
    pub(super) fn words(text: &str) -> Box<str> {
        printable(text)
    }
}
