//! Why there is no connection.

use crate::dns::ResolveError;

/// Why there is no connection, in words that may follow the name of the host.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DialError {
    /// The proxy is the reason.
    #[error("the proxy {proxy} {problem}")]
    Proxy {
        /// Its address, without a login.
        proxy: Box<str>,
        /// What it did.
        problem: ProxyProblem,
    },
    /// The name was not found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// No address could be connected to; the last one's reason.
    #[error("{0}")]
    Unreachable(Box<str>),
}

/// Why a proxy gave no connection, in words that follow its name. Printable, without secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProxyProblem {
    /// Its rules forbid this connection.
    #[error("does not allow the connection")]
    Forbidden,
    /// It wants a login, and none is configured.
    #[error("wants a login")]
    LoginNeeded,
    /// It does not take the login.
    #[error("refuses the login")]
    LoginRefused,
    /// It answers something else than it should.
    #[error("is not one of this kind: {0}")]
    Nonsense(&'static str),
    /// It cannot connect to the server.
    #[error("cannot reach the server: {0}")]
    Server(Box<str>),
    /// It cannot be connected to itself, or its connection broke.
    #[error("cannot be reached: {0}")]
    Unreachable(Box<str>),
}

impl DialError {
    /// Returns whether a person must repair something, and trying again does not help.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::Proxy { problem, .. } => match problem {
                ProxyProblem::Forbidden
                | ProxyProblem::LoginNeeded
                | ProxyProblem::LoginRefused
                | ProxyProblem::Nonsense(_) => true,
                ProxyProblem::Server(_) | ProxyProblem::Unreachable(_) => false,
            },
            Self::Resolve(_) | Self::Timeout | Self::Unreachable(_) => false,
        }
    }
}
