//! `[[listener]]` and the tables below it.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::{
    AuthRule, BareNewlines, ClientCertificates, List, ListenerProfile, OnPortInUse, TlsMode,
};
use crate::config::units::{ByteSize, Number, Span};
use crate::smtp::server::Keyword;

/// What is not written here comes from the profile, `[session]` or the defaults, in this order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Listener {
    pub(in crate::config) name: Option<Spanned<String>>,
    pub(in crate::config) profile: Option<ListenerProfile>,
    pub(in crate::config) address: Spanned<List>,
    pub(in crate::config) ports: Option<Spanned<List>>,
    pub(in crate::config) tls: Option<TlsMode>,
    pub(in crate::config) auth: Option<Spanned<AuthRule>>,
    pub(in crate::config) mechanisms: Option<Spanned<List>>,
    pub(in crate::config) client_certificate: Option<Spanned<ClientCertificates>>,
    pub(in crate::config) plain_text_auth_networks: Option<Spanned<List>>,
    pub(in crate::config) auth_equals: Option<bool>,
    pub(in crate::config) discard_keywords: Option<Spanned<List>>,
    pub(in crate::config) bare_newlines: Option<BareNewlines>,
    pub(in crate::config) proxy_protocol: Option<Spanned<List>>,
    pub(in crate::config) connections: Option<Number<1, 1_000_000>>,
    pub(in crate::config) connections_per_address: Option<Number<1, 1_000_000>>,
    pub(in crate::config) on_port_in_use: Option<OnPortInUse>,
    pub(in crate::config) limits: OwnLimits,
    pub(in crate::config) timeouts: OwnTimeouts,
    pub(in crate::config) network: Vec<Spanned<ListenerNetwork>>,
}

/// `[[listener.network]]`: what counts for clients in some networks instead.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct ListenerNetwork {
    pub(in crate::config) networks: Option<Spanned<List>>,
    pub(in crate::config) auth: Option<Spanned<AuthRule>>,
    pub(in crate::config) auth_equals: Option<bool>,
    pub(in crate::config) discard_keywords: Option<Spanned<List>>,
    pub(in crate::config) bare_newlines: Option<BareNewlines>,
    pub(in crate::config) limits: OwnLimits,
    pub(in crate::config) timeouts: OwnTimeouts,
}

/// Limits in the place of those of `[session.limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OwnLimits {
    pub(in crate::config) message_size: Option<ByteSize<1024>>,
    pub(in crate::config) recipients: Option<Number<1, 65_535>>,
    pub(in crate::config) command_line: Option<ByteSize<512>>,
    pub(in crate::config) auth_line: Option<ByteSize<512>>,
    pub(in crate::config) data_line: Option<ByteSize<1000>>,
    pub(in crate::config) errors: Option<Number<1, 1_000_000>>,
    pub(in crate::config) auth_failures: Option<Number<1, 1_000>>,
    pub(in crate::config) idle_commands: Option<Number<1, 1_000_000>>,
    pub(in crate::config) messages: Option<Number<1, 4_294_967_295>>,
    pub(in crate::config) future_release: Option<Span<0>>,
    pub(in crate::config) deliver_by_min: Option<Span<0>>,
}

/// Timeouts in the place of those of `[session.timeouts]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct OwnTimeouts {
    pub(in crate::config) before_auth: Option<Span<1000>>,
    pub(in crate::config) command: Option<Span<1000>>,
    pub(in crate::config) data: Option<Span<1000>>,
    pub(in crate::config) handshake: Option<Span<1000>>,
}

impl ListenerProfile {
    /// Returns its name.
    pub(in crate::config) const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
        }
    }

    /// Returns what a profile writes into the table of a listener, below what stands there.
    pub(in crate::config) fn table(self) -> Listener {
        match self {
            Self::Device => device(),
        }
    }
}

/// For printers, scanners and programs of many years: no TLS, logins in plain text where nobody but the neighbours can listen,
/// and an EHLO that names nothing new. They pause while paper moves.
fn device() -> Listener {
    let minutes = |minutes| Some(Span::of(Duration::from_mins(minutes)));
    Listener {
        tls: Some(TlsMode::Off),
        auth: Some(Spanned::new(0..0, AuthRule::AfterTls)),
        plain_text_auth_networks: Some(list(PRIVATE_NETWORKS)),
        auth_equals: Some(true),
        discard_keywords: Some(new_keywords()),
        bare_newlines: Some(BareNewlines::Repair),
        timeouts: OwnTimeouts {
            before_auth: minutes(5),
            command: minutes(10),
            data: minutes(10),
            handshake: None,
        },
        ..Listener::default()
    }
}

/// Addresses that no packet from the Internet has (RFC 1918, RFC 4193, RFC 3927, RFC 4291 section 2.5.6), and this machine's.
const PRIVATE_NETWORKS: &[&str] = &[
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// All keywords but SIZE, 8BITMIME and AUTH: old devices know no other, and a later one should not reach them either.
fn new_keywords() -> Spanned<List> {
    let is_new = |keyword: &Keyword| match keyword {
        Keyword::Auth | Keyword::EightBitMime | Keyword::Size => false,
        Keyword::Chunking
        | Keyword::DeliverBy
        | Keyword::Dsn
        | Keyword::EnhancedStatusCodes
        | Keyword::FutureRelease
        | Keyword::Limits
        | Keyword::MtPriority
        | Keyword::Pipelining
        | Keyword::RequireTls
        | Keyword::SmtpUtf8
        | Keyword::StartTls => true,
    };
    let names: Vec<_> = Keyword::ALL
        .into_iter()
        .filter(is_new)
        .map(Keyword::name)
        .collect();
    list(&names)
}

fn list(entries: &[&str]) -> Spanned<List> {
    Spanned::new(0..0, List::of(entries))
}
