//! Ports: bound together at the start, then served, each by a task of its own.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::quota::{Quotas, Table};
use crate::smtp::replies;
use crate::smtp::server::Settings;
use crate::spool::Spool;
use crate::tls::server::Reloadable;

use super::connection::{self, Accepted};
use super::counts::Counts;
use super::directory::Directory;
use super::limits::Gate;
use super::settings::{ListenerSettings, OnPortInUse};

/// Connections that the kernel keeps for a port until they are accepted.
const BACKLOG: i32 = 1024;

/// How long a port pauses when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound port that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    listener: StdListener,
    name: String,
    address: SocketAddr,
    session: Arc<Settings>,
}

impl Bound {
    /// Returns the name of its listener in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address and the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// All bound ports, and what was left out.
#[derive(Debug)]
pub struct Binding {
    /// The bound ports.
    pub bound: Vec<Bound>,
    /// The ports that were taken by other programs.
    pub skipped: Vec<Skipped>,
}

/// Ports of one listener and address that were taken by other programs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Skipped {
    /// The listener's name.
    pub listener: String,
    /// The address.
    pub address: IpAddr,
    /// The ports; never empty.
    pub ports: Vec<u16>,
}

/// Why a port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for listener `{name}`")]
pub struct BindError {
    /// The listener's name.
    pub name: String,
    /// The address and the port.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Binds all ports of all listeners. A taken port of a range is skipped.
///
/// # Errors
/// [`BindError`] for the first port that must be bound and cannot be.
pub fn bind(listeners: &[ListenerSettings]) -> Result<Binding, BindError> {
    let mut binding = Binding {
        bound: Vec::new(),
        skipped: Vec::new(),
    };
    for settings in listeners {
        let session = Arc::new(settings.session.clone());
        for &address in &settings.addresses {
            binding.add(settings, address, &session)?;
        }
    }
    Ok(binding)
}

impl Binding {
    fn add(
        &mut self,
        settings: &ListenerSettings,
        address: IpAddr,
        session: &Arc<Settings>,
    ) -> Result<(), BindError> {
        let mut skipped = Vec::new();
        for (port, is_of_range) in settings.ports.iter() {
            let address = SocketAddr::new(address, port);
            let may_skip = match settings.on_port_in_use {
                None => is_of_range,
                Some(OnPortInUse::Fail) => false,
                Some(OnPortInUse::Skip) => true,
            };
            match listen(address) {
                Ok(listener) => self.bound.push(Bound {
                    address: listener.local_addr().unwrap_or(address),
                    listener,
                    name: settings.name.clone(),
                    session: Arc::clone(session),
                }),
                Err(error) if may_skip && error.kind() == io::ErrorKind::AddrInUse => {
                    skipped.push(port);
                }
                Err(source) => {
                    return Err(BindError {
                        name: settings.name.clone(),
                        address,
                        source,
                    });
                }
            }
        }
        if !skipped.is_empty() {
            self.skipped.push(Skipped {
                listener: settings.name.clone(),
                address,
                ports: skipped,
            });
        }
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `::` takes IPv4 too; any other IPv6 address never does.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What all connections share.
pub struct ServerParts {
    /// Who checks passwords.
    pub authenticator: Arc<Authenticator>,
    /// Where messages go.
    pub spool: Arc<dyn Spool>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The certificate; `None` where no listener needs one.
    pub tls: Option<Arc<Reloadable>>,
    /// What accounts and tenants may send, and have sent.
    pub quotas: Arc<Quotas>,
    /// How often things have happened.
    pub counts: Arc<Counts>,
    /// Who is told what happened to messages.
    pub journal: Arc<Journal>,
    pub(super) directory: RwLock<Arc<Directory>>,
    pub(super) gate: Arc<Gate>,
}

impl ServerParts {
    /// Puts the parts together.
    pub fn new(
        authenticator: Arc<Authenticator>,
        spool: Arc<dyn Spool>,
        clock: Arc<dyn Clock>,
        tls: Option<Arc<Reloadable>>,
        directory: Directory,
    ) -> Self {
        Self {
            quotas: Quotas::new(Arc::clone(&clock), Table::default()),
            authenticator,
            spool,
            journal: Arc::new(Journal::off(Arc::clone(&clock))),
            clock,
            tls,
            counts: Arc::default(),
            directory: RwLock::new(Arc::new(directory)),
            gate: Gate::new(super::limits::ConnectionLimits::default()),
        }
    }

    /// Sets what accounts and tenants may send. Without it there is no limit.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Arc<Quotas>) -> Self {
        self.quotas = quotas;
        self
    }

    /// Sets how many connections there may be. For connections that come later.
    #[must_use]
    pub fn with_limits(mut self, limits: super::limits::ConnectionLimits) -> Self {
        self.gate = Gate::new(limits);
        self
    }

    /// Sets who is told what happened to messages; nobody is by default.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Puts another directory in place; messages begun before end with the old one.
    pub fn replace_directory(&self, directory: Directory) {
        *self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// Returns the directory as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(
            &self
                .directory
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Returns how many connections there are.
    pub fn connections(&self) -> usize {
        self.gate.open()
    }
}

/// The ports being served.
#[derive(Debug)]
pub struct Server {
    tasks: TaskTracker,
    stop: CancellationToken,
    break_off: CancellationToken,
}

impl Server {
    /// Serves the ports.
    ///
    /// # Errors
    /// A port cannot be registered with the runtime: there are too few file descriptors.
    pub fn start(bound: Vec<Bound>, parts: &Arc<ServerParts>) -> io::Result<Self> {
        let server = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            break_off: CancellationToken::new(),
        };
        let sessions = Arc::new(AtomicU64::new(0));
        let is_short = Arc::new(AtomicBool::new(false));
        for port in bound {
            let port = Port {
                listener: TcpListener::from_std(port.listener)?,
                number: port.address.port(),
                settings: port.session,
                parts: Arc::clone(parts),
                tasks: server.tasks.clone(),
                stop: server.stop.clone(),
                break_off: server.break_off.clone(),
                sessions: Arc::clone(&sessions),
                is_short: Arc::clone(&is_short),
            };
            server.tasks.spawn(port.accept());
        }
        Ok(server)
    }

    /// Takes no more connections, lets messages in progress end within `grace`, then closes what is left.
    pub async fn stop(self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                sessions = self.tasks.len(),
                "sessions broken off at shutdown"
            );
            self.break_off.cancel();
            self.tasks.wait().await;
        }
    }
}

