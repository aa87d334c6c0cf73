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
mod security;
mod target;
mod token;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::dns::{Host, Resolver};
use crate::mail::{Cause, Defect, Failure, Outcome, Stage, Unusable};
use crate::mta_sts::Policies;
use crate::oauth::TokenSource;
use crate::tls::client::{self, ClientTlsError, PeerCertificate};
use crate::upstream::classify::{self, Judgement};
use crate::upstream::probe::Passed;

use security::{By, Security};
use target::{Rules, Target};

use super::assurance::Need;
use super::connection::Connection;
use super::pacing::Pacing;
use super::settings::{PlainTextLogin, Settings, TlsPolicy, Verification};
use super::tls_problem::TlsProblem;
use super::transcript::Observer;
use super::wire::{ReplyWanted, Wire};

/// Opens connections to one upstream.
pub(super) struct Connector {
    pub(super) settings: Settings,
    tls: Option<TlsConnector>,
    /// Judges certificates where `tls` does not; made when a message or a domain asks for it.
    strict: OnceLock<TlsConnector>,
    pub(super) resolver: Arc<dyn Resolver>,
    /// The policies of domains, where they are asked for.
    policies: Option<Arc<Policies>>,
    /// Whether it has been told that nothing can be proved here.
    has_told: AtomicBool,
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
    cause: By,
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
            strict: OnceLock::new(),
            resolver,
            policies: None,
            has_told: AtomicBool::new(false),
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

    /// Asks domains for their policies too (RFC 8461).
    pub(super) fn with_policies(mut self, policies: Arc<Policies>) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Opens a connection that does for a message. A token that was kept and is refused is tried once more as a new one,
    /// over a new connection.
    pub(super) async fn connect(
        &self,
        need: Need,
        observer: &Observer,
    ) -> Result<Connection, Unconnected> {
        let kept = self.kept_token();
        match self.connect_once(need, observer).await {
            Err(refused) if self.is_token_dropped(kept.as_ref(), &refused.judgement) => {
                observer.note(format_args!("the token was refused; trying with a new one"));
                self.connect_once(need, observer).await
            }
            tried => tried,
        }
    }

    /// A message that waives what domains ask for gets it all the same where that works.
    async fn connect_once(
        &self,
        need: Need,
        observer: &Observer,
    ) -> Result<Connection, Unconnected> {
        let connected = self.connect_by(Rules::Applied, need, observer).await;
        match connected {
            Err(Unconnected {
                cause: By::Domain(_),
                ..
            }) if need == Need::Lenient => {
                observer.note(format_args!("going on without what the domain asks for"));
                let connected = self.connect_by(Rules::Waived, need, observer).await;
                connected.map(Connection::for_one_message)
            }
            connected => connected,
        }
    }

    /// Tries all addresses in order until one greets.
    async fn connect_by(
        &self,
        rules: Rules,
        need: Need,
        observer: &Observer,
    ) -> Result<Connection, Unconnected> {
        let mut search = Search::new(self);
        let found = match self.find(rules).await {
            Ok(found) => found,
            // Perhaps it is found without what the domain asks for.
            Err(unfound) => return Err(Unconnected::refused(unfound)),
        };
        observer.passed(|| Passed::Resolved {
            hosts: found.hosts.clone(),
        });
        for host in &found.hosts {
            let target = match self.target(&found, host).await {
                Ok(target) => target,
                Err(judgement) => {
                    search.failed(Unconnected::refused(judgement), observer);
                    continue;
                }
            };
            if let Some(connection) = self
                .try_target(&target, need, &mut search, observer)
                .await?
            {
                return Ok(connection);
            }
        }
        Err(search.problem.unwrap_or_else(|| {
            let text = "no address of the upstream can be reached from the local address";
            let unusable = Unusable::new(Defect::LocalAddress, text);
            Unconnected::nowhere(classify::unusable(Stage::Connect, unusable))
        }))
    }

