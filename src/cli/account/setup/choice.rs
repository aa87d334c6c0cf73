//! Which of the configured ports a client is sent to.

use std::net::IpAddr;

use ipnet::IpNet;

use super::access::Security;
use super::client::Wish;
use crate::config::Checked;
use crate::smtp::sasl::Mechanism;
use crate::smtp::server::{AuthRule, TlsMode};
use crate::submission::ListenerSettings;

/// A port that a client may use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Candidate {
    pub(super) listener: String,
    /// `0` is any that is free at the start.
    pub(super) port: u16,
    pub(super) security: Security,
    /// Where nobody may log in from elsewhere; empty: from anywhere.
    pub(super) networks: Vec<IpNet>,
    /// Whether its listener has the profile for devices.
    is_for_devices: bool,
    pub(super) is_reached_from_elsewhere: bool,
}

/// How a client is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Login {
    /// By its network.
    Network,
    /// By a password.
    Password,
}

/// Returns all ports at which an account can send.
pub(super) fn candidates(config: &Checked, login: Login) -> Vec<Candidate> {
    let listeners = config.listeners.iter();
    let listeners = listeners.filter_map(|listener| Some((listener, security(listener, login)?)));
    let of_listener =
        |(listener, (security, networks)): (&ListenerSettings, (Security, Vec<IpNet>))| {
            let mut shown = config.shown_listeners.iter();
            let shown = shown.find(|shown| shown.name == listener.name);
            let candidate = Candidate {
                listener: listener.name.clone(),
                port: 0,
                security,
                networks,
                is_for_devices: shown.is_some_and(|shown| shown.profile == Some("device")),
                is_reached_from_elsewhere: !listener.addresses.iter().all(IpAddr::is_loopback),
            };
            let ports = listener.ports.iter().map(|(port, _)| port);
            ports
                .map(|port| Candidate {
                    port,
                    ..candidate.clone()
                })
                .collect::<Vec<_>>()
        };
    listeners.flat_map(of_listener).collect()
}

/// Returns the TLS of a listener, and where alone one can log in, if one can at all.
fn security(listener: &ListenerSettings, login: Login) -> Option<(Security, Vec<IpNet>)> {
    let session = &listener.session;
    let security = match session.tls {
        TlsMode::Implicit => Security::Tls,
        TlsMode::Off => Security::None,
        TlsMode::StartTls => Security::StartTls,
    };
    let takes_passwords = session.mechanisms.iter().any(|mechanism| match mechanism {
        Mechanism::Login | Mechanism::Plain => true,
        // Few programs know them.
        Mechanism::External
        | Mechanism::OAuthBearer
        | Mechanism::ScramSha256
        | Mechanism::ScramSha256Plus
        | Mechanism::XOAuth2 => false,
    });
    let rule_of_networks = |rule: AuthRule| {
        let networks = listener.networks.iter();
        let networks = networks.filter(|(_, session)| session.auth == rule);
        networks.map(|(network, _)| *network).collect::<Vec<_>>()
    };
    match (login, session.auth, session.tls) {
        (Login::Password, _, _) if !takes_passwords => None,
        (Login::Password, AuthRule::Off, _)
        | (Login::Password, AuthRule::AfterTls, TlsMode::Off) => {
            let networks = rule_of_networks(AuthRule::Always);
            (!networks.is_empty()).then_some((security, networks))
        }
        (Login::Network, ..)
        | (Login::Password, AuthRule::AfterTls, TlsMode::Implicit | TlsMode::StartTls)
        | (Login::Password, AuthRule::Always, _) => Some((security, Vec::new())),
    }
}

/// Chooses the port that suits a client best, among those of one listener where that is named.
pub(super) fn choose(candidates: &[Candidate], wish: Wish, asked: &Asked) -> Option<Candidate> {
    let fits = |candidate: &&Candidate| {
        let is_listener = asked
            .listener
            .as_ref()
            .is_none_or(|name| *name == candidate.listener);
        let has_tls = match wish {
            Wish::StartTlsOnly(_) => candidate.security == Security::StartTls,
            Wish::PlainFirst | Wish::StartTlsFirst | Wish::TlsFirst => true,
        };
        is_listener && has_tls
    };
    let candidates = candidates.iter().filter(fits);
    if let Some(port) = asked.port {
        // What stands before the server may take another port than the server itself.
        let best =
            candidates.min_by_key(|candidate| (candidate.port != port, rank(candidate, wish)));
        return best.map(|best| Candidate {
            port,
            ..best.clone()
        });
    }
    let is_possible = |candidate: &&Candidate| match wish {
        Wish::StartTlsOnly(ports) => ports.contains(&candidate.port),
        Wish::PlainFirst | Wish::StartTlsFirst | Wish::TlsFirst => true,
    };
    let possible = candidates.filter(is_possible);
    possible
        .min_by_key(|candidate| rank(candidate, wish))
        .cloned()
}

