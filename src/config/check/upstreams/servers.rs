//! Which servers an upstream has.

use std::net::IpAddr;

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::raw;
use crate::identity::UpstreamName;
use crate::mail::Domain;
use crate::upstream::profile::{Host, Profile};
use crate::upstream::smtp::Services;

use super::Reported;
use super::picked::Origin;
use super::values::Values;

/// Returns the host, or `None` after an error.
pub(super) fn host(
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
    for (is_looked_up, kind, key) in [
        (raw.get_ref().mx.get_ref(), "MX", "mx"),
        (raw.get_ref().srv.get_ref(), "SRV", "srv"),
    ] {
        if is_address && *is_looked_up {
            let message = format!("an IP address has no {kind} records");
            let hint = format!("name a domain, or take `{key}` out");
            context.error(host.place(), message, hint);
            return None;
        }
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

/// Returns the services that are looked up, where that is asked for.
///
/// Nobody vouches for SRV records, so that without TLS a forged one could take the mail (RFC 6186 §6).
pub(super) fn services(
    context: &mut Context,
    smtp: &raw::Smtp,
    values: &Values,
) -> Result<Option<Services>, Reported> {
    if !smtp.srv.get_ref() {
        return Ok(None);
    }
    if *smtp.mx.get_ref() {
        let message = "the servers are looked up in one way only";
        context.error(smtp.srv.span(), message, "keep one of `mx` and `srv`");
        return Err(Reported);
    }
    if let Some(port) = &smtp.port {
        let message = "the port stands in the SRV records";
        context.error(port.span(), message, "take out `port`, or `srv`");
        return Err(Reported);
    }
    match (values.tls.value, &values.tls.origin) {
        (raw::TlsPolicy::Disabled | raw::TlsPolicy::Opportunistic, _) => {
            let message = "servers found by SRV records are spoken to over TLS alone";
            let hint = "take `tls` out for any service, or write \"implicit\" (_submissions._tcp) or \"required\" \
                        (_submission._tcp)";
            context.error(values.tls.place(), message, hint);
            Err(Reported)
        }
        (raw::TlsPolicy::Implicit, Origin::File(_)) => Ok(Some(Services::Submissions)),
        (raw::TlsPolicy::Required, Origin::File(_)) => Ok(Some(Services::Submission)),
        (
            raw::TlsPolicy::Implicit | raw::TlsPolicy::Required,
            Origin::Default | Origin::Profile(_),
        ) => Ok(Some(Services::Any)),
    }
}
