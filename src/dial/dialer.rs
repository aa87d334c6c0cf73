//! Opening connections.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::dns::{self, Resolver};
use crate::telemetry::printable;

use super::connect::HttpConnect;
use super::error::{DialError, ProxyProblem};
use super::handshake::{Handshake, Step, Target, Wanted};
use super::proxy::{Proxy, ProxyKind};
use super::socks::Socks5;

/// Opens TCP connections: directly, or through a proxy. Cheap to clone.
///
/// With a proxy, a host name goes to the proxy, which looks it up: behind many proxies there is no other DNS. An address
/// goes as it is.
#[derive(Clone)]
pub struct Dialer {
    resolver: Arc<dyn Resolver>,
    local_address: Option<IpAddr>,
    proxy: Option<Arc<Proxy>>,
}

/// The most addresses of one host that are tried.
const MAX_ADDRESSES: usize = 4;

/// How an answer of HTTP begins.
const HTTP: &[u8] = b"HTTP/";

/// The largest answer of a proxy, in octets.
const MAX_HEADER: usize = 8 << 10;

impl Dialer {
    /// Makes a dialer; connections come from `local_address`, where that is given.
    pub fn new(resolver: Arc<dyn Resolver>, local_address: Option<IpAddr>) -> Self {
        Self {
            resolver,
            local_address,
            proxy: None,
        }
    }

    /// Makes all connections go through a proxy, where one is given; those to the proxy come from the local address.
    #[must_use]
    pub fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy.map(Arc::new);
        self
    }

    /// Opens a connection to an address. Takes about `limit` at most.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn to_address(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<TcpStream, DialError> {
        match &self.proxy {
            None => within(limit, self.open(address)).await,
            Some(proxy) => self.tunnel(proxy, Target::Address(address), limit).await,
        }
    }

    /// Opens a connection to a port of a host, a name or an IP address without brackets. Takes about `limit` at most.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn to_name(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> Result<TcpStream, DialError> {
        if let Ok(ip) = host.parse() {
            return self.to_address(SocketAddr::new(ip, port), limit).await;
        }
        match &self.proxy {
            None => self.direct(host, port, limit).await,
            Some(proxy) => self.tunnel(proxy, Target::Name(host, port), limit).await,
        }
    }

    /// Looks a name up and tries its addresses.
    async fn direct(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
        let found = timeout(limit, dns::host(&*self.resolver, host)).await;
        let found = found.map_err(|_| DialError::Timeout)??;
        let local = self.local_address;
        let is_usable =
            |address: &&IpAddr| local.is_none_or(|own| own.is_ipv4() == address.is_ipv4());
        let addresses: Vec<_> = found.addresses.iter().filter(is_usable).collect();
        let count = addresses.len().clamp(1, MAX_ADDRESSES);
        // One address that swallows everything must not take the time of the others.
        let share = limit / u32::try_from(count).unwrap_or(1);
        let mut problem = DialError::Unreachable("it has no address that can be reached".into());
        for &&address in addresses.iter().take(MAX_ADDRESSES) {
            match within(share, self.open(SocketAddr::new(address, port))).await {
                Ok(stream) => return Ok(stream),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    async fn tunnel(
        &self,
        proxy: &Proxy,
        target: Target<'_>,
        limit: Duration,
    ) -> Result<TcpStream, DialError> {
        let at = |problem| DialError::Proxy {
            proxy: proxy.to_string().into(),
            problem,
        };
        let stream = self.direct(&proxy.host, proxy.port, limit).await;
        let mut stream =
            stream.map_err(|error| at(ProxyProblem::Unreachable(printable(&error.to_string()))))?;
        let shaking = async {
            let login = proxy.login.as_ref();
            match proxy.kind {
                ProxyKind::HttpConnect => {
                    shake(&mut stream, &mut HttpConnect::new(target, login)).await
                }
                ProxyKind::Socks5 => shake(&mut stream, &mut Socks5::new(target, login)).await,
            }
        };
        match timeout(limit, shaking).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(problem)) => Err(at(problem)),
            Err(_) => Err(at(ProxyProblem::Server("no answer in time".into()))),
        }
    }

    async fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = match self.local_address {
            None => TcpStream::connect(address).await?,
            Some(local) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.bind(SocketAddr::new(local, 0))?;
                socket.connect(address).await?
            }
        };
        // Without it a small write behind another waits for the peer's delayed acknowledgement. Where the system
        // refuses, everything is slower and no less safe.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn within(
    limit: Duration,
    opening: impl Future<Output = io::Result<TcpStream>>,
) -> Result<TcpStream, DialError> {
    match timeout(limit, opening).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(DialError::Unreachable(printable(&error.to_string()))),
        Err(_) => Err(DialError::Timeout),
    }
}

/// Drives a handshake. Takes no octet of what follows it, since the server behind the proxy may speak first.
async fn shake(stream: &mut TcpStream, handshake: &mut dyn Handshake) -> Result<(), ProxyProblem> {
    let broken = |error: io::Error| {
        let is_closed = matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
        );
        ProxyProblem::Unreachable(if is_closed {
            "it closed the connection".into()
        } else {
            printable(&error.to_string())
        })
    };
    let mut step = handshake.begin();
    loop {
        let wanted = match step {
            Step::Done => return Ok(()),
            Step::Receive(wanted) => wanted,
            Step::Send(octets, wanted) => {
                stream.write_all(&octets).await.map_err(broken)?;
                wanted
            }
        };
        let mut octets = Vec::new();
        match wanted {
            Wanted::Exactly(count) => {
                octets.resize(count, 0);
                stream.read_exact(&mut octets).await.map_err(broken)?;
            }
            Wanted::Header => read_header(stream, &mut octets).await.map_err(broken)?,
        }
        step = handshake.receive(&octets)?;
    }
}

/// Reads up to and with an empty line. What is peeked at is taken only as far as it belongs to the header. Of what does
/// not begin as HTTP the rest is not awaited.
async fn read_header(stream: &mut TcpStream, header: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 1024];
    while header.len() < MAX_HEADER {
        let seen = stream.peek(&mut piece).await?;
        if seen == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let before = header.len();
        header.extend_from_slice(piece.get(..seen).unwrap_or_default());
        let begun = header.len().min(HTTP.len());
        if header.get(..begun) != HTTP.get(..begun) {
            return Ok(());
        }
        // The empty line may have begun in the piece before.
        let from = before.saturating_sub(3);
        let end = header.get(from..).and_then(|rest| {
            rest.windows(4)
                .position(|octets| octets == b"\r\n\r\n")
                .map(|at| from + at + 4)
        });
        let taken = end.map_or(seen, |end| end - before);
        let taken = piece.get_mut(..taken).unwrap_or_default();
        stream.read_exact(taken).await?;
        if let Some(end) = end {
            header.truncate(end);
            return Ok(());
        }
    }
    Err(io::Error::other("its answer is too long"))
}
