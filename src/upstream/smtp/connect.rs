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

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mail_send::SmtpClient;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::Clock;
use crate::dns::{self, Host, ResolveError, Resolver};
use crate::mail::{Channel, Outcome, Stage, Via};
use crate::schedule::Bandwidth;
use crate::smtp::extension::Extensions;
use crate::smtp::reply::ReceivedReply;
use crate::tls::client::{self, ClientTlsError};
use crate::upstream::classify::{self, Break, Judgement};

use super::connection::Connection;
use super::login::{Answer, Exchange, Mechanism, Privacy};
use super::pacing::Pacing;
use super::settings::{Login, PlainTextLogin, Settings, Smtputf8, TlsPolicy, Verification};
use super::tls_problem::{self, TlsProblem};
use super::transcript::Observer;
use super::wire::{Socket, Wire};

/// Opens connections to one upstream.
pub(super) struct Connector {
    pub(super) settings: Settings,
    tls: Option<TlsConnector>,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    /// What all connections share, where the bandwidth is limited.
    pacing: Option<Arc<Pacing>>,
}

/// The most addresses tried for one connection.
const MAX_ADDRESSES: usize = 8;

/// All addresses together may take this many times the limit of one.
const CONNECT_ROUNDS: u32 = 3;

/// Why STARTTLS did not lead to a connection.
struct StartTlsFailure {
    judgement: Judgement,
    /// Whether policy *opportunistic* goes on in plain text after it.
    is_harmless: bool,
}

/// Why there is no connection, and the last address that was tried.
pub(super) struct Unconnected {
    pub(super) judgement: Judgement,
    pub(super) address: Option<SocketAddr>,
}

/// A connection that nothing has been said on yet.
struct Dialed {
    client: SmtpClient<TcpStream>,
    address: SocketAddr,
}

