//! The tables of the server's certificates.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{AcmeChallenge, AcmeKey, List, SecretSource};
use crate::config::units::Span;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tls {
    pub(in crate::config) certificate: Option<Spanned<PathBuf>>,
    pub(in crate::config) key: Option<Spanned<PathBuf>>,
    pub(in crate::config) client_ca: Option<Spanned<PathBuf>>,
    pub(in crate::config) client_crl: Option<Spanned<PathBuf>>,
    pub(in crate::config) self_signed: Option<Spanned<SelfSigned>>,
    pub(in crate::config) acme: Option<Spanned<Acme>>,
    pub(in crate::config) name: Vec<Spanned<TlsName>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SelfSigned {}

/// The certificate of some names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct TlsName {
    pub(in crate::config) names: Option<Spanned<List>>,
    pub(in crate::config) certificate: Option<Spanned<PathBuf>>,
    pub(in crate::config) key: Option<Spanned<PathBuf>>,
    pub(in crate::config) acme: Option<Spanned<bool>>,
}

/// Certificates from an authority (RFC 8555).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Acme {
    pub(in crate::config) agree_to_terms: Spanned<bool>,
    pub(in crate::config) contact: Option<Spanned<List>>,
    pub(in crate::config) names: Option<Spanned<List>>,
    pub(in crate::config) challenge: Spanned<AcmeChallenge>,
    pub(in crate::config) http: Spanned<List>,
    pub(in crate::config) tls_alpn: Spanned<List>,
    pub(in crate::config) dns_hook: Option<Spanned<PathBuf>>,
    pub(in crate::config) dns_hook_timeout: Span<1000>,
    pub(in crate::config) renew_before: Span<3_600_000>,
    pub(in crate::config) key: AcmeKey,
    pub(in crate::config) directory: Spanned<String>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) eab: Option<Spanned<Eab>>,
}

/// Binds the account at the authority to one that a person has there (RFC 8555 §7.3.4).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Eab {
    pub(in crate::config) key_id: Option<Spanned<String>>,
    pub(in crate::config) hmac_key: Option<Spanned<SecretSource>>,
}
