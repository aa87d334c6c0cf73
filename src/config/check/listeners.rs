//! Listeners: addresses and ports, and what does not fit together.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::context::Context;
use super::list::entries;
use crate::config::raw::{self, List};
use crate::identity::UpstreamName;
use crate::smtp::server::{self, AuthRule, TlsMode};
use crate::submission::{ListenerSettings, OnPortInUse, PortSet, PortSetError};

/// Returns the listeners. `session` is what all their sessions have in common.
pub(in crate::config) fn listeners(
    context: &mut Context,
    raw: &[Spanned<raw::Listener>],
    session: &server::Settings,
) -> Vec<ListenerSettings> {
    let mut found: Vec<(ListenerSettings, Range<usize>)> = Vec::with_capacity(raw.len());
    for (index, listener) in raw.iter().enumerate() {
        let (place, raw) = (listener.span(), listener.get_ref());
        let name = name(context, raw, index, &found);
        let ports_place = raw.ports.as_ref().map_or(place.clone(), Spanned::span);
        if raw.ports.is_none() {
            let path = ["listener", &index.to_string(), "ports"];
            context.missing(place, &path, "for example: ports = [\"25\", \"587\"]");
        }
        let ports = raw.ports.as_ref().map(|ports| ports_of(context, ports));
        let settings = ListenerSettings {
            name,
            addresses: addresses(context, &raw.address),
            ports: ports.unwrap_or_default(),
            on_port_in_use: raw.on_port_in_use.map(|rule| match rule {
                raw::OnPortInUse::Fail => OnPortInUse::Fail,
                raw::OnPortInUse::Skip => OnPortInUse::Skip,
            }),
            session: server::Settings {
                tls: tls_mode(raw.tls),
                auth: auth_rule(context, listener),
                ..session.clone()
            },
        };
        overlap(context, &settings, &ports_place, &found);
        found.push((settings, ports_place));
    }
    if found.is_empty() {
        let hint = "leave `listener` out for the usual ports, or write a [[listener]]";
        context.error(0..0, "there is no listener", hint);
    }
    found.into_iter().map(|(settings, _)| settings).collect()
}

fn name(
    context: &mut Context,
    raw: &raw::Listener,
    index: usize,
    others: &[(ListenerSettings, Range<usize>)],
) -> String {
    let Some(name) = &raw.name else {
        return format!("listener-{}", index + 1);
    };
    // The rules for names are the same for all kinds.
    if let Err(error) = UpstreamName::parse(name.get_ref()) {
        let message = format!("this cannot be the name of a listener: {error}");
        context.error(name.span(), message, "for example: name = \"submission\"");
    }
    if others
        .iter()
        .any(|(other, _)| other.name == *name.get_ref())
    {
        let message = format!("there are two listeners `{}`", name.get_ref());
        context.error(name.span(), message, "give each a name of its own");
    }
    name.get_ref().clone()
}

pub(super) fn addresses(context: &mut Context, list: &Spanned<List>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let Some(entries) = entries(context, list) else {
        return addresses;
    };
    if entries.is_empty() {
        let hint = "leave the key out for all addresses";
        context.error(list.span(), "there is no address in this list", hint);
    }
    for (entry, place) in entries {
        let bare = entry
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(&entry);
        let Ok(address) = bare.parse::<IpAddr>() else {
            let message = format!("`{entry}` is not an IP address");
            let hint = "for example \"[::]\" for all addresses, \"127.0.0.1\", \"[2001:db8::25]\"";
            context.error(place, message, hint);
            continue;
        };
        if let Some(other) = addresses.iter().find(|other| collide(**other, address)) {
            let message = format!("`{entry}` is already taken by `{other}`");
            let hint = "\"[::]\" takes IPv4 too, and \"0.0.0.0\" takes every IPv4 address";
            context.error(place, message, hint);
            continue;
        }
        addresses.push(address);
    }
    addresses
}

