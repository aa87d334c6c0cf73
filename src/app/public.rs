//! The public site, put together: its ports, what links are worth, what mail programs are told.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Checked;
use crate::smtp::server::{AuthRule, TlsMode};
use crate::submission::{self, BindError};
use crate::verification::{Digest, Entry, Standing, written};
use crate::web::autoconfig::{Offer, Outgoing, Security};
use crate::web::public::{
    Claim, Confirmations, Encryption, Link, Login, NotRecorded, PublicSite, Settings,
};
use crate::web::server::{self, Bound, Server, Site};

use super::reload::Reloader;

/// The name of its ports in the list of ports.
pub(super) const NAME: &str = "http.public";

/// Binds its ports.
pub(super) fn bind(settings: Option<&Settings>) -> Result<Vec<Bound>, BindError> {
    let Some(settings) = settings else {
        return Ok(Vec::new());
    };
    let addresses = settings.addresses.iter();
    let pairs =
        addresses.flat_map(|address| settings.ports.iter().map(move |port| (*address, *port)));
    pairs
        .map(|(address, port)| {
            let address = SocketAddr::new(address, port);
            Bound::listen(address).map_err(|source| BindError {
                name: NAME.to_owned(),
                address,
                source,
            })
        })
        .collect()
}

/// Serves its ports, where there are any.
pub(super) fn start(
    ports: Vec<Bound>,
    reloader: &Arc<Reloader>,
    config: &Checked,
    offer: Option<Offer>,
) -> io::Result<Option<Server>> {
    let Some(settings) = config.public.as_ref().filter(|_| !ports.is_empty()) else {
        return Ok(None);
    };
    let links = Arc::new(Links(Arc::clone(reloader)));
    let hostname = config.server.hostname.as_given().to_owned();
    let site: Arc<dyn Site> = Arc::new(PublicSite::new(hostname, links, offer));
    let tls = match settings.encryption {
        Encryption::Own => Some(&reloader.tls),
        Encryption::Proxy => None,
    };
    Server::start(ports, tls, &site, &bounds(settings.encryption)).map(Some)
}

/// Returns the bounds of its connections. All that a proxy passes on come from one address, so that of one client may be as
/// many as of all.
fn bounds(encryption: Encryption) -> server::Settings {
    let bounds = server::Settings::default();
    match encryption {
        Encryption::Own => bounds,
        Encryption::Proxy => server::Settings {
            connections_per_address: bounds.connections,
            ..bounds
        },
    }
}

/// Returns what mail programs are told: the ports of this process at which people can log in with TLS.
pub(super) fn offer(config: &Checked, bound: &[submission::Bound]) -> Option<Offer> {
    let settings = config.public.as_ref()?;
    if settings.login == Login::Untold {
        return None;
    }
    let usable = bound.iter().filter_map(|port| {
        let mut listeners = config.listeners.iter();
        let listener = listeners.find(|listener| listener.name == port.name())?;
        let security = match (listener.session.tls, listener.session.auth) {
            (_, AuthRule::Off) | (TlsMode::Off, _) => return None,
            (TlsMode::Implicit, AuthRule::AfterTls | AuthRule::Always) => Security::Tls,
            (TlsMode::StartTls, AuthRule::AfterTls | AuthRule::Always) => Security::StartTls,
        };
        let address = port.address();
        let outgoing = Outgoing {
            port: address.port(),
            security,
        };
        Some((address.ip().is_loopback(), outgoing))
    });
    let usable: Vec<_> = usable.collect();
    // What is for this machine alone is of no use elsewhere.
    let is_only_here = usable.iter().all(|(is_here, _)| *is_here);
    let offered = usable
        .into_iter()
        .filter(|(is_here, _)| is_only_here || !is_here);
    Some(Offer {
        hostname: config.server.hostname.as_ascii().to_owned(),
        outgoing: Offer::choose(offered.map(|(_, outgoing)| outgoing)),
        login: settings.login,
        incoming: settings.incoming.clone(),
    })
}

/// The links of the running server.
struct Links(Arc<Reloader>);

#[async_trait]
impl Confirmations for Links {
    fn look(&self, token: &str) -> Link {
        let digest = Digest::of(token);
        link(self.0.kept().ledger.standing(&digest, self.0.clock.now()))
    }

    async fn confirm(&self, token: &str, peer: IpAddr) -> Result<Link, NotRecorded> {
        let digest = Digest::of(token);
        // Whoever has no link that can be used makes no work.
        let before = self.look(token);
        if !matches!(before, Link::Open(_)) {
            return Ok(before);
        }
        let confirmed = self.0.confirm_sender(digest, peer).await;
        confirmed.map(link).map_err(|error| {
            tracing::error!(
                error = crate::telemetry::chain(&error),
                "a confirmation could not be recorded"
            );
            NotRecorded
        })
    }
}

fn link(standing: Standing) -> Link {
    let claim = |entry: Entry| Claim {
        account: entry.account.to_string(),
        sender: written(&entry.subject),
    };
    match standing {
        Standing::Expired => Link::Expired,
        Standing::Open(entry) => Link::Open(claim(entry)),
        Standing::Unknown => Link::Unknown,
        Standing::Used(entry) => Link::Confirmed(claim(entry)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_behind_a_proxy_are_not_taken_for_one() {
        let own = bounds(Encryption::Own);
        assert!(own.connections_per_address < own.connections);
        let proxied = bounds(Encryption::Proxy);
        assert_eq!(proxied.connections_per_address, own.connections);
    }
}
