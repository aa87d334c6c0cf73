//! Why the server did not start, and the exit code that says so.

use std::io;
use std::path::PathBuf;

use crate::auth::AuthenticatorError;
use crate::config::Report;
use crate::control;
use crate::dns::ResolveError;
use crate::spool::embedded::OpenError;
use crate::submission::BindError;
use crate::tls::client::ClientTlsError;
use crate::tls::server::ServerTlsError;

/// Why the server did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The accounts file has gone since the start; a reload would lock everybody out.
    #[error("the accounts file {path} is not there any more")]
    AccountsMissing {
        /// The file.
        path: PathBuf,
    },
    /// Passwords cannot be checked.
    #[error("cannot set up authentication")]
    Authenticator(#[from] AuthenticatorError),
    /// A port cannot be bound.
    #[error("cannot bind the listeners")]
    Bind(#[from] BindError),
    /// The configuration has errors; the report has all of them.
    #[error("the configuration has errors")]
    Config(Report),
    /// The command line could not talk to the server.
    #[error("cannot make the control socket")]
    Control(#[from] control::server::BindError),
    /// A folder or file cannot be made.
    #[error("cannot create {path}")]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A part of the server ended that should not have.
    #[error("the {part} ended; see the log")]
    Ended {
        /// What.
        part: &'static str,
        /// Why, where it panicked.
        #[source]
        source: Option<tokio::task::JoinError>,
    },
    /// There are too few file descriptors for the ports.
    #[error(
        "{needed} file descriptors are needed, {limit} are allowed; raise the limit (ulimit -n, or LimitNOFILE= in systemd)"
    )]
    FileDescriptors {
        /// How many the ports and some connections take.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// Others can get at the data directory, and that could not be changed.
    #[error("the data directory {path} is open to others; chmod 700 {path}")]
    OpenDataDir {
        /// The folder.
        path: PathBuf,
        /// Why its mode could not be changed.
        #[source]
        source: io::Error,
    },
    /// A reload writes to a folder that was not in use at the start.
    #[error(
        "the sandbox of the running server leaves out {path}, which was not in use when it started; restart it to use it"
    )]
    OutsideSandbox {
        /// The folder.
        path: PathBuf,
    },
    /// The process could not become another user.
    #[error("cannot run as user `{user}`")]
    Privileges {
        /// Who.
        user: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime, a signal handler or the log cannot be set up.
    #[error("cannot start the {part}")]
    Runtime {
        /// What.
        part: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel does not enforce the sandbox.
    #[error("cannot enter the sandbox; `sandbox = \"off\"` in [server] goes without")]
    Sandbox {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The spool cannot be opened.
    #[error("cannot open the spool")]
    Spool(#[from] OpenError),
    /// The server's certificate cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] ServerTlsError),
    /// The certificate authorities of an issuer of access tokens cannot be read.
    #[error("cannot set up the judging of access tokens")]
    Tokens(#[source] ClientTlsError),
    /// The certificate authorities of an upstream cannot be read.
    #[error("cannot set up the upstreams")]
    Upstream(#[from] ClientTlsError),
    /// Names cannot be looked up.
    #[error("cannot set up name look-ups")]
    Resolver(#[from] ResolveError),
}

impl AppError {
    /// Returns the exit code, as sysexits(3) has them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Control(_) | Self::Create { .. } => 73,
            Self::Bind(error) if error.source.kind() == io::ErrorKind::PermissionDenied => 77,
            Self::OpenDataDir { .. } | Self::Privileges { .. } => 77,
            Self::Authenticator(_)
            | Self::Ended { .. }
            | Self::Bind(_)
            | Self::FileDescriptors { .. }
            | Self::Resolver(_)
            | Self::Runtime { .. }
            | Self::Sandbox { .. } => 71,
            Self::Spool(_) => 69,
            Self::AccountsMissing { .. }
            | Self::Config(_)
            | Self::OutsideSandbox { .. }
            | Self::Tls(_)
            | Self::Tokens(_)
            | Self::Upstream(_) => 78,
        }
    }
}
