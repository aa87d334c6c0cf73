//! The tables of both files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{
    Alerts, AppPassword, Auth, BareNewlines, Dkim, Hidden, Http, List, Listener, LogFormat,
    LogLevel, Login, OnUnauthorized, OverQuota, PriorityHeader, Rates, Sandbox, Tls, Upstream,
    VerifiedSenders, Webhook,
};
use crate::config::units::{ByteSize, Number, Span};

/// A table whose keys are names that people choose.
pub(in crate::config) type Named<T> = BTreeMap<Spanned<String>, Spanned<T>>;

/// `posthouse.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Root {
    pub(in crate::config) server: Server,
    pub(in crate::config) log: Log,
    pub(in crate::config) listener: Vec<Spanned<Listener>>,
    pub(in crate::config) login: Login,
    pub(in crate::config) session: Session,
    pub(in crate::config) tls: Spanned<Tls>,
    pub(in crate::config) auth: Auth,
    pub(in crate::config) relay: Relay,
    pub(in crate::config) route: Vec<Spanned<RecipientRoute>>,
    pub(in crate::config) upstream: Named<Upstream>,
    pub(in crate::config) dkim: Named<Dkim>,
    pub(in crate::config) tenant: Named<Tenant>,
    pub(in crate::config) accounts: Accounts,
    pub(in crate::config) spool: Spool,
    pub(in crate::config) journal: Journal,
    pub(in crate::config) system_mail: SystemMail,
    pub(in crate::config) alerts: Alerts,
    pub(in crate::config) http: Http,
}

