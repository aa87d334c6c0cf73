//! The client.

use std::error::Error as _;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::rt::Executor;
use hyper_util::client::legacy;
use hyper_util::rt::TokioTimer;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::telemetry::{chain, printable};
use crate::tls::client::{self, ClientTlsError};

use super::answer::Answer;
use super::connector::Connector;
use super::dial::Dial;
use super::error::HttpError;
use super::request::Request;

/// What a client is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How certificates are judged.
    pub trust: Trust,
    /// Where requests may go without TLS.
    pub plain_http: PlainHttp,
    /// For a connection, and as long again for the TLS handshake.
    pub connect: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Unused connections kept for each host.
    pub idle_connections: usize,
    /// The largest content of an answer, in octets.
    pub largest_answer: usize,
}

/// How the certificates of servers are judged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Trust {
    /// They must be issued by an authority of this PEM file.
    Authority(PathBuf),
    /// The SHA-256 must be this; nothing else counts.
    Fingerprint([u8; 32]),
    /// They must be issued by an authority that the operating system trusts.
    #[default]
    SystemRoots,
}

/// Where requests may go without TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PlainHttp {
    /// Everywhere. Dangerous: everybody on the way reads along.
    Anywhere,
    /// To this machine.
    #[default]
    ThisMachine,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trust: Trust::default(),
            plain_http: PlainHttp::default(),
            connect: Duration::from_secs(15),
            // Servers close after a minute and more; who asks just then gets no answer.
            idle: Duration::from_secs(30),
            idle_connections: 16,
            largest_answer: 1 << 20,
        }
    }
}

/// Sends requests. Cheap to clone; clones share their connections, which end with the last of them.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    plain_http: PlainHttp,
    largest_answer: usize,
}

impl Client {
    /// Makes a client. Reads certificate authorities, connects to nothing.
    ///
    /// # Errors
    /// [`ClientTlsError`] where the authorities cannot be read.
    pub fn new(settings: &Settings, dialer: Arc<dyn Dial>) -> Result<Self, ClientTlsError> {
        let tls = match &settings.trust {
            Trust::Authority(path) => client::authority(path)?,
            Trust::Fingerprint(sha256) => client::fingerprint(*sha256)?,
            Trust::SystemRoots => client::system_roots()?,
        };
        let connector = Connector {
            dialer,
            tls: TlsConnector::from(tls),
            limit: settings.connect,
        };
        let inner = legacy::Client::builder(Tasks(TaskTracker::new()))
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle)
            .pool_max_idle_per_host(settings.idle_connections)
            .http1_max_buf_size(MAX_BUFFER)
            .build(connector);
        Ok(Self {
            inner,
            plain_http: settings.plain_http,
            largest_answer: settings.largest_answer,
        })
    }

    /// Sends a request and receives the whole answer, whatever its status. `limit` is for everything: connection,
    /// request and answer.
    ///
    /// Cancelling it closes the connection; the server may then have the request or not.
    ///
    /// # Errors
    /// [`HttpError`]; [`HttpError::may_have_arrived`] says whether the server may have the request.
    pub async fn send(&self, request: Request, limit: Duration) -> Result<Answer, HttpError> {
        let host = request.host();
        let answer = timeout(limit, self.exchange(request, &host)).await;
        answer.unwrap_or(Err(HttpError::Timeout { host, limit }))
    }

    async fn exchange(&self, request: Request, host: &str) -> Result<Answer, HttpError> {
        let is_allowed = match request.url.scheme() {
            "https" => true,
            "http" => self.plain_http == PlainHttp::Anywhere || request.is_to_this_machine(),
            _ => false,
        };
        if !is_allowed {
            return Err(HttpError::Address {
                host: host.into(),
                reason: "it must begin with https:",
            });
        }
        let mut outgoing = hyper::Request::new(Full::new(request.body.clone()));
        *outgoing.uri_mut() = request.uri()?;
        *outgoing.method_mut() = request.method;
        *outgoing.headers_mut() = request.headers;
        let agent = HeaderValue::from_static(AGENT);
        outgoing.headers_mut().entry(USER_AGENT).or_insert(agent);
        let answer = self.inner.request(outgoing).await;
        let answer = answer.map_err(|error| failed(host, &error))?;
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: self.read(body, host).await?,
        })
    }

    /// Reads an answer's content, as far as it is allowed to go.
    async fn read(&self, mut body: Incoming, host: &str) -> Result<Bytes, HttpError> {
        let limit = self.largest_answer;
        let too_large = || HttpError::TooLarge {
            host: host.into(),
            limit,
        };
        let announced = body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |size| size > limit) {
            return Err(too_large());
        }
        let mut octets = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| HttpError::Broken {
                host: host.into(),
                reason: printable(&chain(&error)),
            })?;
            if let Some(data) = frame.data_ref() {
                if octets.len() + data.len() > limit {
                    return Err(too_large());
                }
                octets.extend_from_slice(data);
            }
        }
        Ok(Bytes::from_owner(octets))
    }
}

/// The header of an answer may have so many octets.
const MAX_BUFFER: usize = 64 << 10;

/// Names this program.
const AGENT: &str = concat!("posthouse/", env!("CARGO_PKG_VERSION"));

fn failed(host: &str, error: &legacy::Error) -> HttpError {
    let ours = error.source().and_then(|cause| cause.downcast_ref());
    match ours {
        Some(error) => HttpError::clone(error),
        None => HttpError::Broken {
            host: host.into(),
            reason: error.source().map_or_else(
                || printable(&error.to_string()),
                |cause| printable(&chain(cause)),
            ),
        },
    }
}

/// Runs the connections of one client, which end when it is dropped.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Tasks {
    fn execute(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task);
    }
}