/// What whoever asks has decided already.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) listener: Option<String>,
    pub(super) port: Option<u16>,
}

/// The smallest is the best.
fn rank(candidate: &Candidate, wish: Wish) -> impl Ord {
    let security = match (wish, candidate.security) {
        (Wish::PlainFirst, Security::None) if candidate.is_for_devices => 0,
        (Wish::PlainFirst, Security::None)
        | (Wish::StartTlsFirst | Wish::StartTlsOnly(_), Security::StartTls)
        | (Wish::TlsFirst, Security::Tls) => 1,
        (Wish::PlainFirst | Wish::TlsFirst, Security::StartTls)
        | (Wish::StartTlsFirst | Wish::StartTlsOnly(_), Security::Tls) => 2,
        (Wish::PlainFirst, Security::Tls)
        | (Wish::StartTlsFirst | Wish::StartTlsOnly(_) | Wish::TlsFirst, Security::None) => 3,
    };
    let standard = match candidate.security {
        Security::None => 25,
        Security::StartTls => 587,
        Security::Tls => 465,
    };
    // Many networks keep clients from port 25.
    let place = match candidate.port {
        port if port == standard => 0,
        25 => 2,
        _ => 1,
    };
    let is_local = !candidate.is_reached_from_elsewhere;
    (is_local, security, place, candidate.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(listener: &str, port: u16, security: Security) -> Candidate {
        Candidate {
            listener: listener.to_owned(),
            port,
            security,
            networks: Vec::new(),
            is_for_devices: listener == "devices",
            is_reached_from_elsewhere: listener != "local",
        }
    }

    fn all() -> Vec<Candidate> {
        vec![
            candidate("local", 465, Security::Tls),
            candidate("submission", 25, Security::StartTls),
            candidate("submission", 1025, Security::StartTls),
            candidate("submission", 587, Security::StartTls),
            candidate("submissions", 465, Security::Tls),
            candidate("plain", 25, Security::None),
            candidate("devices", 2525, Security::None),
        ]
    }

    fn chosen(wish: Wish, asked: &Asked) -> (String, u16) {
        let chosen = choose(&all(), wish, asked).unwrap();
        (chosen.listener, chosen.port)
    }

    #[test]
    fn each_wish_has_its_port() {
        for (wish, listener, port) in [
            (Wish::TlsFirst, "submissions", 465),
            (Wish::StartTlsFirst, "submission", 587),
            (Wish::StartTlsOnly(&[25, 10025]), "submission", 25),
            (Wish::PlainFirst, "devices", 2525),
        ] {
            assert_eq!(chosen(wish, &Asked::default()), (listener.to_owned(), port));
        }
        assert!(choose(&all(), Wish::StartTlsOnly(&[10025]), &Asked::default()).is_none());
    }

    #[test]
    fn what_is_asked_for_counts_more() {
        let asked = Asked {
            listener: Some("submission".to_owned()),
            port: None,
        };
        assert_eq!(
            chosen(Wish::TlsFirst, &asked),
            ("submission".to_owned(), 587)
        );
        let asked = Asked {
            listener: None,
            port: Some(1025),
        };
        assert_eq!(
            chosen(Wish::TlsFirst, &asked),
            ("submission".to_owned(), 1025)
        );
        let forwarded = Asked {
            listener: None,
            port: Some(8465),
        };
        assert_eq!(
            chosen(Wish::TlsFirst, &forwarded),
            ("submissions".to_owned(), 8465)
        );
    }

    #[test]
    fn a_port_of_this_machine_alone_is_the_last_resort() {
        let all = vec![
            candidate("local", 465, Security::Tls),
            candidate("submission", 25, Security::StartTls),
        ];
        let chosen = choose(&all, Wish::TlsFirst, &Asked::default()).unwrap();
        assert_eq!(chosen.port, 25);
        assert!(choose(&all[..1], Wish::TlsFirst, &Asked::default()).is_some());
    }
}
