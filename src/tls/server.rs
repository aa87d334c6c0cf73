//! The server's side: certificate, key, session resumption, and their exchange while the server runs.

mod certificate;
mod clients;
mod names;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache,
    StoresServerSessions, WebPkiClientVerifier,
};

use super::client::PeerCertificate;
use super::files::{FilesError, certified_key, read_chain};

pub use certificate::{Source, self_signed_file};
pub use clients::{
    ClientCertificate, ClientNames, ClientTrust, ClientTrustError, Clients, End, Standing,
    authority_ends, check_clients, revocation_ends,
};
pub use names::{Names, covers};

use clients::AnyCertificate;
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
    /// Who vouches for those of clients.
    pub clients: Clients,
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
            clients: Clients::default(),
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
    /// The authorities of clients' certificates cannot be used.
    #[error(transparent)]
    Clients(#[from] ClientTrustError),
}

/// What handshakes are done with: all of it is exchanged together.
#[derive(Debug)]
pub struct Prepared {
    plain: Arc<ServerConfig>,
    asking: Arc<ServerConfig>,
    trust: Arc<ClientTrust>,
}

/// A certificate that can be exchanged while the server runs. Handshakes under way keep the one they began with.
#[derive(Debug)]
pub struct Reloadable {
    current: RwLock<Arc<Prepared>>,
    resumption: Resumption,
}

/// What lets clients resume sessions; outlives an exchange of the certificate.
#[derive(Clone, Debug)]
struct Resumption {
    sessions: Arc<dyn StoresServerSessions>,
    tickets: Arc<dyn ProducesTickets>,
    /// Of sessions in which a certificate was asked for: whoever was not asked has shown none. Clients keep these sessions
    /// themselves, since they have certificates of strangers in them.
    asking: Arc<dyn ProducesTickets>,
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
            asking: aws_lc_rs::Ticketer::new().map_err(ServerTlsError::Tickets)?,
        };
        let current = load(settings, &resumption)?;
        Ok(Self {
            current: RwLock::new(Arc::new(current)),
            resumption,
        })
    }

    /// Loads certificate and key without using them yet. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`Reloadable::new`].
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, ServerTlsError> {
        load(settings, &self.resumption)
    }

    /// Uses a prepared configuration for all handshakes from now on.
    pub fn replace(&self, prepared: Prepared) {
        let prepared = Arc::new(prepared);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = prepared;
    }

    /// Returns the configuration for a new handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.prepared().plain)
    }

    /// Returns the configuration for a new handshake in which the client is asked for a certificate.
    pub fn asking(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.prepared().asking)
    }

    /// Returns who judges the certificates of clients. Another one after each exchange.
    pub fn trust(&self) -> Arc<ClientTrust> {
        Arc::clone(&self.prepared().trust)
    }

    fn prepared(&self) -> Arc<Prepared> {
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

fn load(settings: &Settings, resumption: &Resumption) -> Result<Prepared, ServerTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let default = settings.certificate.load(&provider)?;
    let mut others = Vec::new();
    for own in &settings.named {
        let certified = own.certificate.load(&provider)?;
        let names = own.names.iter().cloned();
        others.extend(names.map(|name| (name, Arc::clone(&certified))));
    }
    let trust = ClientTrust::load(&settings.clients, &provider)?;
    let certificates: Arc<dyn ResolvesServerCert> = Arc::new(Certificates::new(default, others));
    let config = |verifier| {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(ServerTlsError::Setup)?;
        let builder = builder.with_client_cert_verifier(verifier);
        Ok::<_, ServerTlsError>(builder.with_cert_resolver(Arc::clone(&certificates)))
    };
    let mut plain = config(WebPkiClientVerifier::no_client_auth())?;
    plain.session_storage = Arc::clone(&resumption.sessions);
    plain.ticketer = Arc::clone(&resumption.tickets);
    let mut asking = config(Arc::new(AnyCertificate::new(&provider)))?;
    asking.session_storage = Arc::new(NoServerSessionStorage {});
    asking.ticketer = Arc::clone(&resumption.asking);
    Ok(Prepared {
        plain: Arc::new(plain),
        asking: Arc::new(asking),
        trust: Arc::new(trust),
    })
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
        let plain = Arc::clone(&prepared.plain);
        reloadable.replace(prepared);
        assert!(Arc::ptr_eq(&reloadable.current(), &plain));
        assert!(Arc::ptr_eq(&plain.ticketer, &before.ticketer));
        assert!(!Arc::ptr_eq(&plain.ticketer, &reloadable.asking().ticketer));
    }
}
