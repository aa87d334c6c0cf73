//! What a verifier is told of an issuer.

use std::time::Duration;

use url::Url;

use crate::http::Trust;
use crate::identity::TenantName;
use crate::oauth::Authentication;

/// An issuer whose tokens count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Its name in the configuration, for the log.
    pub name: String,
    /// How its tokens are judged.
    pub check: Check,
    /// What a token must say.
    pub demands: Demands,
    /// Whose account a token is for.
    pub accounts: AccountRule,
    /// The tenant whose accounts the issuer vouches for; those of every tenant, and of none, where it is `None`.
    pub tenant: Option<TenantName>,
    /// How the certificates of its servers are judged.
    pub trust: Trust,
}

/// How tokens are judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Check {
    /// The issuer is asked about each (RFC 7662).
    Introspection {
        /// The introspection endpoint.
        url: Url,
        /// The name under which this server is registered there.
        client_id: String,
        /// How this server shows that it is itself.
        authentication: Authentication,
        /// How long an answer counts.
        remember: Duration,
    },
    /// They are signed (RFC 7519).
    Jwt {
        /// What `iss` must be, to the letter.
        issuer: String,
        /// Where the keys are.
        keys: KeySource,
    },
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// Named by the metadata at this address (`OpenID` Connect Discovery 1.0 §4).
    Discovered(Url),
    /// At this address (RFC 7517 §5).
    Fixed(Url),
}

/// What a token must say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Demands {
    /// One of these must be in `aud`; nothing is demanded where the list is empty.
    pub audience: Vec<String>,
    /// The program the token was given to (`azp`, `appid` or `client_id`) must be one of these, where the list has any.
    pub clients: Vec<String>,
    /// All of these must be among its scopes or roles.
    pub scopes: Vec<String>,
    /// The claim that names the account.
    pub claim: String,
}

/// Whose account a token is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountRule {
    /// The one that has the name before the `@` of the claim, whose domain must be one of these.
    LocalPart(Vec<String>),
    /// The one that has the claim as its name. Where the list has any domain, the claim must be an address of one of them.
    Whole(Vec<String>),
}
