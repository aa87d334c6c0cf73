//! Upstreams that speak SMTP.

use std::net::IpAddr;

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::check::quotas::{Unit, rates};
use crate::config::raw;
use crate::config::units::{BitRate, Number};
use crate::identity::UpstreamName;
use crate::mail::{Domain, Mailbox};
use crate::schedule::{Bandwidth, Bounds};
use crate::upstream::smtp::{Settings, Smtputf8, Timeouts, TlsPolicy};

use super::Reported;
use super::login::login;
use super::trust::verification;

/// Returns how much an upstream is given, or `None` after an error.
pub(super) fn bounds(context: &mut Context, smtp: &raw::Smtp) -> Option<Bounds> {
    let connections: usize = smtp.connections.to();
    let reserved = match &smtp.reserved_connections {
        None => usize::from(connections > 1),
        Some(reserved) => {
            let count: usize = reserved.get_ref().to();
            if count >= connections {
                let message = format!(
                    "{count} of {connections} connections are reserved: none is left for mail of priority 3 to 5"
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
        rates: rates(context, &smtp.rate, Unit::Number),
    })
}

pub(super) fn settings(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Smtp>,
    hostname: &Domain,
) -> Option<Settings> {
    let smtp = raw.get_ref();
    let tls = match smtp.tls.get_ref() {
        raw::TlsPolicy::Disabled => TlsPolicy::Disabled,
        raw::TlsPolicy::Implicit => TlsPolicy::Implicit,
        raw::TlsPolicy::Opportunistic => TlsPolicy::Opportunistic,
        raw::TlsPolicy::Required => TlsPolicy::Required,
    };
    let host = host(context, name, raw);
    let verification = verification(context, smtp);
    let login = login(context, name, smtp);
    let helo = helo(context, smtp, hostname);
    let envelope_sender = envelope_sender(context, smtp);
    let local_address = local_address(context, smtp);
    let timeouts = timeouts(&smtp.timeout);
    let bandwidth = bandwidth(context, smtp, &timeouts);
    Some(Settings {
        name: name.clone(),
        host: host?,
        port: smtp.port.map_or(default_port(smtp), Number::to),
        mx: smtp.mx,
        helo: helo?,
        tls,
        verification: verification?,
        login: login.ok()?,
        envelope_sender: envelope_sender.ok()?,
        local_address: local_address.ok()?,
        connections: smtp.connections.to(),
        messages_per_connection: smtp.messages_per_connection.to(),
        recipients_per_message: smtp.recipients_per_message.to(),
        bandwidth: bandwidth.ok()?,
        keep_idle: smtp.keep_idle.get(),
        smtputf8: match smtp.smtputf8 {
            raw::Smtputf8::Auto => Smtputf8::Auto,
            raw::Smtputf8::Off => Smtputf8::Off,
            raw::Smtputf8::On => Smtputf8::On,
        },
        timeouts,
    })
}

fn timeouts(raw: &raw::UpstreamTimeouts) -> Timeouts {
    Timeouts {
        connect: raw.connect.get(),
        command: raw.command.get(),
        data: raw.data.get(),
        final_reply: raw.final_reply.get(),
    }
}

/// Returns the bandwidth, where one is set that suffices to keep all connections alive.
fn bandwidth(
    context: &mut Context,
    smtp: &raw::Smtp,
    timeouts: &Timeouts,
) -> Result<Option<Bandwidth>, Reported> {
    let Some(rate) = &smtp.bandwidth else {
        return Ok(None);
    };
    let least = Bandwidth::least(smtp.connections.to(), timeouts.longest_pause());
    if rate.get_ref().get() >= least {
        return Ok(Some(rate.get_ref().get()));
    }
    let message = format!(
        "\"{}\" is too little for {} connections: each would pause for so long that the upstream gives up",
        rate.get_ref(),
        smtp.connections
    );
    let hint = format!(
        "write at least \"{}\", fewer `connections`, or a longer `timeout.data`, which is \"{}\" here",
        BitRate::at_least(least),
        smtp.timeout.data
    );
    context.error(rate.span(), message, hint);
    Err(Reported)
}

/// 465 for implicit TLS, 25 between servers, 587 for submission (RFC 8314 §7.3, RFC 6409 §3.1).
fn default_port(smtp: &raw::Smtp) -> u16 {
    match (smtp.tls.get_ref(), smtp.mx) {
        (raw::TlsPolicy::Implicit, _) => 465,
        (_, true) => 25,
        (_, false) => 587,
    }
}

fn host(context: &mut Context, name: &UpstreamName, raw: &Spanned<raw::Smtp>) -> Option<String> {
    const HINT: &str = "for example: host = \"smtp.example.net\"";
    let Some(host) = &raw.get_ref().host else {
        let path = ["upstream", name.as_str(), "smtp", "host"];
        context.missing(raw.span(), &path, HINT);
        return None;
    };
    let text = host.get_ref().trim_matches(['[', ']']);
    let is_address = text.parse::<IpAddr>().is_ok();
    if is_address && raw.get_ref().mx {
        let message = "an IP address has no MX records";
        context.error(host.span(), message, "name a domain, or take `mx` out");
        return None;
    }
    if !is_address && Domain::parse(host.get_ref()).is_err() {
        let message = format!(
            "`{}` is neither a host name nor an IP address",
            host.get_ref()
        );
        let hint = if host.get_ref().contains(':') {
            "the port has a key of its own: port = 587"
        } else {
            HINT
        };
        context.error(host.span(), message, hint);
        return None;
    }
    Some(if is_address { text } else { host.get_ref() }.to_owned())
}

fn helo(context: &mut Context, smtp: &raw::Smtp, hostname: &Domain) -> Option<Domain> {
    let Some(helo) = &smtp.helo else {
        return Some(hostname.clone());
    };
    let domain = Domain::parse(helo.get_ref()).ok();
    if domain.is_none() {
        let message = format!("`{}` is not a domain name", helo.get_ref());
        context.error(
            helo.span(),
            message,
            "leave it out to use `hostname` of [server]",
        );
    }
    domain
}

/// Returns the fixed reverse-path, where one is set.
fn envelope_sender(context: &mut Context, smtp: &raw::Smtp) -> Result<Option<Mailbox>, Reported> {
    let Some(text) = &smtp.envelope_sender else {
        return Ok(None);
    };
    Mailbox::parse(text.get_ref()).map(Some).map_err(|error| {
        let message = format!("`{}` is not an address: {error}", text.get_ref());
        let hint = "for example: envelope_sender = \"bounces@example.com\"";
        context.error(text.span(), message, hint);
        Reported
    })
}

/// Returns the address that connections come from, where one is set.
fn local_address(context: &mut Context, smtp: &raw::Smtp) -> Result<Option<IpAddr>, Reported> {
    let Some(text) = &smtp.local_address else {
        return Ok(None);
    };
    let Ok(address) = text.get_ref().trim_matches(['[', ']']).parse() else {
        let message = format!("`{}` is not an IP address", text.get_ref());
        context.error(text.span(), message, "one address of this machine");
        return Err(Reported);
    };
    Ok(Some(address))
}
