//! From an address to a stream the client library can use: dial, then TLS.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::telemetry::printable;
use crate::tls::fault;

use super::dial::Dial;
use super::error::HttpError;

/// Opens the connections of a client.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) tls: TlsConnector,
    /// For TCP, and as long again for the handshake.
    pub(super) limit: Duration,
}

/// An open connection.
pub(super) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, HttpError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open(&address).await })
    }
}

impl Connector {
    async fn open(&self, address: &Uri) -> Result<Stream, HttpError> {
        let host = address.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_plain = address.scheme_str() == Some("http");
        let port = address
            .port_u16()
            .unwrap_or(if is_plain { 80 } else { 443 });
        let tcp = self.dialer.dial(host, port, self.limit).await;
        let tcp = tcp.map_err(|error| HttpError::Connect {
            host: host.into(),
            reason: printable(&error.to_string()),
        })?;
        if is_plain {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| HttpError::Certificate {
            host: host.into(),
            reason: "a certificate cannot carry this name".into(),
        })?;
        let done = timeout(self.limit, self.tls.connect(name, tcp)).await;
        let done = done.map_err(|_| HttpError::Tls {
            host: host.into(),
            reason: "no answer in time".into(),
        })?;
        let stream = done.map_err(|error| refused(host, &error))?;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream))))
    }
}

/// Says why the handshake failed.
fn refused(host: &str, error: &io::Error) -> HttpError {
    let host = host.into();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(error)) => HttpError::Certificate {
            host,
            reason: printable(&fault(error)),
        },
        Some(rustls::Error::InvalidMessage(_)) => HttpError::Tls {
            host,
            reason: "it does not speak TLS there".into(),
        },
        Some(other) => HttpError::Tls {
            host,
            reason: printable(&other.to_string()),
        },
        None => HttpError::Tls {
            host,
            reason: printable(&error.to_string()),
        },
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
