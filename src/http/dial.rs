//! TCP to a host.

use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;

use crate::dial::{DialError, Dialer};

/// Opens TCP connections: directly, or through a proxy.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Opens a connection to a port of a host, a name or an IP address without brackets. Takes about `limit` at most.
    ///
    /// # Errors
    /// [`DialError`].
    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError>;
}

#[async_trait]
impl Dial for Dialer {
    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
        self.to_name(host, port, limit).await
    }
}
