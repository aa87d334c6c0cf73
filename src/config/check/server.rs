//! The server as a whole: its name, its sessions, its certificate, its spool, its own mail.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::context::Context;
use super::listeners::bare_newlines;
use crate::config::checked::{SandboxMode, Server, SpoolLimits, SystemMail};
use crate::config::raw;
use crate::config::units::Span;
use crate::journal;
use crate::mail::{Domain, Mailbox};
use crate::smtp::server::{self, AuthRule, TlsMode};
use crate::submission::ConnectionLimits;

/// Returns the section `[server]`, or `None` after an error.
pub(in crate::config) fn server(context: &mut Context, raw: &raw::Server) -> Option<Server> {
    let run_as = raw.run_as.as_ref();
    if let Some(user) = run_as
        && (user.get_ref().is_empty() || user.get_ref().contains(['\0', ':', '/', ' ']))
    {
        let hint = "for example: run_as = \"posthouse\"";
        context.error(user.span(), "this is not the name of a user", hint);
    }
    let data_dir = context.path(raw.data_dir.get_ref());
    warn_of_open_folder(context, raw.data_dir.span(), &data_dir);
    Some(Server {
        hostname: hostname(context, raw.hostname.as_ref())?,
        data_dir,
        run_as: run_as.map(|user| user.get_ref().clone()),
        shutdown_grace: raw.shutdown_grace.get(),
        connections: ConnectionLimits {
            total: raw.connections.to(),
            per_address: raw.connections_per_address.to(),
            per_prefix: raw.connections_per_prefix.to(),
        },
        sandbox: match raw.sandbox {
            raw::Sandbox::Auto => SandboxMode::Auto,
            raw::Sandbox::Off => SandboxMode::Off,
            raw::Sandbox::Required => SandboxMode::Required,
        },
    })
}

/// A folder that is not there yet is made for its owner alone.
fn warn_of_open_folder(context: &mut Context, place: Range<usize>, path: &Path) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let message = format!("the data directory {} is open to others", path.display());
        let hint = format!("mail and keys are kept there: chmod 700 {}", path.display());
        context.warning(place, message, hint);
    }
}

fn hostname(context: &mut Context, raw: Option<&Spanned<String>>) -> Option<Domain> {
    const HINT: &str = "for example: hostname = \"relay.example.com\"";
    if let Some(raw) = raw {
        let domain = Domain::parse(raw.get_ref());
        if domain.is_err() {
            let message = format!("`{}` is not a domain name", raw.get_ref());
            context.error(raw.span(), message, HINT);
        }
        return domain.ok();
    }
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let domain = Domain::parse(&name).ok();
    let is_reported = context.is_wrong(&["server", "hostname"]);
    if domain.is_none() && !is_reported {
        let message =
            format!("`hostname` is missing, and the machine's name `{name}` is no domain");
        context.error(0..0, message, HINT);
    }
    if domain.is_some() && !name.contains('.') && !is_reported {
        let message = format!("posthouse calls itself `{name}`, which is no full domain name");
        let hint = "some upstreams refuse that; set `hostname` in [server]";
        context.warning(0..0, message, hint);
    }
    domain
}

/// Returns what all sessions have in common; the listeners set the rest.
pub(in crate::config) fn session(raw: &raw::Session, hostname: Domain) -> server::Settings {
    let (limits, timeouts) = (&raw.limits, &raw.timeouts);
    let octets = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    server::Settings {
        hostname,
        tls: TlsMode::StartTls,
        auth: AuthRule::AfterTls,
        mechanisms: server::Settings::default_mechanisms(),
        certificates: server::CertificateRule::Off,
        discarded: server::Keywords::default(),
        auth_equals: server::AuthEquals::Absent,
        bare_newlines: bare_newlines(raw.bare_newlines),
        limits: server::Limits {
            message_size: limits.message_size.get(),
            recipients: limits.recipients.to(),
            command_line: octets(limits.command_line.get()),
            auth_line: octets(limits.auth_line.get()),
            data_line: octets(limits.data_line.get()),
            errors: limits.errors.to(),
            auth_failures: limits.auth_failures.to(),
            idle_commands: limits.idle_commands.to(),
            messages: limits.messages.to(),
            future_release: offered(limits.future_release),
            deliver_by_min: offered(limits.deliver_by_min),
        },
        timeouts: server::Timeouts {
            before_auth: timeouts.before_auth.get(),
            command: timeouts.command.get(),
            data: timeouts.data.get(),
            handshake: timeouts.handshake.get(),
        },
    }
}

/// Returns the limit of an extension; none, so that it is not offered, where that is zero. Seconds are whole: SMTP knows
/// no others, and what is announced must be what is kept.
pub(super) fn offered(limit: Span<0>) -> Option<Duration> {
    let seconds = limit.get().as_millis().div_ceil(1000);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

pub(super) fn warn_of_exposed_key(context: &mut Context, place: Range<usize>, path: &Path) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        let message = format!("others can read the private key {}", path.display());
        context.warning(place, message, format!("chmod 600 {}", path.display()));
    }
}

/// Returns the bounds of the spool.
pub(in crate::config) fn spool(raw: &raw::Spool, server: &Server) -> SpoolLimits {
    SpoolLimits {
        directory: server.data_dir.join("spool"),
        segment_size: raw.segment_size.get(),
        memory_budget: raw.memory_budget.get(),
        max_messages: raw.max_messages.get(),
        max_octets: raw.max_size.get(),
        max_memory: raw.max_memory.get(),
        min_free: raw.min_free.get(),
    }
}

/// Returns what is kept of the life of messages.
pub(in crate::config) fn journal(raw: &raw::Journal, server: &Server) -> journal::Settings {
    journal::Settings {
        directory: server.data_dir.join("journal"),
        keep: raw.keep.get(),
        max_size: raw.max_size.get(),
    }
}

/// Returns the sender of posthouse's own mail, or `None` after an error.
pub(in crate::config) fn system_mail(
    context: &mut Context,
    raw: &raw::SystemMail,
    hostname: &Domain,
) -> Option<SystemMail> {
    let name = raw.name.get_ref();
    if name.chars().any(char::is_control) {
        let message = "a display name has no control characters";
        context.error(raw.name.span(), message, "write it in one line");
    }
    let (text, place) = match &raw.sender {
        Some(sender) => (sender.get_ref().clone(), sender.span()),
        None => (format!("mailer-daemon@{}", hostname.as_ascii()), 0..0),
    };
    let sender = match Mailbox::parse(&text) {
        Ok(sender) => sender,
        Err(error) => {
            let message = format!("`{text}` is not an address: {error}");
            context.error(
                place,
                message,
                "for example: sender = \"postmaster@example.com\"",
            );
            return None;
        }
    };
    Some(SystemMail {
        sender,
        name: name.clone(),
    })
}
