//! Upstreams that are Microsoft 365 through Graph.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use url::Url;

use crate::config::check::context::Context;
use crate::config::check::quotas::{Unit, rates};
use crate::config::raw;
use crate::dkim::Signers;
use crate::http::Trust;
use crate::identity::UpstreamName;
use crate::mail::{Domain, Mailbox};
use crate::oauth::{self, Cloud, Grant};
use crate::schedule::Bounds;
use crate::upstream::graph::{Foreign, Settings, Setup, is_mailbox_name};
use crate::upstream::profile::Profile;
use crate::upstream::smtp::{
    self, Credential, Login, PlainTextLogin, Smtputf8, Timeouts, TlsPolicy, Unfit, Verification,
};

use super::Reported;
use super::oauth::{Scopes, cloud_of, endpoint_url, microsoft};

/// Returns how much an upstream is given, or `None` after an error.
pub(super) fn bounds(context: &mut Context, graph: &raw::Graph) -> Option<Bounds> {
    let connections: usize = graph.connections.to();
    let reserved = match &graph.reserved_connections {
        None => usize::from(connections > 1),
        Some(reserved) => {
            let count: usize = reserved.get_ref().to();
            if count >= connections {
                let message = format!(
                    "{count} of {connections} requests are reserved: none is left for mail of priority 3 to 5"
                );
                let hint = "`reserved_connections` must be below `connections`";
                context.error(reserved.span(), message, hint);
                return None;
            }
            count
        }
    };
    Some(Bounds {
        connections,
        reserved,
        rates: rates(context, &graph.rate, Unit::Number),
    })
}

/// Returns all that is configured, or `None` after an error.
pub(super) fn setup(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Graph>,
    hostname: &Domain,
) -> Option<Setup> {
    let graph = raw.get_ref();
    let tokens = tokens(context, name, raw);
    let mailbox = mailbox(context, graph);
    let endpoint = match &graph.endpoint {
        Some(text) => endpoint_url(context, text),
        None => Url::parse(cloud_of(graph.cloud).graph()).ok(),
    };
    let submission = match graph.large {
        raw::Large::Smtp => smtp_host(context, graph).map(Some),
        raw::Large::Refuse => Some(None),
    };
    let foreign = foreign(context, graph);
    let message_size = message_size(context, graph);
    let (tokens, submission) = (tokens?, submission?);
    let submission =
        submission.map(|host| submission_settings(name, graph, host, hostname, &tokens));
    Some(Setup {
        settings: Settings {
            name: name.clone(),
            endpoint: endpoint?,
            mailbox: mailbox.ok()?,
            message_size: message_size?,
            foreign: foreign?,
            connections: graph.connections.to(),
            recipients_per_message: graph.recipients_per_message.to(),
            timeout: graph.timeout.get(),
        },
        tokens,
        submission: submission.map(Box::new),
    })
}

/// Returns how tokens for Graph are got, or `None` after an error.
fn tokens(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Graph>,
) -> Option<oauth::Settings> {
    let graph = raw.get_ref();
    let is_proved =
        graph.client_secret.is_some() || graph.certificate.is_some() || graph.key.is_some();
    let demands = [
        (
            graph.tenant_id.is_some(),
            "tenant_id",
            "the Directory (tenant) ID that Entra shows: tenant_id = \"…\"",
        ),
        (
            graph.client_id.is_some(),
            "client_id",
            "the Application (client) ID that Entra shows: client_id = \"…\"",
        ),
        (
            is_proved,
            "client_secret",
            "write client_secret = { file = \"…\" }, or `certificate` and `key`",
        ),
    ];
    for (is_there, key, hint) in demands {
        if !is_there {
            context.missing(raw.span(), &["upstream", name.as_str(), "graph", key], hint);
        }
    }
    let is_id = application_id(context, graph);
    if demands.iter().any(|(is_there, ..)| !is_there) {
        return None;
    }
    let cloud = cloud_of(graph.cloud);
    let application = raw::Microsoft {
        tenant_id: graph.tenant_id.clone(),
        client_id: graph.client_id.clone(),
        client_secret: graph.client_secret.clone(),
        certificate: graph.certificate.clone(),
        key: graph.key.clone(),
        cloud: graph.cloud,
        authority: graph.authority.clone(),
        ca_file: graph.ca_file.clone(),
        ..raw::Microsoft::default()
    };
    let scopes = Scopes {
        own: cloud.graph_scope(),
        login: cloud.graph_scope(),
    };
    let application = Spanned::new(raw.span(), application);
    let tokens = microsoft(context, name, &application, scopes);
    tokens.filter(|_| is_id.is_ok())
}