struct Port {
    listener: TcpListener,
    number: u16,
    settings: Arc<Settings>,
    parts: Arc<ServerParts>,
    tasks: TaskTracker,
    stop: CancellationToken,
    break_off: CancellationToken,
    sessions: Arc<AtomicU64>,
    /// Whether connections could not be accepted lately, on any port.
    is_short: Arc<AtomicBool>,
}

impl Port {
    async fn accept(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.is_short.store(false, Ordering::Relaxed);
                    self.begin(stream, peer);
                }
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Thousands of ports may say so at once; one of them is heard.
                    if !self.is_short.swap(true, Ordering::Relaxed) {
                        tracing::error!(error = %error, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr) {
        let _unset = stream.set_nodelay(true);
        let Some(pass) = self.parts.gate.admit(peer.ip()) else {
            if let Some(refused) = self.parts.gate.refused(self.parts.clock.instant()) {
                let peer = peer.ip().to_canonical();
                tracing::warn!(%peer, local_port = self.number, refused, "too many connections");
            }
            // The reply fits into an empty socket buffer; a client that cannot take it learns from the close.
            let _untold = stream.try_write(&replies::TOO_MANY_CONNECTIONS.line());
            return;
        };
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let address = peer.ip().to_canonical();
        let span =
            tracing::info_span!("session", session, peer = %address, local_port = self.number);
        let settings = Arc::clone(&self.settings);
        let client = Accepted {
            stream,
            address,
            session,
        };
        let serve = connection::serve(client, settings, Arc::clone(&self.parts), self.stop.clone());
        let break_off = self.break_off.clone();
        self.tasks.spawn(
            async move {
                let _broken_off = break_off.run_until_cancelled(serve).await;
                drop(pass);
            }
            .instrument(span),
        );
    }
}

/// Errors of one connection that failed while it waited; the port is well.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}
