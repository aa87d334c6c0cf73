//! The tables of keys that sign.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::Canonicalization;
use crate::config::units::Span;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Dkim {
    pub(in crate::config) domain: Option<Spanned<String>>,
    pub(in crate::config) selector: Option<Spanned<String>>,
    pub(in crate::config) key: Option<Spanned<PathBuf>>,
    pub(in crate::config) subdomains: bool,
    pub(in crate::config) canonicalization: Canonicalization,
    pub(in crate::config) valid_for: Span<0>,
    pub(in crate::config) expires: Option<Spanned<String>>,
}
