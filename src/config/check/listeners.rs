//! Listeners: addresses and ports, what their sessions are told, and what does not fit together.

mod overrides;
mod shown;

use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use ipnet::IpNet;
use toml::Spanned;

use super::client_certificates::{Asked, certificate_rule, judge_certificates};
use super::context::Context;
use super::list::entries;
use super::mechanisms::mechanisms;
use super::networks::networks;
use crate::config::checked::ShownListener;
use crate::config::raw::{self, List};
use crate::config::units::Number;
use crate::identity::UpstreamName;
use crate::smtp::sasl::Mechanism;
use crate::smtp::server::{self, AuthRule, CertificateRule, Keyword, TlsMode};
use crate::submission::{ConnectionLimits, ListenerSettings, OnPortInUse, PortSet, PortSetError};

use overrides::Overrides;
use shown::Sources;

pub(super) use overrides::bare_newlines;

/// Returns the listeners, and each of them as it can be shown. `session` is what all their sessions have in common, as it
/// is written and as it is told.
pub(in crate::config) fn listeners(
    context: &mut Context,
    raw: &[Spanned<raw::Listener>],
    session: (&raw::Session, &server::Settings),
) -> (Vec<ListenerSettings>, Vec<ShownListener>) {
    let mut found: Vec<(ListenerSettings, Range<usize>)> = Vec::with_capacity(raw.len());
    let mut shown = Vec::with_capacity(raw.len());
    let session_places = context.places(&["session"]);
    for (index, listener) in raw.iter().enumerate() {
        let (place, raw) = (listener.span(), listener.get_ref());
        let name = name(context, raw, index, &found);
        let profile = raw.profile.map(|profile| (profile, profile.table()));
        let profile = profile.as_ref();
        let ports_place = raw.ports.as_ref().map_or(place.clone(), Spanned::span);
        let number = index.to_string();
        if raw.ports.is_none() {
            let path = ["listener", &number, "ports"];
            context.missing(place, &path, "for example: ports = [\"25\", \"587\"]");
        }
        let layers = Layers {
            own: listener,
            profile: profile.map(|(_, table)| table),
        };
        let settings = settings(context, name, &layers, session.1);
        let sources = Sources {
            session: session.0,
            mechanisms: names(&settings.session.mechanisms),
            session_places: &session_places,
            profile: profile.map(|(profile, table)| (profile.name(), table)),
        };
        shown.push(ShownListener {
            name: settings.name.clone(),
            profile: profile.map(|(profile, _)| profile.name()),
            settings: context.effective(&["listener", &number], sources.rows(&settings.name)),
        });
        overlap(context, &settings, &ports_place, &found);
        found.push((settings, ports_place));
    }
    if found.is_empty() {
        let hint = "leave `listener` out for the usual ports, or write a [[listener]]";
        context.error(0..0, "there is no listener", hint);
    }
    let listeners = found.into_iter().map(|(settings, _)| settings).collect();
    (listeners, shown)
}

/// A listener's table, and that of its profile below it.
struct Layers<'a> {
    own: &'a Spanned<raw::Listener>,
    profile: Option<&'a raw::Listener>,
}