/// It gets into requests for tokens, and nothing else than an ID belongs there.
fn application_id(context: &mut Context, graph: &raw::Graph) -> Result<(), Reported> {
    let is_id = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match &graph.client_id {
        Some(id) if !is_id(id.get_ref()) => {
            let hint = "the Application (client) ID that Entra shows, such as \
                        \"00000000-0000-0000-0000-000000000000\"";
            context.error(id.span(), "this cannot be the ID of an application", hint);
            Err(Reported)
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the mailbox, where one is set.
fn mailbox(context: &mut Context, graph: &raw::Graph) -> Result<Option<Mailbox>, Reported> {
    let Some(text) = &graph.mailbox else {
        return Ok(None);
    };
    match Mailbox::parse(text.get_ref()) {
        Ok(mailbox) if is_mailbox_name(&mailbox) => Ok(Some(mailbox)),
        Ok(_) | Err(_) => {
            let message = format!("`{}` cannot be the address of a mailbox", text.get_ref());
            let hint = "for example: mailbox = \"relay@example.com\"; leave it out to send from the mailbox of each \
                        message's sender";
            context.error(text.span(), message, hint);
            Err(Reported)
        }
    }
}

fn foreign(context: &mut Context, graph: &raw::Graph) -> Option<Foreign> {
    match (graph.foreign_recipients.get_ref(), graph.large) {
        (raw::ForeignRecipients::Rewrite, _) => Some(Foreign::Rewrite),
        (raw::ForeignRecipients::Smtp, raw::Large::Smtp) => Some(Foreign::Smtp),
        (raw::ForeignRecipients::Smtp, raw::Large::Refuse) => {
            let message = "there is no SMTP here: `large` refuses what Graph does not take";
            let hint = "write large = \"smtp\", or foreign_recipients = \"rewrite\"";
            context.error(graph.foreign_recipients.span(), message, hint);
            None
        }
    }
}

/// What Graph takes: 4 MB of base64, in octets of the message.
const LARGEST: u64 = 3_000_000;

fn message_size(context: &mut Context, graph: &raw::Graph) -> Option<u64> {
    let size = graph.message_size.get_ref().get();
    if size > LARGEST {
        let message = "Graph takes no messages of more than 3 MB";
        let hint = "write \"3 MB\" or less; larger messages go by SMTP where large = \"smtp\"";
        context.error(graph.message_size.span(), message, hint);
        return None;
    }
    Some(size)
}

fn smtp_host(context: &mut Context, graph: &raw::Graph) -> Option<String> {
    let Some(host) = &graph.smtp_host else {
        return Some(cloud_of(graph.cloud).smtp_host().to_owned());
    };
    let text = host.get_ref().trim_matches(['[', ']']);
    if text.parse::<IpAddr>().is_err() && Domain::parse(text).is_err() {
        let message = format!(
            "`{}` is neither a host name nor an IP address",
            host.get_ref()
        );
        let hint = "leave it out to use the server of `cloud`; the port has a key of its own: smtp_port = 587";
        context.error(host.span(), message, hint);
        return None;
    }
    Some(text.to_owned())
}

/// Exchange refuses more connections of one mailbox (`432 4.3.2 … sender thread limit exceeded`).
const SMTP_CONNECTIONS: usize = 3;

/// Returns how what Graph does not take is submitted by SMTP; the name of the login is that of each message's mailbox.
fn submission_settings(
    name: &UpstreamName,
    graph: &raw::Graph,
    host: String,
    hostname: &Domain,
    tokens: &oauth::Settings,
) -> smtp::Settings {
    let verification = match &tokens.trust {
        Trust::Authority(path) => Verification::Authority(PathBuf::clone(path)),
        Trust::Fingerprint(sha256) => Verification::Fingerprint(*sha256),
        Trust::SystemRoots => Verification::SystemRoots,
    };
    smtp::Settings {
        name: name.clone(),
        profile: Profile::find("microsoft365"),
        host,
        port: graph.smtp_port.to(),
        mx: false,
        helo: hostname.clone(),
        tls: TlsPolicy::Required,
        verification,
        vouching: smtp::Vouching::default(),
        login: Some(Login {
            username: String::new(),
            credential: Credential::Token(Box::new(for_smtp(tokens, cloud_of(graph.cloud)))),
            over_plain_text: PlainTextLogin::Forbidden,
        }),
        envelope_sender: None,
        local_address: None,
        connections: SMTP_CONNECTIONS,
        messages_per_connection: 1000,
        recipients_per_message: graph.recipients_per_message.to(),
        bandwidth: None,
        keep_idle: Duration::from_secs(30),
        smtputf8: Smtputf8::Auto,
        eight_bit: Unfit::default(),
        long_lines: Unfit::default(),
        // As over Graph: Microsoft signs.
        signers: Signers::default(),
        timeouts: Timeouts::default(),
    }
}

/// The same application asks for a token that SMTP takes.
fn for_smtp(tokens: &oauth::Settings, cloud: Cloud) -> oauth::Settings {
    let mut tokens = tokens.clone();
    match &mut tokens.grant {
        Grant::ClientCredentials(grant) => {
            grant.audience.scope = Some(cloud.smtp_scope().to_owned());
        }
        Grant::RefreshToken(grant) => grant.scope = Some(cloud.smtp_login_scope().to_owned()),
        Grant::ServiceAccount { .. } => {}
    }
    tokens
}
