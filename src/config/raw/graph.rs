//! The table of a Graph upstream.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{Cloud, ForeignRecipients, Large, OwnRetry, Port, Rates, SecretSource};
use crate::config::units::{ByteSize, Number, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Graph {
    pub(in crate::config) tenant_id: Option<Spanned<String>>,
    pub(in crate::config) client_id: Option<Spanned<String>>,
    pub(in crate::config) client_secret: Option<Spanned<SecretSource>>,
    pub(in crate::config) certificate: Option<Spanned<PathBuf>>,
    pub(in crate::config) key: Option<Spanned<PathBuf>>,
    pub(in crate::config) cloud: Cloud,
    pub(in crate::config) mailbox: Option<Spanned<String>>,
    pub(in crate::config) large: Large,
    pub(in crate::config) foreign_recipients: Spanned<ForeignRecipients>,
    pub(in crate::config) message_size: Spanned<ByteSize<{ 64 << 10 }>>,
    pub(in crate::config) connections: Number<1, 1000>,
    pub(in crate::config) reserved_connections: Option<Spanned<Number<0, 999>>>,
    pub(in crate::config) rate: Rates,
    pub(in crate::config) recipients_per_message: Number<1, 1000>,
    pub(in crate::config) timeout: Span<1000>,
    pub(in crate::config) endpoint: Option<Spanned<String>>,
    pub(in crate::config) authority: Option<Spanned<String>>,
    pub(in crate::config) smtp_host: Option<Spanned<String>>,
    pub(in crate::config) smtp_port: Port,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) retry: OwnRetry,
}
