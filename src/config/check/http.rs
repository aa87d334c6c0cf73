//! The public web listener.

use std::net::IpAddr;

use toml::Spanned;
use url::{Host, Url};

use super::context::Context;
use super::listeners::{addresses, collide, ports_of};
use crate::config::raw;
use crate::mail::Domain;
use crate::submission::ListenerSettings;
use crate::web::public::{Encryption, Incoming, Login, Settings};

/// Returns `[http.public]`, where it is there and has no error.
pub(in crate::config) fn public(
    context: &mut Context,
    raw: &raw::Http,
    listeners: &[ListenerSettings],
) -> Option<Settings> {
    let table = raw.public.as_ref()?;
    let raw = table.get_ref();
    let addresses = addresses(context, &raw.address);
    let ports = ports_of(context, &raw.ports);
    for listener in listeners {
        let mut pairs = listener
            .addresses
            .iter()
            .flat_map(|one| addresses.iter().map(move |other| (*one, *other)));
        if pairs.any(|(one, other)| collide(one, other))
            && let Some(port) = listener.ports.overlap(&ports)
        {
            let message = format!("port {port} also belongs to listener `{}`", listener.name);
            context.error(raw.ports.span(), message, "a port belongs to one listener");
        }
    }
    let url = if let Some(url) = &raw.url {
        url_of(context, url)
    } else {
        let hint = format!("for example: url = \"{EXAMPLE}\"");
        context.missing(table.span(), &["http", "public", "url"], hint);
        None
    };
    let incoming = raw.imap.as_ref().map(|imap| incoming(context, imap));
    Some(Settings {
        addresses,
        ports: ports.iter().map(|(port, _)| port).collect(),
        encryption: if raw.tls {
            Encryption::Own
        } else {
            Encryption::Proxy
        },
        url: url?,
        login: match raw.autoconfig {
            raw::Autoconfig::Address => Login::Address,
            raw::Autoconfig::LocalPart => Login::LocalPart,
            raw::Autoconfig::Off => Login::Untold,
        },
        incoming: incoming.flatten(),
    })
}

const EXAMPLE: &str = "https://relay.example.com";

fn url_of(context: &mut Context, raw: &Spanned<String>) -> Option<Url> {
    let text = raw.get_ref();
    let hint = format!("for example: url = \"{EXAMPLE}\"");
    let parsed = Url::parse(text).ok();
    let usable = parsed.filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let Some(url) = usable else {
        let message = format!("`{text}` is not the address of a web site");
        context.error(raw.span(), message, hint);
        return None;
    };
    if url.scheme() == "http" && !is_of_this_machine(&url) {
        let message = "whoever reads along can use the links of this site before their owners do";
        let hint = "let it speak TLS, itself or behind a proxy that does, and write https://";
        context.warning(raw.span(), message, hint);
    }
    Some(url)
}

fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

fn incoming(context: &mut Context, raw: &Spanned<String>) -> Option<Incoming> {
    let (host, port) = raw.get_ref().rsplit_once(':').unwrap_or_default();
    let (host, port) = (Domain::parse(host).ok(), port.parse().ok());
    let found = host
        .zip(port.filter(|port: &u16| *port > 0))
        .map(|(host, port)| Incoming {
            host: host.as_ascii().to_owned(),
            port,
        });
    if found.is_none() {
        let message = format!("`{}` is not a server with its port", raw.get_ref());
        let hint = "for example: imap = \"imap.example.com:993\"";
        context.error(raw.span(), message, hint);
    }
    found
}
