//! Upstreams: where they are, how they are secured, who logs in.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::context::Context;
use crate::config::checked::{Engine, Upstream};
use crate::config::units::Number;
use crate::config::{raw, secret};
use crate::identity::UpstreamName;
use crate::mail::Domain;
use crate::schedule::{Bounds, RetryPlan, RetryPlanError};
use crate::telemetry::chain;
use crate::tls::client;
use crate::upstream::maildir;
use crate::upstream::smtp::{
    Login, PlainTextLogin, Settings, Smtputf8, Timeouts, TlsPolicy, Verification,
};

/// Returns each upstream by its name, with nothing for those that have errors.
pub(in crate::config) fn upstreams(
    context: &mut Context,
    raw: &raw::Named<raw::Upstream>,
    retry: &raw::Retry,
    hostname: &Domain,
) -> Vec<(UpstreamName, Option<Upstream>)> {
    let base = (retry, hostname);
    let mut found = Vec::with_capacity(raw.len());
    for (key, upstream) in raw {
        let name = match UpstreamName::parse(key.get_ref()) {
            Ok(name) if !key.get_ref().contains([',', ';']) => name,
            Ok(_) | Err(_) => {
                let message = format!("`{}` cannot be the name of an upstream", key.get_ref());
                let hint = "a name has no spaces, quotes, commas, semicolons or control characters";
                context.error(key.span(), message, hint);
                continue;
            }
        };
        let checked = upstream_of_kind(context, &name, key.span(), upstream.get_ref(), base);
        found.push((name, checked));
    }
    found
}

/// Returns an upstream, or `None` after an error.
fn upstream_of_kind(
    context: &mut Context,
    name: &UpstreamName,
    key: Range<usize>,
    raw: &raw::Upstream,
    (retry, hostname): (&raw::Retry, &Domain),
) -> Option<Upstream> {
    let (engine, own_retry, bounds) = match (&raw.smtp, &raw.maildir) {
        (Some(smtp), None) => {
            let settings = settings(context, name, smtp, hostname);
            (
                settings.map(Box::new).map(Engine::Smtp),
                &smtp.get_ref().retry,
                bounds(context, smtp.get_ref()),
            )
        }
        (None, Some(folder)) => {
            let settings = maildir(context, name, folder);
            let bounds = Bounds {
                connections: maildir::CONNECTIONS,
                reserved: 1,
                rates: Vec::new(),
            };
            (
                settings.map(Engine::Maildir),
                &folder.get_ref().retry,
                Some(bounds),
            )
        }
        (Some(_), Some(folder)) => {
            let message = format!("upstream `{name}` has two kinds");
            let hint = format!("keep one of [upstream.{name}.smtp] and [upstream.{name}.maildir]");
            context.error(folder.span(), message, hint);
            return None;
        }
        (None, None) => {
            if !context.is_wrong_below(&["upstream", name.as_str()]) {
                let message = format!("upstream `{name}` has no kind");
                context.error(key, message, format!("write [upstream.{name}.smtp]"));
            }
            return None;
        }
    };
    let retry = plan(context, own_retry, retry);
    Some(Upstream {
        engine: engine?,
        retry: retry?,
        bounds: bounds?,
    })
}

/// Returns how much an upstream is given, or `None` after an error.
fn bounds(context: &mut Context, smtp: &raw::Smtp) -> Option<Bounds> {
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
        rates: Vec::new(),
    })
}

fn maildir(
    context: &mut Context,
    name: &UpstreamName,
    raw: &Spanned<raw::Maildir>,
) -> Option<maildir::Settings> {
    let Some(directory) = &raw.get_ref().directory else {
        let path = ["upstream", name.as_str(), "maildir", "directory"];
        context.missing(raw.span(), &path, "for example: directory = \"mail\"");
        return None;
    };
    context.warning(
        directory.span(),
        "this upstream keeps mail in a local folder and sends none",
        "that is for trials and staging; [upstream.NAME.smtp] sends mail",
    );
    Some(maildir::Settings {
        name: name.clone(),
        directory: context.path(directory.get_ref()),
    })
}

/// Returns a retry plan of what is set here and, for the rest, of `base`; `None` after an error.
pub(in crate::config) fn plan(
    context: &mut Context,
    own: &raw::OwnRetry,
    base: &raw::Retry,
) -> Option<RetryPlan> {
    let first = own.first.as_ref().unwrap_or(&base.first);
    let longest = own.longest.as_ref().unwrap_or(&base.longest);
    let lifetime = own.lifetime.as_ref().unwrap_or(&base.lifetime);
    let made = RetryPlan::new(
        first.get_ref().get(),
        longest.get_ref().get(),
        lifetime.get_ref().get(),
    );
    let error = match made {
        Ok(plan) => return Some(plan),
        Err(error) => error,
    };
    let at_fault = match error {
        RetryPlanError::NoFirst => first,
        RetryPlanError::LongestBelowFirst => longest,
        RetryPlanError::LifetimeBelowFirst => lifetime,
    };
    let place = [at_fault, first].map(Spanned::span);
    let place = place.into_iter().find(|place| !place.is_empty());
    let hint = format!(
        "here first = \"{}\", longest = \"{}\", lifetime = \"{}\"",
        first.get_ref(),
        longest.get_ref(),
        lifetime.get_ref()
    );
    context.error(place.unwrap_or_default(), error.to_string(), hint);
    None
}