/// `accounts.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct AccountsRoot {
    pub(in crate::config) account: Named<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Server {
    pub(in crate::config) hostname: Option<Spanned<String>>,
    pub(in crate::config) data_dir: Spanned<PathBuf>,
    pub(in crate::config) run_as: Option<Spanned<String>>,
    pub(in crate::config) shutdown_grace: Span<0>,
    pub(in crate::config) connections: Number<1, 1_000_000>,
    pub(in crate::config) connections_per_address: Number<1, 1_000_000>,
    pub(in crate::config) connections_per_prefix: Number<1, 1_000_000>,
    pub(in crate::config) sandbox: Sandbox,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Log {
    pub(in crate::config) level: LogLevel,
    pub(in crate::config) format: LogFormat,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Session {
    pub(in crate::config) bare_newlines: BareNewlines,
    pub(in crate::config) limits: Limits,
    pub(in crate::config) timeouts: Timeouts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Limits {
    pub(in crate::config) message_size: ByteSize<1024>,
    pub(in crate::config) recipients: Number<1, 65_535>,
    pub(in crate::config) command_line: ByteSize<512>,
    pub(in crate::config) auth_line: ByteSize<512>,
    pub(in crate::config) data_line: ByteSize<1000>,
    pub(in crate::config) errors: Number<1, 1_000_000>,
    pub(in crate::config) auth_failures: Number<1, 1_000>,
    pub(in crate::config) idle_commands: Number<1, 1_000_000>,
    pub(in crate::config) messages: Number<1, 4_294_967_295>,
    pub(in crate::config) future_release: Span<0>,
    pub(in crate::config) deliver_by_min: Span<0>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Timeouts {
    pub(in crate::config) before_auth: Span<1000>,
    pub(in crate::config) command: Span<1000>,
    pub(in crate::config) data: Span<1000>,
    pub(in crate::config) handshake: Span<1000>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Relay {
    pub(in crate::config) enabled: bool,
    pub(in crate::config) upstream: Option<Spanned<List>>,
    pub(in crate::config) ageing: Span<0>,
    pub(in crate::config) retry: Retry,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RecipientRoute {
    pub(in crate::config) name: Option<String>,
    pub(in crate::config) recipients: Option<Spanned<List>>,
    pub(in crate::config) upstream: Option<Spanned<List>>,
    pub(in crate::config) accounts: Option<Spanned<List>>,
    pub(in crate::config) tenants: Option<Spanned<List>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Retry {
    pub(in crate::config) first: Spanned<Span<1000>>,
    pub(in crate::config) longest: Spanned<Span<1000>>,
    pub(in crate::config) lifetime: Spanned<Span<1000>>,
    pub(in crate::config) warn_after: Spanned<Span<0>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Tenant {
    pub(in crate::config) parent: Option<Spanned<String>>,
    pub(in crate::config) upstream: Option<Spanned<List>>,
    pub(in crate::config) check_header_from: Option<bool>,
    pub(in crate::config) plus_addressing: Option<bool>,
    pub(in crate::config) on_unauthorized: Option<OnUnauthorized>,
    pub(in crate::config) verified_senders: Option<VerifiedSenders>,
    pub(in crate::config) default_sender: Option<Spanned<String>>,
    pub(in crate::config) messages: Rates,
    pub(in crate::config) recipients: Rates,
    pub(in crate::config) size: Rates,
    pub(in crate::config) sessions: Number<0, 1_000_000>,
    pub(in crate::config) alert_mail: Option<Spanned<List>>,
    pub(in crate::config) alert_webhook: Option<Spanned<Webhook>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Accounts {
    pub(in crate::config) file: Spanned<PathBuf>,
    pub(in crate::config) defaults: AccountDefaults,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file; they become enums in the check"
)]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct AccountDefaults {
    pub(in crate::config) priority: Number<1, 5>,
    pub(in crate::config) max_priority: Number<1, 5>,
    pub(in crate::config) priority_header: PriorityHeader,
    pub(in crate::config) strict_addresses: bool,
    pub(in crate::config) check_header_from: bool,
    pub(in crate::config) plus_addressing: bool,
    pub(in crate::config) on_unauthorized: OnUnauthorized,
    pub(in crate::config) verified_senders: VerifiedSenders,
    pub(in crate::config) default_sender: Option<Spanned<String>>,
    pub(in crate::config) added_fields: Named<String>,
    pub(in crate::config) messages: Rates,
    pub(in crate::config) recipients: Rates,
    pub(in crate::config) size: Rates,
    pub(in crate::config) sessions: Number<0, 1_000_000>,
    pub(in crate::config) over_quota: OverQuota,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Account {
    pub(in crate::config) password: Option<Spanned<Hidden>>,
    pub(in crate::config) scram: Option<Spanned<Hidden>>,
    pub(in crate::config) app_password: Named<AppPassword>,
    pub(in crate::config) active: bool,
    pub(in crate::config) tenant: Option<Spanned<String>>,
    pub(in crate::config) upstream: Option<Spanned<List>>,
    pub(in crate::config) networks: Option<Spanned<List>>,
    pub(in crate::config) certificates: Option<Spanned<List>>,
    pub(in crate::config) aliases: Option<Spanned<List>>,
    pub(in crate::config) authorized_domains: Option<Spanned<List>>,
    pub(in crate::config) authorized_senders: Option<Spanned<List>>,
    pub(in crate::config) priority: Option<Number<1, 5>>,
    pub(in crate::config) max_priority: Option<Number<1, 5>>,
    pub(in crate::config) priority_header: Option<PriorityHeader>,
    pub(in crate::config) strict_addresses: Option<bool>,
    pub(in crate::config) check_header_from: Option<bool>,
    pub(in crate::config) plus_addressing: Option<bool>,
    pub(in crate::config) on_unauthorized: Option<OnUnauthorized>,
    pub(in crate::config) verified_senders: Option<VerifiedSenders>,
    pub(in crate::config) default_sender: Option<Spanned<String>>,
    pub(in crate::config) added_fields: Option<Named<String>>,
    pub(in crate::config) messages: Option<Rates>,
    pub(in crate::config) recipients: Option<Rates>,
    pub(in crate::config) size: Option<Rates>,
    pub(in crate::config) sessions: Option<Number<0, 1_000_000>>,
    pub(in crate::config) over_quota: Option<OverQuota>,
    pub(in crate::config) alert_mail: Option<Spanned<List>>,
    pub(in crate::config) note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Spool {
    pub(in crate::config) segment_size: ByteSize<{ 1 << 20 }>,
    pub(in crate::config) memory_budget: ByteSize<0>,
    pub(in crate::config) max_messages: Number<1, 1_000_000_000>,
    pub(in crate::config) max_size: ByteSize<{ 1 << 20 }>,
    pub(in crate::config) max_memory: ByteSize<{ 1 << 20 }>,
    pub(in crate::config) min_free: ByteSize<0>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Journal {
    pub(in crate::config) keep: Span<0>,
    pub(in crate::config) max_size: ByteSize<{ 1 << 20 }>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SystemMail {
    pub(in crate::config) sender: Option<Spanned<String>>,
    pub(in crate::config) name: Spanned<String>,
}
