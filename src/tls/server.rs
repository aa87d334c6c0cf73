//! The server's side: certificate, key, session resumption, and their exchange while the server runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

use super::files::{FilesError, certified_key, read_chain};

use crate::clock::Timestamp;

use super::client::PeerCertificate;

/// Sessions that can be resumed without a ticket (TLS 1.2 session ids).
const RESUMABLE: usize = 10_000;

/// Where certificate and key come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settings {
    /// From PEM files.
    Files {
        /// The certificate, followed by those that lead to its root.
        certificate: PathBuf,
        /// The private key, not encrypted; may be the same file.
        key: PathBuf,
    },
    /// From a file that is made at the first start.
    SelfSigned {
        /// The folder for it; made where it is missing.
        directory: PathBuf,
        /// The name in the certificate: a domain name, or an address literal in brackets.
        name: String,
    },
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

/// Returns until when the certificate in a PEM file is valid, where that can be read.
pub fn not_after(certificate: &Path) -> Option<Timestamp> {
    let chain = read_chain(certificate).ok()?;
    let own = PeerCertificate::parse(chain.first()?)?;
    Some(own.not_after)
}

fn load(settings: &Settings, resumption: &Resumption) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certified = match settings {
        Settings::Files { certificate, key } => certified_key(certificate, key, &provider)?,
        Settings::SelfSigned { directory, name } => {
            let path = self_signed(directory, name)?;
            certified_key(&path, &path, &provider)?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(ServerTlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.session_storage = Arc::clone(&resumption.sessions);
    config.ticketer = Arc::clone(&resumption.tickets);
    Ok(Arc::new(config))
}

/// Returns the file with the self-signed certificate and its key; makes it where there is none. One file holds
/// both, so that a crash cannot leave a key beside the certificate of another.
fn self_signed(directory: &Path, name: &str) -> Result<PathBuf, ServerTlsError> {
    let path = directory.join(format!("self-signed-{name}.pem"));
    let stored = |source| ServerTlsError::Store {
        path: path.clone(),
        source,
    };
    if path.try_exists().map_err(stored)? {
        return Ok(path);
    }
    let pem = make_self_signed(name).map_err(|source| ServerTlsError::Make {
        name: name.to_owned(),
        source,
    })?;
    store(directory, &path, &pem).map_err(stored)?;
    Ok(path)
}

fn make_self_signed(name: &str) -> Result<String, rcgen::Error> {
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .map(|literal| literal.strip_prefix("IPv6:").unwrap_or(literal))
        .filter(|literal| literal.parse::<IpAddr>().is_ok());
    let alternative = address.unwrap_or(name).to_owned();
    let mut params = CertificateParams::new(vec![alternative, "localhost".to_owned()])?;
    params
        .distinguished_name
        .push(DnType::CommonName, address.unwrap_or(name));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

/// Writes a file that only its owner can read, so that after a crash it is there whole or not at all.
fn store(directory: &Path, path: &Path, pem: &str) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let temporary = path.with_extension("new");
    if let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn put(directory: &Path, name: &str, content: &str) -> PathBuf {
        let path = directory.join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        path
    }

    fn split(pem: &str) -> (&str, &str) {
        pem.split_at(pem.find("-----BEGIN PRIVATE KEY").unwrap())
    }

    #[test]
    fn a_certificate_and_its_key_are_loaded_from_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let pem = make_self_signed("relay.example.com").unwrap();
        let settings = Settings::Files {
            certificate: put(folder.path(), "server.pem", split(&pem).0),
            key: put(folder.path(), "server.key", split(&pem).1),
        };
        assert!(Reloadable::new(&settings).is_ok());
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            make_self_signed("one").unwrap(),
            make_self_signed("two").unwrap(),
        );
        let certificate = put(folder.path(), "server.pem", split(&one).0);
        let key = put(folder.path(), "server.key", split(&two).1);
        let error = check_files(&certificate, &key).unwrap_err();
        assert!(matches!(error, FilesError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn a_file_without_what_it_should_hold_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let pem = make_self_signed("relay.example.com").unwrap();
        let (certificate, key) = (
            put(folder.path(), "server.pem", split(&pem).0),
            put(folder.path(), "server.key", split(&pem).1),
        );
        let error = check_files(&certificate, &certificate).unwrap_err();
        assert!(matches!(error, FilesError::NoKey { path } if path == certificate));
        let error = check_files(&key, &key).unwrap_err();
        assert!(matches!(error, FilesError::NoCertificate { path } if path == key));
        let missing = folder.path().join("missing.pem");
        let error = check_files(&missing, &key).unwrap_err();
        assert!(matches!(error, FilesError::Read { path, .. } if path == missing));
    }

    #[test]
    fn a_self_signed_certificate_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("data/tls");
        let path = self_signed(&directory, "relay.example.com").unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(self_signed(&directory, "relay.example.com").unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn nobody_else_can_read_the_key_of_a_self_signed_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let path = self_signed(folder.path(), "relay.example.com").unwrap();
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_server_known_by_its_address_gets_a_certificate() {
        for name in ["[192.0.2.1]", "[IPv6:2001:db8::1]"] {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings::SelfSigned {
                directory: folder.path().to_owned(),
                name: name.to_owned(),
            };
            assert!(Reloadable::new(&settings).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_exchanged_certificate_serves_the_next_handshake() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |name: &str| Settings::SelfSigned {
            directory: folder.path().to_owned(),
            name: name.to_owned(),
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
