//! A client's connection, plain or inside TLS.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroize as _;

use crate::smtp::sasl::Mechanism;
use crate::smtp::sasl::scram::Key;
use crate::smtp::server::{Session, ShownCertificate, TlsFacts};

use super::places::Handshakes;
use super::standing::Standing;

/// How much is read at once. The space is on the stack while a read is polled, so a waiting connection holds none.
const READ: usize = 16 << 10;

/// The label of channel bindings (RFC 9266 §2).
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";
/// How much of a connection's beginning is looked at.
const OPENING: usize = 32;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Reads once into the session; returns how many octets came, 0 at the end.
    pub(super) async fn read_into(&mut self, session: &mut Session) -> io::Result<usize> {
        poll_fn(|context| {
            let mut space = [MaybeUninit::uninit(); READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            let polled = match self {
                Self::Plain(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                Self::Tls(stream) => Pin::new(stream).poll_read(context, &mut buffer),
            };
            polled.map_ok(|()| {
                session.receive(buffer.filled());
                let read = buffer.filled().len();
                // Passwords come in commands, never in messages.
                if !session.is_receiving() {
                    buffer.filled_mut().zeroize();
                }
                read
            })
        })
        .await
    }

    /// Waits until something has come, and returns how it begins without taking it; nothing at the end, and inside TLS.
    pub(super) async fn opening(&self) -> io::Result<Vec<u8>> {
        let Self::Plain(stream) = self else {
            return Ok(Vec::new());
        };
        let mut space = [0; OPENING];
        let count = stream.peek(&mut space).await?;
        Ok(space.get(..count).unwrap_or_default().to_vec())
    }

    /// Throws away what has come, so that closing does not reset the connection and take the last reply with it.
    pub(super) fn drain(&self) {
        if let Self::Plain(stream) = self {
            let mut space = [0; READ];
            let _gone = stream.try_read(&mut space);
        }
    }

    /// Writes all of it.
    pub(super) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    /// Does the TLS handshake as the server. It takes its turn when the client's first message has come, so whoever sends none
    /// waits alone.
    pub(super) async fn start_tls(
        self,
        config: Arc<ServerConfig>,
        (handshakes, standing): (&Handshakes, Standing),
    ) -> io::Result<Self> {
        match self {
            Self::Plain(stream) => {
                let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
                let place = handshakes.place(standing).await.map_err(io::Error::other)?;
                let mut accept = hello.into_stream(config);
                // Keys and signature are computed by the first poll; the rest waits for the client.
                let first =
                    poll_fn(|context| Poll::Ready(Pin::new(&mut accept).poll(context))).await;
                drop(place);
                let stream = match first {
                    Poll::Ready(accepted) => accepted?,
                    Poll::Pending => accept.await?,
                };
                Ok(Self::Tls(Box::new(stream)))
            }
            Self::Tls(_) => Err(io::Error::other("TLS inside TLS")),
        }
    }

    /// Returns the certificates that the client has shown, its own first, also those of the session that it has resumed; none
    /// where it was not asked.
    pub(super) fn client_certificates(&self) -> Vec<CertificateDer<'static>> {
        let Self::Tls(stream) = self else {
            return Vec::new();
        };
        let (_, connection) = stream.get_ref();
        connection.peer_certificates().unwrap_or_default().to_vec()
    }

    /// Returns what the handshake came to; the certificate is judged elsewhere.
    /// `mechanisms` are those of the listener: the exporter is computed where SCRAM-SHA-256-PLUS is one of them.
    pub(super) fn tls_facts(&self, mechanisms: &[Mechanism]) -> Option<TlsFacts> {
        let Self::Tls(stream) = self else {
            return None;
        };
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        };
        let suite = connection.negotiated_cipher_suite();
        let cipher = suite
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown");
        // RFC 9266 §3: with TLS 1.2 only where the master secret is extended, which rustls does not tell.
        let is_bindable = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && mechanisms.contains(&Mechanism::ScramSha256Plus);
        let exporter = is_bindable.then(|| {
            let exported = connection.export_keying_material([0; 32], EXPORTER, Some(b""));
            exported.ok().map(Key)
        });
        Some(TlsFacts {
            version,
            cipher,
            exporter: exporter.flatten(),
            certificate: ShownCertificate::Absent,
        })
    }

    /// Waits until the client has ended its side of the connection. What it has sent before stays to be read.
    pub(super) async fn ended(&self) {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Readable would be one that has sent more, too. Nobody sends urgent data, so this is the end.
        let _ended = socket.ready(Interest::PRIORITY).await;
    }

    /// Closes the sending side, so that the last reply arrives.
    pub(super) async fn close(&mut self) {
        let _gone = match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_client_has_ended_when_it_closes_not_when_it_says_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        client.write_all(b"NOOP\r\n").await.unwrap();
        stream.readable().await.unwrap();
        let stream = Stream::Plain(stream);
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, stream.ended()).await.is_err());
        drop(client);
        let long = Duration::from_secs(30);
        assert!(timeout(long, stream.ended()).await.is_ok());
    }
}
