//! What a source of tokens is told.

use std::path::PathBuf;

use url::Url;

use super::keys::{CertificateKey, ServiceAccount};
use crate::http::Trust;
use crate::secret::Secret;

/// How tokens are got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The token endpoint (RFC 6749 §3.2).
    pub token_url: Url,
    /// What entitles to a token.
    pub grant: Grant,
    /// How the endpoint's certificate is judged.
    pub trust: Trust,
}

/// What entitles to a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Grant {
    /// The program's own permissions.
    ClientCredentials(ClientCredentials),
    /// A person's permission, given before.
    RefreshToken(RefreshToken),
    /// A Google service account that acts for a mailbox of its domain.
    ServiceAccount {
        /// The account and its key.
        account: ServiceAccount,
        /// The mailbox it acts for.
        mailbox: String,
        /// What the token is for.
        scope: String,
    },
}

/// Client credentials (RFC 6749 §4.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCredentials {
    /// The name of the program.
    pub client_id: String,
    /// How the program shows that it is itself.
    pub authentication: Authentication,
    /// What the token is for; what the endpoint wants where it is empty.
    pub audience: Audience,
}

/// What a token is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Audience {
    /// The scope (RFC 6749 §3.3).
    pub scope: Option<String>,
    /// The parameter `audience` that some servers take besides.
    pub audience: Option<String>,
}

/// How a program shows that it is itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// A secret in the header field `Authorization` (`client_secret_basic`, RFC 6749 §2.3.1).
    Basic(Secret),
    /// An assertion signed by the key of a certificate (RFC 7523 §2.2).
    Certificate(CertificateKey),
    /// Not at all: a public client (RFC 6749 §2.1).
    None,
    /// A secret in the form (`client_secret_post`).
    Post(Secret),
}

/// A refresh token (RFC 6749 §6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    /// The name of the program.
    pub client_id: String,
    /// How the program shows that it is itself.
    pub authentication: Authentication,
    /// What the token is for; what was permitted where it is empty.
    pub scope: Option<String>,
    /// The refresh token that was got elsewhere; `None` where only `upstream login` gives one.
    pub configured: Option<Secret>,
    /// Where the newest refresh token is kept.
    pub file: PathBuf,
    /// How a person gives the permission, where the endpoint has the device flow.
    pub login: Option<DeviceLogin>,
}

/// The device flow (RFC 8628).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceLogin {
    /// The device authorization endpoint.
    pub device_url: Url,
    /// What is asked for.
    pub scope: Option<String>,
}
