//! From a name to a connection that is logged in: look-up, TCP, TLS, greeting, EHLO, login.
//!
//! TCP and the handshake are mail-send's, with our TLS configuration; the conversation is ours, so that codes, texts
//! and unread octets are known. What TLS policy *opportunistic* does:
//!
//! - STARTTLS is used where it is offered. Where the upstream refuses it or the handshake fails, the message goes in
//!   plain text, over a new connection.
//! - The certificate is not judged, since plain text would do as well, unless an authority or a fingerprint is
//!   configured, or there is a login that plain text forbids. Then a wrong certificate ends the attempt, and so does
//!   everything else that would leave a forbidden login in plain text.
//!
//! Octets behind the reply to STARTTLS, but before the handshake, come from somebody who wants them to count as
//! encrypted (response injection, THREATS T4). They end the connection whatever the policy.

mod dial;
mod enter;
mod secure;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::dns::{self, Host, ResolveError, Resolver};
use crate::mail::{Cause, Defect, Failure, Outcome, Stage, Unusable};
use crate::oauth::TokenSource;
use crate::tls::client::{self, ClientTlsError, PeerCertificate};
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::probe::Passed;

use super::connection::Connection;
use super::pacing::Pacing;
use super::settings::{PlainTextLogin, Settings, TlsPolicy, Verification};
use super::tls_problem::TlsProblem;
use super::transcript::Observer;
use super::wire::Wire;

/// Opens connections to one upstream.
pub(super) struct Connector {
    pub(super) settings: Settings,
    tls: Option<TlsConnector>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) clock: Arc<dyn Clock>,
    /// What all connections share, where the bandwidth is limited.
    pacing: Option<Arc<Pacing>>,
    /// Where tokens come from, where the login is by token.
    tokens: Option<Arc<dyn TokenSource>>,
    /// The certificate that the upstream has shown last.
    certificate: Mutex<Option<Arc<PeerCertificate>>>,
}

/// The most addresses tried for one connection.
const MAX_ADDRESSES: usize = 8;

/// All addresses together may take this many times the limit of one.
const CONNECT_ROUNDS: u32 = 3;

/// Why there is no connection, and the last address that was tried.
pub(super) struct Unconnected {
    pub(super) judgement: Judgement,
    pub(super) address: Option<SocketAddr>,
}

impl Connector {
    /// Reads the certificate authorities that the settings ask for.
    ///
    /// # Errors
    /// [`ClientTlsError`].
    pub(super) fn new(
        settings: Settings,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientTlsError> {
        let tls = match (settings.tls, &settings.verification) {
            (TlsPolicy::Disabled, _) => None,
            (_, Verification::Authority(path)) => Some(client::authority(path)?),
            (_, Verification::Fingerprint(sha256)) => Some(client::fingerprint(*sha256)?),
            (_, Verification::Off) => Some(client::unverified()?),
            (TlsPolicy::Opportunistic, Verification::SystemRoots)
                if may_login_in_plain_text(&settings) =>
            {
                Some(client::unverified()?)
            }
            (_, Verification::SystemRoots) => Some(client::system_roots()?),
        };
        let longest_pause = settings.timeouts.longest_pause();
        let pacing = settings
            .bandwidth
            .map(|bandwidth| Arc::new(Pacing::new(bandwidth, longest_pause, Arc::clone(&clock))));
        Ok(Self {
            tls: tls.map(TlsConnector::from),
            tokens: token::source(&settings, &resolver, &clock)?,
            settings,
            resolver,
            clock,
            pacing,
            certificate: Mutex::new(None),
        })
    }

    /// Returns the certificate that the upstream has shown last.
    pub(super) fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        let seen = self.certificate.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn shown(&self, chain: Vec<PeerCertificate>) {
        let own = chain.into_iter().next().map(Arc::new);
        let seen = self.certificate.lock();
        *seen.unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// Opens a connection: tries all addresses in order until one greets. A token that was kept and is refused is tried
    /// once more as a new one, over a new connection.
    pub(super) async fn connect(&self, observer: &Observer) -> Result<Connection, Unconnected> {
        let kept = self.kept_token();
        match self.connect_once(observer).await {
            Err(refused) if self.is_token_dropped(kept.as_ref(), &refused.judgement) => {
                observer.note(format_args!("the token was refused; trying with a new one"));
                self.connect_once(observer).await
            }
            tried => tried,
        }
    }

    async fn connect_once(&self, observer: &Observer) -> Result<Connection, Unconnected> {
        let nowhere = |judgement| Unconnected {
            judgement,
            address: None,
        };
        let hosts = self.look_up().await.map_err(nowhere)?;
        observer.passed(|| Passed::Resolved {
            hosts: hosts.clone(),
        });
        let limit = self.settings.timeouts.connect;
        let deadline = self.clock.instant() + limit * CONNECT_ROUNDS;
        let mut problem = None;
        for (host, address) in self.candidates(&hosts) {
            if problem.is_some() && self.clock.instant() >= deadline {
                break;
            }
            let judgement = match self.open(host, address, observer).await {
                Ok(mut connection) => {
                    connection.host = host.name.clone();
                    connection.known = self.settings.known();
                    return Ok(connection);
                }
                Err(judgement) => judgement,
            };
            let is_over = !is_about_the_address(&judgement);
            let unconnected = Unconnected {
                judgement,
                address: Some(address),
            };
            if is_over {
                return Err(unconnected);
            }
            observer.note(format_args!("{address} cannot be used"));
            observer.passed(|| passed_over(address, &unconnected.judgement));
            problem = Some(unconnected);
        }
        Err(problem.unwrap_or_else(|| {
            let text = "no address of the upstream can be reached from the local address";
            let unusable = Unusable::new(Defect::LocalAddress, text);
            nowhere(classify::unusable(Stage::Connect, unusable))
        }))
    }

    async fn look_up(&self) -> Result<Vec<Host>, Judgement> {
        let (resolver, name) = (&*self.resolver, self.settings.host.as_str());
        let looking = async {
            if self.settings.mx {
                dns::exchangers(resolver, name).await
            } else {
                dns::host(resolver, name).await.map(|host| vec![host])
            }
        };
        let limit = self.settings.timeouts.connect;
        let found = timeout(limit, looking)
            .await
            .map_err(|_| classify::broken(Stage::Resolve, Break::Timeout))?;
        found.map_err(|error| {
            let text = error.to_string();
            match error {
                ResolveError::NullMx(_) => {
                    classify::unusable(Stage::Resolve, Unusable::new(Defect::NullMx, text))
                }
                ResolveError::NotFound(_) | ResolveError::Temporary { .. } => {
                    classify::broken(Stage::Resolve, Break::Closed(text.into()))
                }
            }
        })
    }

    fn candidates<'a>(&self, hosts: &'a [Host]) -> impl Iterator<Item = (&'a Host, SocketAddr)> {
        let (port, local) = (self.settings.port, self.settings.local_address);
        let is_usable =
            move |address: &IpAddr| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4());
        hosts
            .iter()
            .flat_map(|host| host.addresses.iter().map(move |&address| (host, address)))
            .filter(move |(_, address)| is_usable(address))
            .map(move |(host, address)| (host, SocketAddr::new(address, port)))
            .take(MAX_ADDRESSES)
    }

