//! The tables of logins by OAuth.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{ClientAuth, Cloud, SecretSource};

/// Who gives the tokens; exactly one is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OAuth {
    pub(in crate::config) microsoft: Option<Spanned<Microsoft>>,
    pub(in crate::config) google: Option<Spanned<Google>>,
    pub(in crate::config) generic: Option<Spanned<Generic>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Microsoft {
    pub(in crate::config) tenant_id: Option<Spanned<String>>,
    pub(in crate::config) client_id: Option<Spanned<String>>,
    pub(in crate::config) client_secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) certificate: Option<Spanned<PathBuf>>,
    pub(in crate::config) key: Option<Spanned<PathBuf>>,
    pub(in crate::config) login: Spanned<bool>,
    pub(in crate::config) refresh_token: Option<Spanned<SecretSource>>,
    pub(in crate::config) cloud: Cloud,
    pub(in crate::config) authority: Option<Spanned<String>>,
    pub(in crate::config) scope: Option<Spanned<String>>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Google {
    pub(in crate::config) service_account: Option<Spanned<PathBuf>>,
    pub(in crate::config) client_id: Option<Spanned<String>>,
    pub(in crate::config) client_secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) refresh_token: Option<Spanned<SecretSource>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Generic {
    pub(in crate::config) token_url: Option<Spanned<String>>,
    pub(in crate::config) client_id: Option<Spanned<String>>,
    pub(in crate::config) client_secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) client_auth: ClientAuth,
    pub(in crate::config) scope: Option<Spanned<String>>,
    pub(in crate::config) audience: Option<Spanned<String>>,
    pub(in crate::config) refresh_token: Option<Spanned<SecretSource>>,
    pub(in crate::config) device_url: Option<Spanned<String>>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
}
