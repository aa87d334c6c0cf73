//! The ports where an authority looks whether a name is ours.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acme::{Answers, Challenge, Settings, serve_tls_alpn};
use crate::port;
use crate::submission::BindError;
use crate::web::server::{self as web, Bound, Method, Request, Response, Site, StatusCode};

use super::error::AppError;

/// How long connections may go on after the server is told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// The ports, bound; nobody serves them yet.
pub(super) enum Doors {
    /// There are none.
    Closed,
    Http(Vec<Bound>),
    TlsAlpn(Vec<StdListener>),
}

/// The ports, being served.
pub(super) struct OpenDoors {
    http: Option<web::Server>,
    tls_alpn: TaskTracker,
    stop: CancellationToken,
}

/// What a start decides: where the ports are, and what is spoken there.
pub(super) fn places(acme: Option<&Settings>) -> (&'static str, &[SocketAddr]) {
    match acme.map(|acme| &acme.challenge) {
        Some(
            challenge @ (Challenge::Http01 { addresses } | Challenge::TlsAlpn01 { addresses }),
        ) => (challenge.as_str(), addresses),
        Some(challenge @ Challenge::Dns01(_)) => (challenge.as_str(), &[]),
        None => ("", &[]),
    }
}

/// Binds the ports of the challenge that is configured.
///
/// # Errors
/// [`AppError::Bind`].
pub(super) fn bind(acme: Option<&Settings>) -> Result<Doors, AppError> {
    match acme.map(|acme| &acme.challenge) {
        Some(Challenge::Http01 { addresses }) => {
            let bound = addresses
                .iter()
                .map(|&address| named(address, Bound::listen(address)));
            Ok(Doors::Http(bound.collect::<Result<_, _>>()?))
        }
        Some(Challenge::TlsAlpn01 { addresses }) => {
            let bound = addresses
                .iter()
                .map(|&address| named(address, port::listen(address)));
            Ok(Doors::TlsAlpn(bound.collect::<Result<_, _>>()?))
        }
        Some(Challenge::Dns01(_)) | None => Ok(Doors::Closed),
    }
}

fn named<T>(address: SocketAddr, bound: std::io::Result<T>) -> Result<T, BindError> {
    bound.map_err(|source| BindError {
        name: "tls.acme".to_owned(),
        address,
        source,
    })
}

impl Doors {
    /// Serves the ports. Must be called on the runtime.
    ///
    /// # Errors
    /// There are too few file descriptors.
    pub(super) fn open(self, answers: Answers) -> std::io::Result<OpenDoors> {
        let mut open = OpenDoors {
            http: None,
            tls_alpn: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        match self {
            Self::Closed => {}
            Self::Http(bound) => {
                let site: Arc<dyn Site> = Arc::new(Pages(answers));
                let settings = web::Settings::default();
                open.http = Some(web::Server::start(bound, None, &site, &settings)?);
            }
            Self::TlsAlpn(bound) => {
                for listener in bound {
                    let listener = TcpListener::from_std(listener)?;
                    let serving = serve_tls_alpn(listener, answers.clone(), open.stop.clone());
                    open.tls_alpn.spawn(async { report(serving.await) });
                }
            }
        }
        Ok(open)
    }
}

fn report(ended: Result<(), rustls::Error>) {
    if let Err(error) = ended {
        tracing::error!(%error, "challenges are not answered by TLS");
    }
}

impl OpenDoors {
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.tls_alpn.close();
        self.tls_alpn.wait().await;
        if let Some(http) = self.http {
            http.stop(GRACE).await;
        }
    }
}

/// The pages of challenges that are open; there is nothing else.
struct Pages(Answers);

#[async_trait]
impl Site for Pages {
    async fn answer(&self, request: Request) -> Response {
        let page = match request.method {
            Method::Get => self.0.page(&request.path),
            Method::Post => None,
        };
        page.map_or_else(Response::not_found, |page| {
            Response::new(StatusCode::OK, "application/octet-stream", page)
        })
    }
}
