//! The tables of alerts.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{AlertDelivery, List, SecretSource};
use crate::config::units::Span;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Alerts {
    pub(in crate::config) kinds: Spanned<List>,
    pub(in crate::config) mail: Option<Spanned<List>>,
    pub(in crate::config) delivery: AlertDelivery,
    pub(in crate::config) digest_every: Span<1000>,
    pub(in crate::config) upstream: Option<Spanned<List>>,
    pub(in crate::config) delivery_time: Span<0>,
    pub(in crate::config) keep: Span<60_000>,
    pub(in crate::config) webhook: Option<Spanned<Webhook>>,
}

/// A program that is told of alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Webhook {
    pub(in crate::config) url: Option<Spanned<String>>,
    pub(in crate::config) secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
}