    /// Tries the addresses of one server. `None` where others may do better; an error where not.
    async fn try_target(
        &self,
        target: &Target<'_>,
        need: Need,
        search: &mut Search,
        observer: &Observer,
    ) -> Result<Option<Connection>, Unconnected> {
        let security = match self.security(target, need) {
            Ok(security) => security,
            Err(judgement) => {
                search.failed(Unconnected::nowhere(judgement), observer);
                return Ok(None);
            }
        };
        for address in self.addresses(target.host) {
            if search.is_over(self.clock.instant()) {
                break;
            }
            let judgement = match self.open(&security, address, observer).await {
                Ok(connection) => {
                    let mut connection = connection.with(&target.host.name, security.assurance);
                    connection.known = self.settings.known();
                    match connection.lack().filter(|_| need == Need::Verified) {
                        None => return Ok(Some(connection)),
                        Some(lack) => {
                            connection.quit(ReplyWanted::No).await;
                            lack.judgement()
                        }
                    }
                }
                Err(judgement) => security.judge(judgement),
            };
            let may_go_on = is_about_the_address(&judgement) || security.must_encrypt();
            let is_refused = matches!(judgement.outcome, Outcome::Rejected(_));
            let unconnected = Unconnected {
                judgement,
                address: Some(address),
                cause: security.by,
            };
            if !may_go_on && !is_refused {
                return Err(unconnected);
            }
            search.failed(unconnected, observer);
        }
        Ok(None)
    }

    fn addresses<'a>(&self, host: &'a Host) -> impl Iterator<Item = SocketAddr> + use<'a> {
        let (port, local) = (self.settings.port, self.settings.local_address);
        let is_usable =
            move |address: &&IpAddr| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4());
        let addresses = host.addresses.iter().filter(is_usable);
        addresses.map(move |&address| SocketAddr::new(address, port))
    }

    async fn open(
        &self,
        security: &Security<'_>,
        address: SocketAddr,
        observer: &Observer,
    ) -> Result<Connection, Judgement> {
        let tcp = self.tcp(address, observer).await?;
        match (self.settings.tls, security.tls) {
            (TlsPolicy::Disabled, _) | (_, None) => self.plain(tcp, observer).await,
            (TlsPolicy::Implicit, Some(tls)) => {
                let stream = self.handshake(tls, security.name, tcp.client, observer);
                let stream = stream.await.map_err(TlsProblem::judgement)?;
                let via = secure::encrypted(&stream, address);
                let mut wire = Wire::new(stream, via, observer.clone());
                self.greet(&mut wire).await?;
                self.enter(wire).await
            }
            (TlsPolicy::Opportunistic | TlsPolicy::Required, Some(tls)) => {
                let failure = match self.start_tls(tls, security, tcp, observer).await {
                    Ok(connection) => return Ok(connection),
                    Err(failure) => failure,
                };
                let is_agreed = self.settings.tls == TlsPolicy::Opportunistic
                    && may_login_in_plain_text(&self.settings)
                    && !security.must_encrypt();
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

/// What came of the addresses tried so far.
struct Search {
    deadline: Instant,
    tried: usize,
    problem: Option<Unconnected>,
}

impl Search {
    fn new(connector: &Connector) -> Self {
        let limit = connector.settings.timeouts.connect;
        Self {
            deadline: connector.clock.instant() + limit * CONNECT_ROUNDS,
            tried: 0,
            problem: None,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.tried >= MAX_ADDRESSES || (self.tried > 0 && now >= self.deadline)
    }

    /// Keeps the last problem; but what makes mail wait counts more than what refuses it, since the one server that would
    /// have taken it may be the one that could not be reached.
    fn failed(&mut self, unconnected: Unconnected, observer: &Observer) {
        if let Some(address) = unconnected.address {
            self.tried += 1;
            observer.note(format_args!("{address} cannot be used"));
            observer.passed(|| passed_over(address, &unconnected.judgement));
        }
        let is_refused = matches!(unconnected.judgement.outcome, Outcome::Rejected(_));
        let waits = |known: &Unconnected| matches!(known.judgement.outcome, Outcome::Deferred(_));
        if !is_refused || !self.problem.as_ref().is_some_and(waits) {
            self.problem = Some(unconnected);
        }
    }
}

impl Unconnected {
    const fn nowhere(judgement: Judgement) -> Self {
        Self {
            judgement,
            address: None,
            cause: By::Settings,
        }
    }

    /// What the server's domain says, or cannot be asked for, forbids to connect.
    const fn refused(judgement: Judgement) -> Self {
        Self {
            judgement,
            address: None,
            cause: By::Domain("DANE or MTA-STS"),
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
