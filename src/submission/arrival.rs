//! Between accept and session: whose connection it is, and which settings are theirs.
//!
//! A balancer's PROXY header is read octet for octet and no further, before the greeting and before TLS, so that nothing of
//! it reaches the session and nothing of the client's is lost.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::proxy_protocol::{self, HeaderError, Parsed, Source};
use crate::smtp::replies;

use super::connection::{self, Accepted};
use super::listener::{Listener, Passes};
use super::mistakes::Topic;
use super::parts::ServerParts;

/// A connection whose client may not be known yet.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    /// Who has connected, IPv4 as such: the client or a balancer.
    pub(super) peer: IpAddr,
    pub(super) local_port: u16,
    /// The number of its session, for the log and for refusals.
    pub(super) session: u64,
    pub(super) listener: Arc<Listener>,
    pub(super) passes: Passes,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Of who has connected.
    Direct(IpAddr),
    /// Of whom a balancer names.
    Named(IpAddr),
    /// Of a balancer, or of somebody whom it cannot name.
    Unnamed,
}

/// Why a balancer's connection is closed before it became a session.
#[derive(Debug, thiserror::Error)]
enum ProxyError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the connection ended: {0}")]
    Io(#[from] io::Error),
    #[error("the PROXY header did not come in time")]
    Slow,
}

impl Arrival {
    /// Serves the connection to its end.
    pub(super) async fn serve(mut self, parts: Arc<ServerParts>, stop: CancellationToken) {
        if !self.listener.is_balancer(self.peer) {
            let client = Client::Direct(self.peer);
            return self.begin(client, parts, stop).await;
        }
        let source = tokio::select! {
            source = self.source() => source,
            () = stop.cancelled() => return,
        };
        let client = match source {
            Ok(Source::Client(client)) => Client::Named(client.ip()),
            Ok(Source::Sender) => Client::Unnamed,
            Err(error) => return self.note(&error, &parts),
        };
        self.begin(client, parts, stop).await;
    }

    /// Begins the session of a client, if there may be another from there.
    async fn begin(mut self, client: Client, parts: Arc<ServerParts>, stop: CancellationToken) {
        let (address, proxy) = match client {
            Client::Direct(address) => (address, None),
            Client::Named(address) => (address, Some(self.peer)),
            Client::Unnamed => (self.peer, None),
        };
        if !self.passes.name(address, parts.clock.instant()) {
            return refuse(&self.stream, address, self.local_port, &parts);
        }
        let span = tracing::info_span!(
            "session",
            session = self.session,
            peer = %address,
            local_port = self.local_port,
            proxy = proxy.map(tracing::field::display),
        );
        // Nobody is trusted for the address of a balancer that does not say whose connection it is.
        let known = match client {
            Client::Direct(address) | Client::Named(address) => Some(address),
            Client::Unnamed => None,
        };
        let settings = Arc::clone(self.listener.settings(known));
        let client = Accepted {
            stream: self.stream,
            address,
            known,
            session: self.session,
            passes: self.passes,
        };
        // In a box, so that a connection that waits for its header takes little.
        let served = Box::pin(connection::serve(client, settings, parts, stop));
        served.instrument(span).await;
    }

    /// Reads the header of a balancer.
    async fn source(&mut self) -> Result<Source, ProxyError> {
        let patience = self.listener.settings(Some(self.peer)).timeouts.handshake;
        let read = tokio::time::timeout(patience, read_header(&mut self.stream));
        read.await.map_err(|_| ProxyError::Slow)?
    }

    fn note(&self, error: &ProxyError, parts: &ServerParts) {
        let (peer, local_port) = (self.peer, self.local_port);
        // A balancer that only looks whether the port is open says nothing and goes.
        if matches!(error, ProxyError::Io(_)) {
            return tracing::debug!(%peer, local_port, error = %error, "balancer gone");
        }
        let now = parts.clock.instant();
        if let Some(times) = parts.mistakes.note(peer, Topic::NoProxyHeader, now) {
            tracing::warn!(%peer, local_port, error = %error, times, hint = NO_HEADER, "no PROXY header from a balancer");
        }
    }
}

const NO_HEADER: &str = "every connection from the networks in `proxy_protocol` must begin with one: let the balancer send \
                         it, or take its address out";

/// Tells a client that there are too many connections, and the log, now and then.
pub(super) fn refuse(stream: &TcpStream, peer: IpAddr, local_port: u16, parts: &ServerParts) {
    if let Some(refused) = parts.gate.refused(parts.clock.instant()) {
        tracing::warn!(%peer, local_port, refused, "too many connections");
    }
    // The reply fits into an empty socket buffer; a client that cannot take it learns from the close.
    let _untold = stream.try_write(&replies::TOO_MANY_CONNECTIONS.line());
}

/// Reads a header and nothing behind it: looks at what has come, and takes what belongs to the header.
async fn read_header(stream: &mut TcpStream) -> Result<Source, ProxyError> {
    let mut header = Vec::with_capacity(FIRST_LOOK);
    loop {
        let taken = header.len();
        header.resize(taken + FIRST_LOOK, 0);
        let seen = header.get_mut(taken..).unwrap_or_default();
        let count = stream.peek(seen).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        header.truncate(taken + count);
        let (source, len) = match proxy_protocol::parse(&header)? {
            Parsed::Complete { source, len } => (Some(source), len),
            Parsed::Incomplete => (None, header.len()),
        };
        header.truncate(len);
        let own = header.get_mut(taken..).unwrap_or_default();
        stream.read_exact(own).await?;
        if let Some(source) = source {
            return Ok(source);
        }
    }
}

/// How much is looked at together: more than any header without TLVs has.
const FIRST_LOOK: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    /// Sends a header with something behind it in pieces; returns what was read, and what is left to the client.
    async fn send(header: &[u8], cut: usize) -> (Result<Source, ProxyError>, Vec<u8>) {
        let (mut client, mut server) = pair().await;
        client.set_nodelay(true).unwrap();
        let octets = [header, b"EHLO client.example\r\n"].concat();
        let send = async {
            for piece in octets.chunks(cut) {
                client.write_all(piece).await.unwrap();
                // The reader gets its turn.
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        let ((), read) = tokio::join!(send, read_header(&mut server));
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        (read, rest)
    }

    fn headers() -> Vec<(Vec<u8>, Source)> {
        let client = |text: &str| Source::Client(text.parse::<SocketAddr>().unwrap());
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\r\n".to_vec();
        let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x02\x0c".to_vec();
        binary.extend_from_slice(&[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x02, 0x4b]);
        binary.extend_from_slice(&[0xee; 512]);
        vec![
            (line, client("192.0.2.1:56324")),
            (binary, client("192.0.2.1:56324")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Sender),
        ]
    }

    #[tokio::test]
    async fn nothing_behind_the_header_is_taken_however_it_is_cut() {
        for (header, source) in headers() {
            for cut in [1, 2, 3, 7, 15, 16, 17, 28, 107, 256, 257, 1000] {
                let (read, rest) = send(&header, cut).await;
                assert_eq!(read.unwrap(), source, "in pieces of {cut}");
                assert_eq!(rest, b"EHLO client.example\r\n", "in pieces of {cut}");
            }
        }
    }

    #[tokio::test]
    async fn a_client_without_a_header_is_not_taken_for_one() {
        let (read, _) = send(b"", 1).await;
        let is_missing = matches!(read, Err(ProxyError::Header(HeaderError::Missing)));
        assert!(is_missing, "{read:?}");
    }
}
