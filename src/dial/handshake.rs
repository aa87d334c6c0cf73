//! What both handshakes with proxies have in common.

use std::fmt;
use std::net::SocketAddr;

use zeroize::Zeroizing;

use super::error::ProxyProblem;

/// Where a connection shall lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target<'a> {
    Address(SocketAddr),
    /// A host name in ASCII, and a port. The proxy looks it up.
    Name(&'a str, u16),
}

impl fmt::Display for Target<'_> {
    /// Writes `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// What the driver of a handshake has to do next.
pub(super) enum Step {
    /// Nothing: the next octets are the server's.
    Done,
    /// Receive as much as is wanted, and not one octet more.
    Receive(Wanted),
    /// Write this, then receive.
    Send(Zeroizing<Vec<u8>>, Wanted),
}

/// What is received next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// So many octets.
    Exactly(usize),
    /// All up to and with an empty line.
    Header,
}

/// A handshake with a proxy, without sockets or time.
pub(super) trait Handshake: Send {
    /// Returns the first step.
    fn begin(&mut self) -> Step;

    /// Takes what was wanted.
    ///
    /// # Errors
    /// [`ProxyProblem`]; the connection is good for nothing then.
    fn receive(&mut self, octets: &[u8]) -> Result<Step, ProxyProblem>;
}
