//! The tables of clients' logins by access tokens.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{AccountRule, ClientAuth, List, Named, SecretSource};
use crate::config::units::Span;

/// `[login]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Login {
    pub(in crate::config) oauth: Named<Issuer>,
}

/// `[login.oauth.NAME]`; exactly one of `jwt` and `introspection` is set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Issuer {
    pub(in crate::config) jwt: Option<Spanned<Jwt>>,
    pub(in crate::config) introspection: Option<Spanned<Introspection>>,
    pub(in crate::config) claim: Option<Spanned<String>>,
    pub(in crate::config) accounts: Spanned<AccountRule>,
    pub(in crate::config) domains: Option<Spanned<List>>,
    pub(in crate::config) tenant: Option<Spanned<String>>,
    pub(in crate::config) audience: Option<Spanned<List>>,
    pub(in crate::config) clients: Option<Spanned<List>>,
    pub(in crate::config) scopes: Option<Spanned<List>>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Jwt {
    pub(in crate::config) issuer: Option<Spanned<String>>,
    pub(in crate::config) jwks_url: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Introspection {
    pub(in crate::config) url: Option<Spanned<String>>,
    pub(in crate::config) client_id: Option<Spanned<String>>,
    pub(in crate::config) client_secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) client_auth: ClientAuth,
    pub(in crate::config) remember: Spanned<Span<0>>,
}
