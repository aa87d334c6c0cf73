//! TCP to a host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::dns::{self, ResolveError, Resolver};

/// Opens TCP connections: directly, or through a proxy.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Opens a connection to a port of a host, a name or an IP address without brackets. Takes about `limit` at most.
    ///
    /// # Errors
    /// [`DialError`].
    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError>;
}

/// Why there is no connection, in words that follow the name of the host.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DialError {
    /// The name was not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No address could be connected to; the last one's reason.
    #[error("{0}")]
    Unreachable(Box<str>),
}

/// Looks names up and connects to what they stand for.
pub struct Direct {
    resolver: Arc<dyn Resolver>,
    local_address: Option<IpAddr>,
}

/// The most addresses tried.
const MAX_ADDRESSES: usize = 4;

impl Direct {
    /// Makes a dialer; connections come from `local_address`, where that is given.
    pub fn new(resolver: Arc<dyn Resolver>, local_address: Option<IpAddr>) -> Self {
        Self {
            resolver,
            local_address,
        }
    }

    async fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let Some(local) = self.local_address else {
            return TcpStream::connect(address).await;
        };
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(local, 0))?;
        socket.connect(address).await
    }
}

#[async_trait]
impl Dial for Direct {
    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
        let silent = || DialError::Unreachable("no answer in time".into());
        let found = timeout(limit, dns::host(&*self.resolver, host)).await;
        let found = found.map_err(|_| silent())??;
        let local = self.local_address;
        let is_usable =
            |address: &&IpAddr| local.is_none_or(|own| own.is_ipv4() == address.is_ipv4());
        let addresses: Vec<_> = found.addresses.iter().filter(is_usable).collect();
        let count = addresses.len().clamp(1, MAX_ADDRESSES);
        // One address that swallows everything must not take the time of the others.
        let share = limit / u32::try_from(count).unwrap_or(1);
        let mut problem = DialError::Unreachable("it has no address that can be reached".into());
        for &&address in addresses.iter().take(MAX_ADDRESSES) {
            match timeout(share, self.open(SocketAddr::new(address, port))).await {
                Ok(Ok(stream)) => {
                    // Where the system refuses, answers come later and no less surely.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => problem = DialError::Unreachable(error.to_string().into()),
                Err(_) => problem = silent(),
            }
        }
        Err(problem)
    }
}