fn settings(
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
    let local_address = local_address(context, smtp);
    Some(Settings {
        name: name.clone(),
        host: host?,
        port: smtp.port.map_or(default_port(smtp), Number::to),
        mx: smtp.mx,
        helo: helo?,
        tls,
        verification: verification?,
        login: login.ok()?,
        local_address: local_address.ok()?,
        connections: smtp.connections.to(),
        messages_per_connection: smtp.messages_per_connection.to(),
        recipients_per_message: smtp.recipients_per_message.to(),
        keep_idle: smtp.keep_idle.get(),
        smtputf8: match smtp.smtputf8 {
            raw::Smtputf8::Auto => Smtputf8::Auto,
            raw::Smtputf8::Off => Smtputf8::Off,
            raw::Smtputf8::On => Smtputf8::On,
        },
        timeouts: Timeouts {
            connect: smtp.timeout.connect.get(),
            command: smtp.timeout.command.get(),
            data: smtp.timeout.data.get(),
            final_reply: smtp.timeout.final_reply.get(),
        },
    })
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

fn verification(context: &mut Context, smtp: &raw::Smtp) -> Option<Verification> {
    match (smtp.verify.get_ref(), &smtp.ca_file, &smtp.fingerprint) {
        (true, None, None) => Some(Verification::SystemRoots),
        (true, Some(file), None) => {
            let path = context.path(file.get_ref());
            if let Err(error) = client::authority(&path) {
                let hint = "a PEM file with the certificates of the authorities to trust";
                context.error(file.span(), chain(&error), hint);
                return None;
            }
            Some(Verification::Authority(path))
        }
        (true, None, Some(text)) => {
            let digest = fingerprint(text.get_ref());
            if digest.is_none() {
                let hint = "64 hexadecimal digits, colons allowed: openssl x509 -in server.pem \
                            -noout -fingerprint -sha256";
                context.error(text.span(), "this is no SHA-256 fingerprint", hint);
            }
            digest.map(Verification::Fingerprint)
        }
        (false, None, None) => {
            if *smtp.tls.get_ref() != raw::TlsPolicy::Disabled {
                context.warning(
                    smtp.verify.span(),
                    "the certificate of this upstream is not checked: anybody on the way can read \
                     and change the mail",
                    "name the authority (ca_file) or the certificate (fingerprint) instead",
                );
            }
            Some(Verification::Off)
        }
        (_, Some(place), _) => {
            contradiction(context, place.span());
            None
        }
        (_, None, Some(place)) => {
            contradiction(context, place.span());
            None
        }
    }
}

fn contradiction(context: &mut Context, place: Range<usize>) {
    let message = "the certificate is judged in one way only";
    let hint = "keep one of `verify = false`, `ca_file` and `fingerprint`";
    context.error(place, message, hint);
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.replace([':', ' '], "");
    let mut digest = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, index) in digest.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(digits.get(index..index + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// An error has been recorded; nothing more is known.
struct Reported;

/// Returns the login, where there is one.
fn login(
    context: &mut Context,
    name: &UpstreamName,
    smtp: &raw::Smtp,
) -> Result<Option<Login>, Reported> {
    let table = ["upstream", name.as_str(), "smtp"];
    let [root, upstream, kind] = table;
    let (username, password) = match (&smtp.username, &smtp.password) {
        (None, None) => return Ok(None),
        (Some(username), Some(password)) => (username, password),
        (Some(username), None) => {
            let hint = "write password = { file = \"…\" }, or take `username` out";
            context.missing(username.span(), &[root, upstream, kind, "password"], hint);
            return Err(Reported);
        }
        (None, Some(password)) => {
            let hint = "write username = \"…\", or take `password` out";
            context.missing(password.span(), &[root, upstream, kind, "username"], hint);
            return Err(Reported);
        }
    };
    if username.get_ref().is_empty() || username.get_ref().contains(['\0', '\r', '\n']) {
        let hint = "for example: username = \"relay@example.com\"";
        context.error(username.span(), "this cannot be a user name", hint);
        return Err(Reported);
    }
    let over_plain_text = plain_text(context, smtp);
    Ok(Some(Login {
        username: username.get_ref().clone(),
        password: secret::resolve(context, password).ok_or(Reported)?,
        over_plain_text: over_plain_text.ok_or(Reported)?,
    }))
}

fn plain_text(context: &mut Context, smtp: &raw::Smtp) -> Option<PlainTextLogin> {
    let policy = *smtp.tls.get_ref();
    match (smtp.plain_text_login.get_ref(), policy) {
        (true, raw::TlsPolicy::Disabled | raw::TlsPolicy::Opportunistic) => {
            context.warning(
                smtp.plain_text_login.span(),
                "the password of this upstream may cross the network unprotected",
                "write tls = \"required\" where the upstream offers STARTTLS",
            );
            Some(PlainTextLogin::Allowed)
        }
        (false, raw::TlsPolicy::Disabled) => {
            context.error(
                smtp.tls.span(),
                "there is a login, but it may not be sent over plain text",
                "write tls = \"required\" or \"implicit\"; where the upstream has no TLS at all, \
                 plain_text_login = true",
            );
            None
        }
        (_, _) => Some(PlainTextLogin::Forbidden),
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
