//! The server's side: certificate, key, session resumption, and their exchange while the server runs.

mod certificate;
mod names;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

use super::client::PeerCertificate;
use super::files::{FilesError, certified_key, read_chain};

pub use certificate::{Source, self_signed_file};
pub use names::{Names, covers};

use names::Certificates;

/// Sessions that can be resumed without a ticket (TLS 1.2 session ids).
const RESUMABLE: usize = 10_000;

/// Which certificates a server shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// For clients that ask for no name, or for one that is not listed.
    pub certificate: Source,
    /// For clients that ask for one of these names.
    pub named: Vec<Named>,
}

/// The certificate of some names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// Host names, each perhaps with `*.` before it.
    pub names: Vec<String>,
    /// Where it comes from.
    pub certificate: Source,
}

impl From<Source> for Settings {
    fn from(certificate: Source) -> Self {
        Self {
            certificate,
            named: Vec::new(),
        }
    }
}

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The files with certificate and key cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The TLS library refuses its own settings.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
    /// A self-signed certificate could not be made.
    #[error("cannot make a self-signed certificate for `{name}`")]
    Make {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A self-signed certificate could not be stored.
    #[error("cannot store the self-signed certificate as {path}")]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The keys of session tickets could not be made.
    #[error("cannot make keys for session tickets")]
    Tickets(#[source] rustls::Error),
}

/// A certificate that can be exchanged while the server runs. Handshakes under way keep the one they began with.
#[derive(Debug)]
pub struct Reloadable {
    current: RwLock<Arc<ServerConfig>>,
    resumption: Resumption,
}

/// What lets clients resume sessions; outlives an exchange of the certificate.
#[derive(Clone, Debug)]
struct Resumption {
    sessions: Arc<dyn StoresServerSessions>,
    tickets: Arc<dyn ProducesTickets>,
}

impl Reloadable {
    /// Loads certificate and key; makes a self-signed certificate where that is configured and there is none yet.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`ServerTlsError`] names the file and what is wrong with it.
    pub fn new(settings: &Settings) -> Result<Self, ServerTlsError> {
        let resumption = Resumption {
            sessions: ServerSessionMemoryCache::new(RESUMABLE),
            tickets: aws_lc_rs::Ticketer::new().map_err(ServerTlsError::Tickets)?,
        };
        let current = load(settings, &resumption)?;
        Ok(Self {
            current: RwLock::new(current),
            resumption,
        })
    }

    /// Loads certificate and key without using them yet. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`Reloadable::new`].
    pub fn prepare(&self, settings: &Settings) -> Result<Arc<ServerConfig>, ServerTlsError> {
        load(settings, &self.resumption)
    }

    /// Uses a prepared configuration for all handshakes from now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Returns the configuration for a new handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Checks that certificate and key can be read and belong together, for the check of a configuration.
///
/// # Errors
/// [`FilesError`] names the file and what is wrong with it.
pub fn check_files(certificate: &Path, key: &Path) -> Result<(), FilesError> {
    certified_key(certificate, key, &aws_lc_rs::default_provider()).map(drop)
}

/// Returns what the certificate in a PEM file says of itself, where that can be read. Blocks on the disk.
pub fn read_own(certificate: &Path) -> Option<PeerCertificate> {
    let chain = read_chain(certificate).ok()?;
    PeerCertificate::parse(chain.first()?)
}

fn load(settings: &Settings, resumption: &Resumption) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let default = settings.certificate.load(&provider)?;
    let mut others = Vec::new();
    for own in &settings.named {
        let certified = own.certificate.load(&provider)?;
        let names = own.names.iter().cloned();
        others.extend(names.map(|name| (name, Arc::clone(&certified))));
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(ServerTlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates::new(default, others)));
    config.session_storage = Arc::clone(&resumption.sessions);
    config.ticketer = Arc::clone(&resumption.tickets);
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchanged_certificate_serves_the_next_handshake() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |name: &str| {
            Settings::from(Source::SelfSigned {
                directory: folder.path().to_owned(),
                name: name.to_owned(),
            })
        };
        let reloadable = Reloadable::new(&settings("one")).unwrap();
        let before = reloadable.current();
        let prepared = reloadable.prepare(&settings("two")).unwrap();
        assert!(Arc::ptr_eq(&reloadable.current(), &before));
        reloadable.replace(Arc::clone(&prepared));
        assert!(Arc::ptr_eq(&reloadable.current(), &prepared));
        assert!(Arc::ptr_eq(&prepared.ticketer, &before.ticketer));
    }
}