pub(super) fn ports_of(context: &mut Context, list: &Spanned<List>) -> PortSet {
    const HINT: &str = "ports are \"25\" or \"1025-5000\", from 1 to 65535; 0 takes any free port";
    let mut ports = PortSet::default();
    let Some(entries) = entries(context, list) else {
        return ports;
    };
    if entries.is_empty() {
        context.error(list.span(), "there is no port in this list", HINT);
    }
    for (entry, place) in entries {
        let inserted = match PortSet::parse_part(&entry) {
            Ok(part) if *part.start() == 0 && *part.end() != 0 => {
                let message = format!("`{entry}` begins at port 0");
                context.error(place, message, "let the range begin at 1 or above");
                continue;
            }
            Ok(part) => ports.insert(part),
            Err(error @ (PortSetError::Backwards | PortSetError::Form)) => {
                context.error(place, format!("`{entry}` is {}", worded(error)), HINT);
                continue;
            }
        };
        if let Err(port) = inserted {
            let message = format!("port {port} is in this list twice");
            context.error(place, message, "take one of the two out");
        }
    }
    ports
}

fn worded(error: PortSetError) -> String {
    match error {
        PortSetError::Backwards => "a range that ends before it begins".to_owned(),
        PortSetError::Form => error.to_string(),
    }
}

fn tls_mode(raw: raw::TlsMode) -> TlsMode {
    match raw {
        raw::TlsMode::Implicit => TlsMode::Implicit,
        raw::TlsMode::Off => TlsMode::Off,
        raw::TlsMode::StartTls => TlsMode::StartTls,
    }
}

fn auth_rule(context: &mut Context, listener: &Spanned<raw::Listener>) -> AuthRule {
    let written = listener.get_ref().auth.span();
    let place = if written.is_empty() {
        listener.span()
    } else {
        written
    };
    let listener = listener.get_ref();
    match (listener.auth.get_ref(), listener.tls) {
        (raw::AuthRule::AfterTls, raw::TlsMode::Off) => {
            context.error(
                place,
                "without TLS nobody can ever log in \"after-tls\"",
                "for clients known by their networks write auth = \"off\"; to let passwords cross \
                 the network unprotected, auth = \"always\"",
            );
            AuthRule::AfterTls
        }
        (raw::AuthRule::AfterTls, raw::TlsMode::Implicit | raw::TlsMode::StartTls) => {
            AuthRule::AfterTls
        }
        (raw::AuthRule::Always, raw::TlsMode::Implicit) => AuthRule::Always,
        (raw::AuthRule::Always, raw::TlsMode::Off | raw::TlsMode::StartTls) => {
            context.warning(
                place,
                "passwords may cross the network unprotected here",
                "write auth = \"after-tls\", or keep this listener to an address nobody can watch",
            );
            AuthRule::Always
        }
        (raw::AuthRule::Off, _) => AuthRule::Off,
    }
}

fn overlap(
    context: &mut Context,
    settings: &ListenerSettings,
    place: &Range<usize>,
    others: &[(ListenerSettings, Range<usize>)],
) {
    for (other, _) in others {
        let mut pairs = settings
            .addresses
            .iter()
            .flat_map(|own| other.addresses.iter().map(move |theirs| (*own, *theirs)));
        if pairs.any(|(own, theirs)| collide(own, theirs))
            && let Some(port) = settings.ports.overlap(&other.ports)
        {
            let message = format!("port {port} also belongs to listener `{}`", other.name);
            context.error(place.clone(), message, "a port belongs to one listener");
        }
    }
}

/// Returns whether both addresses cannot be bound to one port.
pub(super) fn collide(one: IpAddr, other: IpAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V4(address) => address.is_unspecified() && narrow.is_ipv4(),
        IpAddr::V6(address) => address.is_unspecified(),
    };
    one == other || covers(one, other) || covers(other, one)
}