impl From<Judgement> for StartTlsFailure {
    fn from(judgement: Judgement) -> Self {
        Self {
            judgement,
            is_harmless: false,
        }
    }
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
            settings,
            resolver,
            clock,
            pacing,
        })
    }

    /// Opens a connection: tries all addresses in order until one greets.
    pub(super) async fn connect(&self, observer: &Observer) -> Result<Connection, Unconnected> {
        let nowhere = |judgement| Unconnected {
            judgement,
            address: None,
        };
        let hosts = self.look_up().await.map_err(nowhere)?;
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
            problem = Some(unconnected);
        }
        Err(problem.unwrap_or_else(|| {
            let text = "no address of the upstream can be reached from the local address";
            nowhere(classify::unusable(Stage::Connect, text.into()))
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
            let text = error.to_string().into();
            match error {
                ResolveError::NullMx(_) => classify::unusable(Stage::Resolve, text),
                ResolveError::NotFound(_) | ResolveError::Temporary { .. } => {
                    classify::broken(Stage::Resolve, Break::Closed(text))
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
                let via = encrypted(&stream, address);
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

    async fn tcp(&self, address: SocketAddr, observer: &Observer) -> Result<Dialed, Judgement> {
        let limit = self.settings.timeouts.connect;
        let connected = match self.settings.local_address {
            Some(local) => SmtpClient::connect_using(local, address, limit).await,
            None => SmtpClient::connect(address, limit).await,
        };
        let client = connected.map_err(|error| {
            let end = if matches!(error, mail_send::Error::Timeout) {
                Break::Timeout
            } else {
                Break::Closed(tls_problem::words(&error))
            };
            classify::broken(Stage::Connect, end)
        })?;
        // Without it a small write behind another waits for the peer's delayed acknowledgement. Where the system
        // refuses, mail is slower and no less safe.
        let _ = client.stream.set_nodelay(true);
        if let Some(bandwidth) = self.settings.bandwidth {
            keep_little_unsent(&client.stream, bandwidth);
        }
        observer.note(format_args!("connected to {address}"));
        Ok(Dialed { client, address })
    }

    async fn handshake(
        &self,
        tls: &TlsConnector,
        host: &Host,
        client: SmtpClient<TcpStream>,
        observer: &Observer,
    ) -> Result<TlsStream<TcpStream>, TlsProblem> {
        let done = client.into_tls(tls, &host.name).await;
        let client = done.map_err(TlsProblem::from)?;
        observer.note(format_args!(
            "{}",
            tls_problem::facts(client.tls_connection())
        ));
        Ok(client.stream)
    }

    async fn plain(&self, tcp: Dialed, observer: &Observer) -> Result<Connection, Judgement> {
        let via = in_plain_text(tcp.address);
        let mut wire = Wire::new(tcp.client.stream, via, observer.clone());
        self.greet(&mut wire).await?;
        let extensions = self.hello(&mut wire).await?;
        self.log_in(wire, extensions, Privacy::Open).await
    }

    async fn start_tls(
        &self,
        tls: &TlsConnector,
        host: &Host,
        tcp: Dialed,
        observer: &Observer,
    ) -> Result<Connection, StartTlsFailure> {
        let address = tcp.address;
        let via = in_plain_text(address);
        let mut wire = Wire::new(tcp.client.stream, via, observer.clone());
        self.greet(&mut wire).await?;
        let extensions = self.hello(&mut wire).await?;
        if !extensions.starttls {
            if self.settings.tls == TlsPolicy::Required {
                let text = "the upstream does not offer STARTTLS, which is required";
                return Err(classify::unusable(Stage::Tls, text.into()).into());
            }
            return Ok(self.log_in(wire, extensions, Privacy::Open).await?);
        }
        let harmless = |judgement| StartTlsFailure {
            judgement,
            is_harmless: true,
        };
        let limit = self.settings.timeouts.command;
        let reply = wire.command("STARTTLS\r\n", limit).await;
        let reply = reply.map_err(|end| harmless(classify::broken(Stage::Tls, end)))?;
        if reply.response.code != 220 {
            return Err(harmless(classify::reply(Stage::Tls, reply.response)));
        }
        if !wire.is_quiet() {
            let text = "octets were slipped in before the TLS handshake";
            return Err(classify::broken(Stage::Tls, Break::Nonsense(text.into())).into());
        }
        let client = SmtpClient {
            stream: wire.into_stream(),
            timeout: self.settings.timeouts.connect,
        };
        let stream = self.handshake(tls, host, client, observer).await;
        let stream = stream.map_err(|problem| StartTlsFailure {
            is_harmless: !problem.is_about_certificate(),
            judgement: problem.judgement(),
        })?;
        let via = encrypted(&stream, address);
        let wire = Wire::new(stream, via, observer.clone());
        Ok(self.enter(wire).await?)
    }

    /// EHLO and login inside TLS. What was offered before TLS counts no more (RFC 3207 §4.2).
    async fn enter<S: Socket + 'static>(&self, mut wire: Wire<S>) -> Result<Connection, Judgement> {
        let extensions = self.hello(&mut wire).await?;
        self.log_in(wire, extensions, Privacy::Private).await
    }

    async fn greet<S: Socket>(&self, wire: &mut Wire<S>) -> Result<(), Judgement> {
        let greeting = wire.reply(self.settings.timeouts.command).await;
        let greeting = greeting.map_err(|end| classify::broken(Stage::Greeting, end))?;
        expect(Stage::Greeting, 220, greeting).map(drop)
    }

    /// Says EHLO, or HELO to servers that do not know it (RFC 5321 §3.2).
    async fn hello<S: Socket>(&self, wire: &mut Wire<S>) -> Result<Extensions, Judgement> {
        let (limit, name) = (
            self.settings.timeouts.command,
            self.settings.helo.as_ascii(),
        );
        let broken = |end| classify::broken(Stage::Greeting, end);
        let reply = wire.command(&format!("EHLO {name}\r\n"), limit).await;
        let reply = reply.map_err(broken)?;
        let mut extensions = if reply.response.code >= 500 {
            let reply = wire.command(&format!("HELO {name}\r\n"), limit).await;
            expect(Stage::Greeting, 250, reply.map_err(broken)?)?;
            Extensions::default()
        } else {
            Extensions::parse(&expect(Stage::Greeting, 250, reply)?.lines)
        };
        match self.settings.smtputf8 {
            Smtputf8::Auto => {}
            Smtputf8::Off => extensions.smtputf8 = false,
            Smtputf8::On => extensions.smtputf8 = true,
        }
        Ok(extensions)
    }

    async fn log_in<S: Socket + 'static>(
        &self,
        mut wire: Wire<S>,
        extensions: Extensions,
        privacy: Privacy,
    ) -> Result<Connection, Judgement> {
        if let Some(login) = &self.settings.login {
            self.authenticate(&mut wire, &extensions, privacy, login)
                .await?;
        }
        let (timeouts, now) = (self.settings.timeouts.clone(), self.clock.instant());
        let pacing = self.pacing.clone();
        Ok(Connection::new(
            wire.into_any(),
            extensions,
            timeouts,
            pacing,
            now,
        ))
    }

    async fn authenticate<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        extensions: &Extensions,
        privacy: Privacy,
        login: &Login,
    ) -> Result<(), Judgement> {
        let unusable = |text: &str| Err(classify::unusable(Stage::Authenticate, text.into()));
        if privacy == Privacy::Open && login.over_plain_text == PlainTextLogin::Forbidden {
            return unusable("the connection is not encrypted, and the login may not go over it");
        }
        let mut refusal = None;
        for mechanism in Mechanism::in_order(extensions.auth, privacy) {
            match self.try_mechanism(wire, login, mechanism).await? {
                Answer::Done => return Ok(()),
                Answer::Unknown(reply) => refusal = Some(reply),
                Answer::Refused(reply) => {
                    return Err(classify::reply(Stage::Authenticate, reply));
                }
                Answer::Send(_) => return unusable("the login did not end"),
            }
        }
        match refusal {
            Some(reply) => Err(classify::reply(Stage::Authenticate, reply)),
            None => unusable("the upstream offers none of the logins PLAIN, LOGIN and CRAM-MD5"),
        }
    }

    /// Runs one mechanism to its end; never returns [`Answer::Send`].
    async fn try_mechanism<S: Socket>(
        &self,
        wire: &mut Wire<S>,
        login: &Login,
        mechanism: Mechanism,
    ) -> Result<Answer, Judgement> {
        let limit = self.settings.timeouts.command;
        let (mut exchange, mut line) = Exchange::begin(login, mechanism);
        let mut shown = match mechanism {
            Mechanism::CramMd5 | Mechanism::Login => format!("AUTH {}", mechanism.name()),
            Mechanism::Plain => "AUTH PLAIN ***".to_owned(),
        };
        loop {
            let reply = wire.secret(line, &shown, limit).await;
            let reply = reply.map_err(|end| classify::broken(Stage::Authenticate, end))?;
            wire.observer.received(&exchange.shown(&reply));
            match exchange.receive(reply.response) {
                Answer::Send(next) => line = next,
                answer @ (Answer::Done | Answer::Refused(_) | Answer::Unknown(_)) => {
                    return Ok(answer);
                }
            }
            "***".clone_into(&mut shown);
        }
    }
}

/// Makes the system take no more than a piece that it cannot send yet.
///
/// Otherwise a transfer that pauses would go on for as long as its send buffer lasts, which is megabytes where the way to
/// the upstream is slower than `bandwidth`. What is in flight is not bounded by this, as it would be by a small send
/// buffer, so that a long way costs no speed. Where the system refuses, pauses begin later.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn keep_little_unsent(stream: &TcpStream, bandwidth: Bandwidth) {
    let piece = u32::try_from(bandwidth.piece()).unwrap_or(u32::MAX);
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(piece);
}

/// No such option is known to be there.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn keep_little_unsent(_: &TcpStream, _: Bandwidth) {}

fn in_plain_text(address: SocketAddr) -> Via {
    Via {
        address,
        channel: Channel::Plain,
    }
}

fn encrypted(stream: &TlsStream<TcpStream>, address: SocketAddr) -> Via {
    let channel = Channel::Tls(tls_problem::agreed(stream.get_ref().1));
    Via { address, channel }
}

fn expect(stage: Stage, code: u16, reply: ReceivedReply) -> Result<ReceivedReply, Judgement> {
    if reply.response.code == code {
        Ok(reply)
    } else {
        Err(classify::reply(stage, reply.response))
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
