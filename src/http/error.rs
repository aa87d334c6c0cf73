//! Why there is no answer.

use std::time::Duration;

/// Why there is no answer. Texts name the host; never a query, a header field or content, which may hold secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be asked, or not by these settings.
    #[error("the address at `{host}` cannot be used: {reason}")]
    Address {
        /// The host.
        host: Box<str>,
        /// Why.
        reason: &'static str,
    },
    /// The connection broke after it had been made. The server may have the request.
    #[error("the connection to {host} broke: {reason}")]
    Broken {
        /// The host.
        host: Box<str>,
        /// In words.
        reason: Box<str>,
    },
    /// The server shows a certificate that is not accepted. Nothing was sent.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Certificate {
        /// The host.
        host: Box<str>,
        /// In words.
        reason: Box<str>,
    },
    /// There is no connection. Nothing was sent.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// The host.
        host: Box<str>,
        /// In words.
        reason: Box<str>,
    },
    /// There was no whole answer in time. The server may have the request.
    #[error("{host} did not answer within {} s", limit.as_secs())]
    Timeout {
        /// The host.
        host: Box<str>,
        /// How long it was given.
        limit: Duration,
    },
    /// The TLS handshake failed for another reason than the certificate. Nothing was sent.
    #[error("no TLS connection to {host}: {reason}")]
    Tls {
        /// The host.
        host: Box<str>,
        /// In words.
        reason: Box<str>,
    },
    /// The answer is larger than it may be. The server has the request.
    #[error("the answer of {host} is larger than {limit} octets")]
    TooLarge {
        /// The host.
        host: Box<str>,
        /// In octets.
        limit: usize,
    },
}

impl HttpError {
    /// Returns whether the server may have received the request and acted on it.
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Timeout { .. } | Self::TooLarge { .. } => true,
            Self::Address { .. }
            | Self::Certificate { .. }
            | Self::Connect { .. }
            | Self::Tls { .. } => false,
        }
    }

    /// Returns whether a person must repair something, and trying again does not help.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Certificate { .. } => true,
            Self::Broken { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}
