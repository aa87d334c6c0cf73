//! TCP connections to other servers: directly, or through a proxy.
//!
//! The two handshakes with proxies are machines without sockets. Nothing here knows what is said on a connection.

mod connect;
mod dialer;
mod error;
mod handshake;
mod proxy;
mod socks;

pub use dialer::Dialer;
pub use error::{DialError, ProxyProblem};
pub use proxy::{Proxy, ProxyKind, ProxyLogin, ProxyUrlError};
