//! A listener as all its ports share it: what its sessions are told, and who speaks for others.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;

use crate::smtp::server::Settings;

use super::limits::{Gate, Pass};
use super::settings::ListenerSettings;
use super::standing::Standing;

#[derive(Debug)]
pub(super) struct Listener {
    name: String,
    session: Arc<Settings>,
    /// The longest prefixes first.
    networks: Vec<(IpNet, Arc<Settings>)>,
    balancers: Vec<IpNet>,
    /// Where it has bounds of its own.
    gate: Option<Arc<Gate>>,
}

impl Listener {
    pub(super) fn new(settings: &ListenerSettings) -> Self {
        let networks = settings.networks.iter();
        let networks = networks.map(|(network, session)| (*network, Arc::new(session.clone())));
        let mut networks: Vec<_> = networks.collect();
        networks.sort_by_key(|(network, _)| Reverse(network.prefix_len()));
        Self {
            name: settings.name.clone(),
            session: Arc::new(settings.session.clone()),
            networks,
            balancers: settings.balancers.clone(),
            gate: settings.connections.map(Gate::new),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the session of a client is told; `address` is `None` where nobody knows whose it is.
    pub(super) fn settings(&self, address: Option<IpAddr>) -> &Arc<Settings> {
        let mut networks = self.networks.iter();
        let contains = |network: &IpNet| address.is_some_and(|address| network.contains(&address));
        let found = networks.find(|(network, _)| contains(network));
        found.map_or(&self.session, |(_, settings)| settings)
    }

    /// Returns whether a balancer connects from this address.
    pub(super) fn is_balancer(&self, address: IpAddr) -> bool {
        let mut balancers = self.balancers.iter();
        balancers.any(|network| network.contains(&address))
    }

    /// Lets a connection in, or not; see [`Gate`]. A client without an address is a balancer's.
    pub(super) fn admit(
        &self,
        server: &Arc<Gate>,
        client: Option<IpAddr>,
        standing: Standing,
        now: Instant,
    ) -> Option<Passes> {
        // Nobody makes room at one of them for a connection that the other refuses.
        let mut gates = std::iter::once(server).chain(&self.gate);
        if !gates.all(|gate| gate.would_admit(client, standing, now)) {
            return None;
        }
        let admit = |gate: &Arc<Gate>| match client {
            Some(address) => gate.admit(address, standing, now),
            None => gate.admit_unnamed(now),
        };
        let server = admit(server)?;
        let listener = match &self.gate {
            Some(gate) => Some(admit(gate)?),
            None => None,
        };
        Some(Passes { server, listener })
    }
}

/// The right to be connected to the server, and to the listener where it has bounds of its own.
#[derive(Debug)]
pub(super) struct Passes {
    server: Pass,
    listener: Option<Pass>,
}

impl Passes {
    /// Says whose connection it is; returns whether there may be another from there.
    pub(super) fn name(&mut self, address: IpAddr, now: Instant) -> bool {
        let listener = self.listener.as_mut();
        self.server.name(address, now) && listener.is_none_or(|pass| pass.name(address, now))
    }

    /// Returns whether another client had to make room.
    pub(super) fn took_place(&self) -> bool {
        self.server.took_place() || self.listener.as_ref().is_some_and(Pass::took_place)
    }

    /// Notes that the client has shown who it is: its place is its own from now on.
    pub(super) fn keep(&self) {
        self.server.keep();
        if let Some(pass) = &self.listener {
            pass.keep();
        }
    }

    /// Waits until another client has been given the place.
    pub(super) async fn lost(&self) {
        let Some(listener) = &self.listener else {
            return self.server.lost().await;
        };
        tokio::select! {
            () = self.server.lost() => {}
            () = listener.lost() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::mail::Domain;
    use crate::smtp::server::{
        AuthEquals, AuthRule, BareNewlines, CertificateRule, Keywords, Limits, Timeouts, TlsMode,
    };
    use crate::submission::{ConnectionLimits, PortSet};

    const STRANGER: Standing = Standing::Stranger;

    impl Passes {
        fn is_lost(&self) -> bool {
            self.server.is_lost() || self.listener.as_ref().is_some_and(Pass::is_lost)
        }
    }

    fn session(auth: AuthRule) -> Settings {
        Settings {
            hostname: Domain::parse("relay.example").unwrap(),
            tls: TlsMode::StartTls,
            auth,
            mechanisms: Settings::default_mechanisms(),
            certificates: CertificateRule::Off,
            discarded: Keywords::default(),
            auth_equals: AuthEquals::Absent,
            bare_newlines: BareNewlines::Repair,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    fn listener(connections: Option<ConnectionLimits>) -> Listener {
        let network = |text: &str, auth| (text.parse().unwrap(), session(auth));
        Listener::new(&ListenerSettings {
            name: "devices".to_owned(),
            addresses: Vec::new(),
            ports: PortSet::default(),
            on_port_in_use: None,
            session: session(AuthRule::AfterTls),
            networks: vec![
                network("10.0.0.0/8", AuthRule::Always),
                network("10.1.0.0/16", AuthRule::Off),
                network("2001:db8::/32", AuthRule::Always),
            ],
            balancers: vec!["10.9.0.0/16".parse().unwrap()],
            connections,
        })
    }

    #[test]
    fn the_most_specific_network_counts() {
        let listener = listener(None);
        for (address, auth) in [
            ("10.2.0.1", AuthRule::Always),
            ("10.1.0.1", AuthRule::Off),
            ("2001:db8::1", AuthRule::Always),
            ("192.0.2.1", AuthRule::AfterTls),
        ] {
            let settings = listener.settings(Some(address.parse().unwrap()));
            assert_eq!(settings.auth, auth, "{address}");
        }
        assert_eq!(listener.settings(None).auth, AuthRule::AfterTls);
    }

    #[test]
    fn a_listener_may_be_full_while_the_server_is_not() {
        let listener = listener(Some(ConnectionLimits {
            total: 2,
            per_address: 1,
            per_prefix: 9,
        }));
        let server = Gate::new(ConnectionLimits::default());
        let now = SystemClock.instant();
        let address = |text: &str| Some(text.parse().unwrap());
        let first = listener
            .admit(&server, address("192.0.2.1"), STRANGER, now)
            .unwrap();
        assert!(
            listener
                .admit(&server, address("192.0.2.1"), STRANGER, now)
                .is_none()
        );
        let mut second = listener.admit(&server, None, STRANGER, now).unwrap();
        assert!(listener.admit(&server, None, STRANGER, now).is_none());
        assert_eq!(server.open(), 2);
        assert!(!second.name("192.0.2.1".parse().unwrap(), now));
        drop((first, second));
        assert_eq!(server.open(), 0);
        assert!(
            listener
                .admit(&server, address("192.0.2.1"), STRANGER, now)
                .is_some()
        );
    }

    #[test]
    fn nobody_makes_room_for_a_connection_that_is_refused_after_all() {
        let now = SystemClock.instant();
        let bounds = |total, per_address| ConnectionLimits {
            total,
            per_address,
            per_prefix: 99,
        };
        let come = |listener: &Listener, gate: &Arc<Gate>, text: &str, now| {
            listener.admit(gate, Some(text.parse().unwrap()), STRANGER, now)
        };
        // One place for each address at the listener; none is left at the server.
        let (narrow, server) = (listener(Some(bounds(9, 1))), Gate::new(bounds(2, 9)));
        let idler = come(&listener(None), &server, "192.0.2.1", now).unwrap();
        let same = come(&narrow, &server, "198.51.100.1", now).unwrap();
        let later = now + Duration::from_mins(1);
        assert!(come(&narrow, &server, "198.51.100.1", later).is_none());
        assert!(!idler.is_lost() && !same.is_lost());
        // None is left at the listener; the server has one place for each address.
        let (full, server) = (listener(Some(bounds(1, 9))), Gate::new(bounds(9, 1)));
        let idler = come(&full, &server, "192.0.2.1", now).unwrap();
        let _other = come(&listener(None), &server, "198.51.100.1", now).unwrap();
        assert!(come(&full, &server, "198.51.100.1", later).is_none());
        assert!(!idler.is_lost());
        assert!(come(&full, &server, "203.0.113.1", later).is_some());
        assert!(idler.is_lost());
    }
}
