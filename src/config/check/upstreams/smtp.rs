//! Upstreams that speak SMTP.

use std::net::IpAddr;

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::check::quotas::{Unit, rates};
use crate::config::raw;
use crate::config::units::BitRate;
use crate::dkim::Signers;
use crate::identity::UpstreamName;
use crate::mail::{Domain, Mailbox};
use crate::schedule::{Bandwidth, Bounds};
use crate::upstream::profile::{Host, Profile};
use crate::upstream::smtp::{Settings, Smtputf8, TlsPolicy, Unfit};

use super::Reported;
use super::login::login;
use super::trust::verification;
use super::values::Values;
use super::vouching::vouching;

/// Returns how much an upstream is given, or `None` after an error.
pub(super) fn bounds(context: &mut Context, smtp: &raw::Smtp, values: &Values) -> Option<Bounds> {
    let connections: usize = values.connections.value.to();
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
        rates: rates(context, &values.rate.value, Unit::Number),
    })
}

pub(super) fn settings(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Smtp>,
    values: &Values,
    hostname: &Domain,
) -> Option<Settings> {
    let smtp = raw.get_ref();
    let tls = match values.tls.value {
        raw::TlsPolicy::Disabled => TlsPolicy::Disabled,
        raw::TlsPolicy::Implicit => TlsPolicy::Implicit,
        raw::TlsPolicy::Opportunistic => TlsPolicy::Opportunistic,
        raw::TlsPolicy::Required => TlsPolicy::Required,
    };
    let host = host(context, name, raw, values);
    let verification = verification(context, smtp, values);
    let vouching = vouching(context, smtp, values);
    let login = login(context, name, smtp, values);
    let helo = helo(context, smtp, hostname);
    let envelope_sender = envelope_sender(context, smtp);
    let local_address = local_address(context, smtp);
    let bandwidth = bandwidth(context, smtp, values);
    Some(Settings {
        name: name.clone(),
        profile: values.profile,
        host: host?,
        port: values.port.value.to(),
        mx: *smtp.mx.get_ref(),
        helo: helo?,
        tls,
        verification: verification?,
        vouching: vouching.ok()?,
        login: login.ok()?,
        envelope_sender: envelope_sender.ok()?,
        local_address: local_address.ok()?,
        connections: values.connections.value.to(),
        messages_per_connection: values.messages_per_connection.value.to(),
        recipients_per_message: values.recipients_per_message.value.to(),
        bandwidth: bandwidth.ok()?,
        keep_idle: values.keep_idle.value.get(),
        smtputf8: match smtp.smtputf8.get_ref() {
            raw::Smtputf8::Auto => Smtputf8::Auto,
            raw::Smtputf8::Off => Smtputf8::Off,
            raw::Smtputf8::On => Smtputf8::On,
        },
        eight_bit: unfit(smtp.eight_bit),
        long_lines: unfit(smtp.long_lines),
        // Who signs is known when all is read.
        signers: Signers::default(),
        timeouts: values.timeouts(),
    })
}

fn unfit(raw: raw::Unfit) -> Unfit {
    match raw {
        raw::Unfit::Convert => Unfit::Convert,
        raw::Unfit::Send => Unfit::Send,
    }
}

/// Returns the bandwidth, where one is set that suffices to keep all connections alive.
fn bandwidth(
    context: &mut Context,
    smtp: &raw::Smtp,
    values: &Values,
) -> Result<Option<Bandwidth>, Reported> {
    let Some(rate) = &smtp.bandwidth else {
        return Ok(None);
    };
    let least = Bandwidth::least(
        values.connections.value.to(),
        values.timeouts().longest_pause(),
    );
    if rate.get_ref().get() >= least {
        return Ok(Some(rate.get_ref().get()));
    }
    let message = format!(
        "\"{}\" is too little for {} connections: each would pause for so long that the upstream gives up",
        rate.get_ref(),
        values.connections.value
    );
    let hint = format!(
        "write at least \"{}\", fewer `connections`, or a longer `timeout.data`, which is \"{}\" here",
        BitRate::at_least(least),
        values.data.value
    );
    context.error(rate.span(), message, hint);
    Err(Reported)
}

fn host(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Smtp>,
    values: &Values,
) -> Option<String> {
    let Some(host) = &values.host else {
        let is_unknown_profile = values.profile.is_none() && raw.get_ref().profile.is_some();
        if is_unknown_profile {
            return None;
        }
        let path = ["upstream", name.as_str(), "smtp", "host"];
        context.missing(raw.span(), &path, host_hint(values.profile));
        return None;
    };
    let text = host.value.trim_matches(['[', ']']);
    let is_address = text.parse::<IpAddr>().is_ok();
    if is_address && *raw.get_ref().mx.get_ref() {
        let message = "an IP address has no MX records";
        context.error(host.place(), message, "name a domain, or take `mx` out");
        return None;
    }
    if !is_address && Domain::parse(&host.value).is_err() {
        let message = format!("`{}` is neither a host name nor an IP address", host.value);
        let hint = if host.value.contains(':') {
            "the port has a key of its own: port = 587".to_owned()
        } else {
            host_hint(values.profile)
        };
        context.error(host.place(), message, hint);
        return None;
    }
    Some(if is_address { text } else { &host.value }.to_owned())
}

/// Words the hint where no host is named.
fn host_hint(profile: Option<&Profile>) -> String {
    match profile.map(|profile| (profile.name, profile.host)) {
        Some((name, Host::Regional { example })) => {
            format!(
                "profile \"{name}\" has a host for each region; for example: host = \"{example}\""
            )
        }
        Some((_, Host::Fixed(_))) | None => "for example: host = \"smtp.example.net\"".to_owned(),
    }
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
