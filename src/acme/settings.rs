//! What is configured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::http::Trust;
use crate::secret::Secret;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How certificates are got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where the authority says what it can do.
    pub directory: Url,
    /// How the authority itself is judged.
    pub trust: Trust,
    /// Whom the authority may write to, such as `mailto:postmaster@example.com`.
    pub contact: Vec<String>,
    /// The account that a person has at the authority, where it wants one.
    pub binding: Option<Binding>,
    /// How it is proven that the names are ours.
    pub challenge: Challenge,
    /// How long before its end a certificate is renewed; never sooner than after half of its time.
    pub renew_before: Duration,
    /// The keys of new certificates.
    pub key: KeyKind,
    /// Where the account, certificates and orders are kept.
    pub folder: PathBuf,
    /// The names of each certificate, the one that gives it its name first; no list is empty.
    pub certificates: Vec<Vec<String>>,
}

/// Binds the account at the authority to one that a person has there (RFC 8555 §7.3.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// The name of the key.
    pub key_id: String,
    /// The key, in base64url.
    pub hmac_key: Secret,
}

/// How it is proven that a name is ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// By a TXT record (RFC 8555 §8.4), which a program of the operator sets.
    Dns01(Hook),
    /// By a page on port 80 (RFC 8555 §8.3).
    Http01 {
        /// Where the page is served.
        addresses: Vec<SocketAddr>,
    },
    /// By a certificate shown on port 443 (RFC 8737).
    TlsAlpn01 {
        /// Where it is shown.
        addresses: Vec<SocketAddr>,
    },
}

impl Challenge {
    /// Returns its name (RFC 8555 §9.7.8).
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Dns01(_) => "dns-01",
            Self::Http01 { .. } => "http-01",
            Self::TlsAlpn01 { .. } => "tls-alpn-01",
        }
    }
}

/// A program that sets records in DNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// The program; run as `PROGRAM present|cleanup DOMAIN NAME VALUE`.
    pub program: PathBuf,
    /// How long it may take.
    pub limit: Duration,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// ECDSA on P-256: small and fast.
    EcdsaP256,
    /// RSA with 2048 bits, for clients that know nothing else.
    Rsa2048,
}
