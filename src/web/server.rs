//! A small HTTP/1.1 server: one request on a connection, everything bounded, nothing said about ourselves.
//!
//! It knows no page and keeps no state: a [`Site`] answers. What every answer must say for a browser's sake is added here,
//! so that no site can forget it.

mod admission;
mod connection;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::panics::contain;
use crate::port;
use crate::tls::server::Reloadable;

pub use hyper::StatusCode;

use admission::Admission;

/// How long a port pauses when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who answers requests.
#[async_trait]
pub trait Site: Send + Sync + 'static {
    /// Answers one request. Is dropped at any await when the client's time is over.
    async fn answer(&self, request: Request) -> Response;
}

/// What a client may do to a page; the server itself refuses every other method. HEAD is a [`Method::Get`] whose
/// answer is sent without its content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Show; must change nothing.
    Get,
    /// Do.
    Post,
}

/// One request, read to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is wanted.
    pub method: Method,
    /// The path as sent, not decoded; begins with `/`.
    pub path: String,
    /// What stands behind the `?`, not decoded; empty where there is none.
    pub query: String,
    /// The `Host:` as sent.
    pub host: Option<String>,
    /// The content, at most [`Settings::largest_content`] octets.
    pub content: Bytes,
    /// Who asks: the other end of the connection.
    pub peer: IpAddr,
}

/// One answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The `Content-Type:`.
    pub content_type: &'static str,
    /// The content.
    pub content: Bytes,
    /// For how long the client shall wait before it asks again (RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
}

impl Response {
    /// Makes an answer.
    pub fn new(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            content: content.into(),
            retry_after: None,
        }
    }

    /// Makes an answer of plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// The answer where there is nothing.
    pub fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "not found\n")
    }
}

/// Bounds of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Connections at the same time; more are closed at once.
    pub connections: usize,
    /// Of which from one IPv4 address or one IPv6 /64.
    pub connections_per_address: usize,
    /// How long the header of a request may take.
    pub header: Duration,
    /// How long a connection may take from its beginning to its end.
    pub connection: Duration,
    /// The largest content of a request, in octets.
    pub largest_content: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_address: 32,
            header: Duration::from_secs(10),
            connection: Duration::from_secs(30),
            largest_content: 16 << 10,
        }
    }
}

/// A bound port that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    listener: StdListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds a port.
    ///
    /// # Errors
    /// The port is taken, or may not be bound.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = port::listen(address)?;
        Ok(Self {
            address: listener.local_addr().unwrap_or(address),
            listener,
        })
    }

    /// Returns the address and the port, the true one where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
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
    /// Serves the ports; by TLS where there is a certificate. Must be called on the runtime.
    ///
    /// # Errors
    /// A port cannot be registered with the runtime: there are too few file descriptors.
    pub fn start(
        ports: Vec<Bound>,
        tls: Option<&Arc<Reloadable>>,
        site: &Arc<dyn Site>,
        settings: &Settings,
    ) -> io::Result<Self> {
        let server = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            break_off: CancellationToken::new(),
        };
        let admission = Arc::new(Admission::new(settings));
        let settings = Arc::new(settings.clone());
        for bound in ports {
            let port = Port {
                listener: TcpListener::from_std(bound.listener)?,
                tls: tls.map(Arc::clone),
                site: Arc::clone(site),
                settings: Arc::clone(&settings),
                admission: Arc::clone(&admission),
                tasks: server.tasks.clone(),
                stop: server.stop.clone(),
                break_off: server.break_off.clone(),
            };
            server.tasks.spawn(port.accept());
        }
        Ok(server)
    }

    /// Takes no more connections, lets those there are end within `grace`, then closes what is left.
    pub async fn stop(self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            self.break_off.cancel();
            self.tasks.wait().await;
        }
    }
}

struct Port {
    listener: TcpListener,
    tls: Option<Arc<Reloadable>>,
    site: Arc<dyn Site>,
    settings: Arc<Settings>,
    admission: Arc<Admission>,
    tasks: TaskTracker,
    stop: CancellationToken,
    break_off: CancellationToken,
}

impl Port {
    async fn accept(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let Ok((stream, peer)) = accepted else {
                // The connection went away, or there are no file descriptors; the SMTP ports say so in the log.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // A port that a panic ended would be deaf for ever. The hook has told of it.
            let _begun = contain(|| self.begin(stream, peer.ip().to_canonical()));
        }
    }

    fn begin(&self, stream: TcpStream, peer: IpAddr) {
        let Some(pass) = self.admission.admit(peer) else {
            return tracing::debug!(%peer, "too many web connections");
        };
        let _unset = stream.set_nodelay(true);
        let serve = connection::serve(
            stream,
            peer,
            self.tls.as_ref().map(|tls| tls.current()),
            Arc::clone(&self.site),
            Arc::clone(&self.settings),
        );
        let break_off = self.break_off.clone();
        self.tasks.spawn(async move {
            let _broken_off = break_off.run_until_cancelled(serve).await;
            drop(pass);
        });
    }
}

#[cfg(test)]
mod tests;
