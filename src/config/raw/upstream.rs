//! The tables of upstreams.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{Graph, Hidden, OAuth, Rates, Smtputf8, TlsPolicy, Unfit};
use crate::config::units::{BitRate, Number, Span};

/// What an upstream has of [`Retry`]; the rest is that of `[relay]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OwnRetry {
    pub(in crate::config) first: Option<Spanned<Span<1000>>>,
    pub(in crate::config) longest: Option<Spanned<Span<1000>>>,
    pub(in crate::config) lifetime: Option<Spanned<Span<1000>>>,
    pub(in crate::config) warn_after: Option<Spanned<Span<0>>>,
}

/// One kind of upstream each; exactly one is set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) graph: Option<Spanned<Graph>>,
    pub(in crate::config) maildir: Option<Spanned<Maildir>>,
    pub(in crate::config) smtp: Option<Spanned<Smtp>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Maildir {
    pub(in crate::config) directory: Option<Spanned<PathBuf>>,
    pub(in crate::config) retry: OwnRetry,
}

/// What a profile may set is an option; what counts without either is in [`SmtpDefaults`](super::SmtpDefaults).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Smtp {
    pub(in crate::config) profile: Option<Spanned<String>>,
    pub(in crate::config) host: Option<Spanned<String>>,
    pub(in crate::config) port: Option<Spanned<Port>>,
    pub(in crate::config) mx: Spanned<bool>,
    pub(in crate::config) tls: Option<Spanned<TlsPolicy>>,
    pub(in crate::config) verify: Spanned<bool>,
    pub(in crate::config) ca_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) fingerprint: Option<Spanned<String>>,
    pub(in crate::config) dane: Option<Spanned<bool>>,
    pub(in crate::config) mta_sts: Option<Spanned<bool>>,
    pub(in crate::config) username: Option<Spanned<String>>,
    pub(in crate::config) password: Option<Spanned<SecretSource>>,
    pub(in crate::config) oauth: Option<Spanned<OAuth>>,
    pub(in crate::config) plain_text_login: Spanned<bool>,
    pub(in crate::config) helo: Option<Spanned<String>>,
    pub(in crate::config) envelope_sender: Option<Spanned<String>>,
    pub(in crate::config) local_address: Option<Spanned<String>>,
    pub(in crate::config) connections: Option<Spanned<Connections>>,
    pub(in crate::config) reserved_connections: Option<Spanned<Number<0, 9_999>>>,
    pub(in crate::config) rate: Option<Rates>,
    pub(in crate::config) messages_per_connection: Option<Spanned<MessagesPerConnection>>,
    pub(in crate::config) recipients_per_message: Option<Spanned<RecipientsPerMessage>>,
    pub(in crate::config) bandwidth: Option<Spanned<BitRate>>,
    pub(in crate::config) keep_idle: Option<Spanned<Span<0>>>,
    pub(in crate::config) smtputf8: Spanned<Smtputf8>,
    pub(in crate::config) eight_bit: Unfit,
    pub(in crate::config) long_lines: Unfit,
    pub(in crate::config) dkim: bool,
    pub(in crate::config) timeout: UpstreamTimeouts,
    pub(in crate::config) retry: OwnRetry,
}

pub(in crate::config) type Port = Number<1, 65_535>;
pub(in crate::config) type Connections = Number<1, 10_000>;
pub(in crate::config) type MessagesPerConnection = Number<1, 4_294_967_295>;
pub(in crate::config) type RecipientsPerMessage = Number<1, 65_535>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct UpstreamTimeouts {
    pub(in crate::config) connect: Option<Spanned<Span<1000>>>,
    pub(in crate::config) command: Option<Spanned<Span<1000>>>,
    pub(in crate::config) data: Option<Spanned<Span<1000>>>,
    #[serde(rename = "final")]
    pub(in crate::config) final_reply: Option<Spanned<Span<1000>>>,
}

/// Where a secret stands; exactly one is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SecretSource {
    pub(in crate::config) file: Option<Spanned<PathBuf>>,
    pub(in crate::config) env: Option<Spanned<String>>,
    pub(in crate::config) inline: Option<Spanned<Hidden>>,
}