impl<'a> Layers<'a> {
    /// Returns what the listener says, else what its profile says.
    fn pick<T>(&self, key: impl Fn(&'a raw::Listener) -> Option<T>) -> Option<T> {
        key(self.own.get_ref()).or_else(|| self.profile.and_then(key))
    }
}

fn settings(
    context: &mut Context,
    name: String,
    layers: &Layers<'_>,
    session: &server::Settings,
) -> ListenerSettings {
    let raw = layers.own.get_ref();
    let tls = layers.pick(|table| table.tls).unwrap_or_default();
    let mut base = server::Settings {
        tls: tls_mode(tls),
        ..session.clone()
    };
    for table in layers.profile.into_iter().chain([raw]) {
        Overrides::of_listener(context, table).apply(&mut base);
    }
    let own = layers.pick(|table| table.client_certificate.as_ref());
    base.certificates = own.map_or(CertificateRule::Off, |rule| {
        certificate_rule(*rule.get_ref())
    });
    let list = layers.pick(|table| table.mechanisms.as_ref());
    match list {
        Some(list) => base.mechanisms = mechanisms(context, list),
        None if base.certificates != CertificateRule::Off => {
            base.mechanisms = server::Settings::with_external(&base.mechanisms);
        }
        None => {}
    }
    let plain = plain_text_networks(context, layers, base.auth);
    judge_auth(context, layers, &base, !plain.is_empty());
    let asked = Asked {
        own,
        mechanisms: list.map(Spanned::span),
        has_plain: !plain.is_empty() || may_any_log_in(raw),
    };
    judge_certificates(context, &asked, &base);
    let ports = raw.ports.as_ref().map(|ports| ports_of(context, ports));
    let balancers = raw.proxy_protocol.as_ref();
    let balancers = balancers.map(|list| networks(context, list, ANY_BALANCER));
    ListenerSettings {
        name,
        addresses: addresses(context, &raw.address),
        ports: ports.unwrap_or_default(),
        on_port_in_use: raw.on_port_in_use.map(|rule| match rule {
            raw::OnPortInUse::Fail => OnPortInUse::Fail,
            raw::OnPortInUse::Skip => OnPortInUse::Skip,
        }),
        networks: sessions_by_network(context, raw, &base, &plain),
        session: base,
        balancers: without_places(balancers.unwrap_or_default()),
        connections: connections(raw),
    }
}

fn names(mechanisms: &[Mechanism]) -> String {
    let names = mechanisms.iter().map(|mechanism| mechanism.name());
    names.collect::<Vec<_>>().join(", ")
}

const ANY_BALANCER: (&str, &str) = (
    "is the whole internet: anybody could say to be anybody",
    "name the addresses of the balancers",
);

const ANY_CLIENT: (&str, &str) = (
    "is the whole internet",
    "what counts for everybody stands in the table of the listener itself",
);

fn without_places(networks: Vec<(IpNet, Range<usize>)>) -> Vec<IpNet> {
    networks.into_iter().map(|(network, _)| network).collect()
}

fn connections(raw: &raw::Listener) -> Option<ConnectionLimits> {
    let (total, per_address) = (raw.connections, raw.connections_per_address);
    (total.is_some() || per_address.is_some()).then(|| ConnectionLimits {
        total: total.map_or(usize::MAX, Number::to),
        per_address: per_address.map_or(usize::MAX, Number::to),
        per_prefix: usize::MAX,
    })
}

/// Returns the networks whose clients may log in without TLS.
fn plain_text_networks(context: &mut Context, layers: &Layers<'_>, auth: AuthRule) -> Vec<IpNet> {
    let Some(list) = layers.pick(|table| table.plain_text_auth_networks.as_ref()) else {
        return Vec::new();
    };
    let plain = without_places(networks(context, list, ANY_CLIENT));
    match auth {
        AuthRule::AfterTls => plain,
        AuthRule::Always => Vec::new(),
        AuthRule::Off => {
            let is_own = !list.span().is_empty();
            if is_own {
                let message = "nobody can log in here, from no network: auth is \"off\"";
                context.error(
                    list.span(),
                    message,
                    "write auth = \"after-tls\", or take this out",
                );
            }
            Vec::new()
        }
    }
}

/// Returns what is told to clients of each network that is named: that of the most specific block around it, and with AUTH
/// in plain text where it is in `plain`.
fn sessions_by_network(
    context: &mut Context,
    raw: &raw::Listener,
    base: &server::Settings,
    plain: &[IpNet],
) -> Vec<(IpNet, server::Settings)> {
    let blocks = blocks(context, raw);
    let mut named: Vec<IpNet> = blocks.iter().map(|(network, _)| *network).collect();
    named.extend(
        plain
            .iter()
            .filter(|network| !named.contains(network))
            .copied()
            .collect::<Vec<_>>(),
    );
    let narrowest = |around: IpNet, networks: &mut dyn Iterator<Item = IpNet>| {
        let containing = networks.filter(|network| network.contains(&around));
        containing.max_by_key(IpNet::prefix_len)
    };
    let session = |network: IpNet| {
        let mut settings = base.clone();
        let block = narrowest(network, &mut blocks.iter().map(|(network, _)| *network));
        let own = blocks.iter().find(|(network, _)| Some(*network) == block);
        let own = own.map(|(_, overrides)| overrides);
        if let Some(own) = own {
            own.apply(&mut settings);
        }
        // What a block says of AUTH itself stands, unless a narrower network is listed.
        let own_rule = own.filter(|own| own.auth.is_some()).and(block);
        let listed = narrowest(network, &mut plain.iter().copied());
        let prefix = |network: Option<IpNet>| network.map(|network| network.prefix_len());
        if settings.auth == AuthRule::AfterTls
            && listed.is_some()
            && prefix(listed) >= prefix(own_rule)
        {
            settings.auth = AuthRule::Always;
        }
        (network, settings)
    };
    named.into_iter().map(session).collect()
}

/// Returns each network of the blocks below a listener, with what its block says.
fn blocks<'a>(context: &mut Context, raw: &'a raw::Listener) -> Vec<(IpNet, Rc<Overrides<'a>>)> {
    let mut blocks: Vec<(IpNet, Rc<Overrides<'a>>)> = Vec::new();
    for block in &raw.network {
        let overrides = Rc::new(Overrides::of_network(context, block.get_ref()));
        let Some(list) = &block.get_ref().networks else {
            let hint = "for example: networks = [\"192.0.2.0/28\"]";
            context.error(block.span(), "`networks` is missing", hint);
            continue;
        };
        for (network, place) in networks(context, list, ANY_CLIENT) {
            if blocks.iter().any(|(other, _)| *other == network) {
                let message = format!("network `{network}` is already in a table of this listener");
                context.error(place, message, "take one of the two out");
                continue;
            }
            blocks.push((network, Rc::clone(&overrides)));
        }
    }
    blocks
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

/// Says what is odd about how clients come to log in.
fn judge_auth(
    context: &mut Context,
    layers: &Layers<'_>,
    base: &server::Settings,
    has_plain: bool,
) {
    let raw = layers.own.get_ref();
    let written = raw.auth.as_ref().map(Spanned::span);
    let place = written.unwrap_or(layers.own.span());
    let may_any = has_plain || may_any_log_in(raw);
    match (base.auth, base.tls) {
        (AuthRule::AfterTls, TlsMode::Off) if !may_any => context.error(
            place,
            "without TLS nobody can ever log in \"after-tls\"",
            "for clients known by their networks write auth = \"off\"; to let passwords cross \
             the network unprotected, plain_text_auth_networks names where, auth = \"always\" is everywhere",
        ),
        (AuthRule::AfterTls, TlsMode::StartTls)
            if !may_any && base.discarded.contains(Keyword::StartTls) =>
        {
            let list = raw.discard_keywords.as_ref();
            context.warning(
                list.map_or(place, Spanned::span),
                "nobody is offered STARTTLS, and without TLS nobody can log in",
                "plain_text_auth_networks names whose passwords may cross the network unprotected",
            );
        }
        (AuthRule::Always, TlsMode::Off | TlsMode::StartTls) => context.warning(
            place,
            "passwords may cross the network unprotected here",
            "write auth = \"after-tls\", or keep this listener to an address nobody can watch",
        ),
        (AuthRule::AfterTls | AuthRule::Always | AuthRule::Off, _) => {}
    }
}

/// Returns whether clients in some network may log in without TLS.
fn may_any_log_in(raw: &raw::Listener) -> bool {
    let rules = raw.network.iter().map(|block| &block.get_ref().auth);
    let mut rules = rules.filter_map(|rule| rule.as_ref().map(Spanned::get_ref));
    rules.any(|rule| *rule == raw::AuthRule::Always)
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
