//! The shape of the files, with all defaults: each `Default` here is the only place of its values.
//!
//! Everything is optional to serde; what must be there is demanded by the check, which knows the place.

mod alerts;
mod app_password;
mod auth;
mod choices;
mod defaults;
mod dkim;
mod graph;
mod http;
mod list;
mod listener;
mod login;
mod oauth;
mod tables;
mod tls;
mod upstream;

pub(super) use alerts::{Alerts, Webhook};
pub(super) use app_password::AppPassword;
pub(super) use auth::{Auth, Throttle};
pub(super) use choices::{
    AccountRule, AcmeChallenge, AcmeKey, AlertDelivery, AuthRule, Autoconfig, BareNewlines,
    Canonicalization, ClientAuth, ClientCertificates, Cloud, ForeignRecipients, Large,
    ListenerProfile, LogFormat, LogLevel, OnPortInUse, OnUnauthorized, OverQuota, PriorityHeader,
    Sandbox, Smtputf8, TlsMode, TlsPolicy, Unfit, VerifiedSenders,
};
pub(super) use defaults::{SmtpDefaults, TimeoutDefaults};
pub(super) use dkim::Dkim;
pub(super) use graph::Graph;
pub(super) use http::{Http, Public};
pub(super) use list::{Hidden, List, Rates};
pub(super) use listener::{Listener, ListenerNetwork, OwnLimits, OwnTimeouts};
pub(super) use login::{Introspection, Issuer, Jwt, Login};
pub(super) use oauth::{Generic, Google, Microsoft, OAuth};
pub(super) use tables::{
    Account, AccountDefaults, Accounts, AccountsRoot, Journal, Limits, Log, Named, RecipientRoute,
    Relay, Retry, Root, Server, Session, Spool, SystemMail, Tenant, Timeouts,
};
pub(super) use tls::{Acme, Eab, Tls, TlsName};
pub(super) use upstream::{
    Connections, Maildir, MessagesPerConnection, OwnRetry, Port, Proxy, RecipientsPerMessage,
    SecretSource, Smtp, Upstream, UpstreamTimeouts,
};