    async fn open(
        &self,
        host: &Host,
        address: SocketAddr,
        observer: &Observer,
    ) -> Result<Connection, Judgement> {
        let tcp = self.tcp(address, observer).await?;
        match (self.settings.tls, &self.tls) {
            (TlsPolicy::Disabled, _) | (_, None) => self.plain(tcp, observer).await,
            (TlsPolicy::Implicit, Some(tls)) => {
                let stream = self.handshake(tls, host, tcp.client, observer).await;
                let stream = stream.map_err(TlsProblem::judgement)?;
                let via = secure::encrypted(&stream, address);
                let mut wire = Wire::new(stream, via, observer.clone());
                self.greet(&mut wire).await?;
                self.enter(wire).await
            }
            (TlsPolicy::Opportunistic | TlsPolicy::Required, Some(tls)) => {
                let failure = match self.start_tls(tls, host, tcp, observer).await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => failure,
                };
                let is_agreed = self.settings.tls == TlsPolicy::Opportunistic
                    && may_login_in_plain_text(&self.settings);
                if !failure.is_harmless || !is_agreed {
                    return Err(failure.judgement);
                }
                observer.note(format_args!("TLS failed; going on in plain text"));
                let tcp = self.tcp(address, observer).await?;
                self.plain(tcp, observer).await
            }
        }
    }
}

fn passed_over(address: SocketAddr, judgement: &Judgement) -> Passed {
    let failure = match &judgement.outcome {
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            failure.clone()
        }
        // Not reached: nothing is relayed before there is a connection.
        Outcome::Relayed(..) => Failure::new(Stage::Connect, Cause::Timeout),
    };
    Passed::PassedOver {
        address,
        failure: Box::new(failure),
    }
}

/// Returns whether another address may do better: this one could not be reached or did not greet (RFC 5321 §5.1).
fn is_about_the_address(judgement: &Judgement) -> bool {
    match &judgement.outcome {
        Outcome::Deferred(failure) => matches!(failure.stage, Stage::Connect | Stage::Greeting),
        Outcome::Relayed(..) | Outcome::Rejected(_) | Outcome::Unknown(_) => false,
    }
}

/// Returns whether nothing forbids to go on in plain text: there is no login, or it may go over plain text.
fn may_login_in_plain_text(settings: &Settings) -> bool {
    settings
        .login
        .as_ref()
        .is_none_or(|login| login.over_plain_text == PlainTextLogin::Allowed)
}
