//! Where a certificate with its key comes from.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::ServerTlsError;
use crate::durable;
use crate::tls::files::certified_key;

/// Where certificate and key come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// From PEM files.
    Files {
        /// The certificate, followed by those that lead to its root.
        certificate: PathBuf,
        /// The private key, not encrypted; may be the same file.
        key: PathBuf,
    },
    /// From a file that an authority's answer is put into; until it is there, a self-signed certificate stands in, made
    /// anew each time and never stored.
    Issued {
        /// The file, with certificate and key.
        file: PathBuf,
        /// The names it is for.
        names: Vec<String>,
    },
    /// From a file that is made at the first start.
    SelfSigned {
        /// The folder for it; made where it is missing.
        directory: PathBuf,
        /// The name in the certificate: a domain name, or an address literal in brackets.
        name: String,
    },
}

impl Source {
    pub(super) fn load(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>, ServerTlsError> {
        let certified = match self {
            Self::Files { certificate, key } => certified_key(certificate, key, provider)?,
            Self::Issued { file, names } => {
                // A file that is damaged counts as none: whoever keeps it gets another, and a server that does not
                // start would get none.
                certified_key(file, file, provider).or_else(|_| stand_in(names, provider))?
            }
            Self::SelfSigned { directory, name } => {
                let path = self_signed(directory, name)?;
                certified_key(&path, &path, provider)?
            }
        };
        Ok(Arc::new(certified))
    }
}

/// Makes a certificate for the time until there is a real one.
fn stand_in(names: &[String], provider: &CryptoProvider) -> Result<CertifiedKey, ServerTlsError> {
    let make = || {
        let mut params = CertificateParams::new(names.to_vec())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "posthouse, no certificate yet");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        Ok((certificate, key))
    };
    let (certificate, key) = make().map_err(|source| ServerTlsError::Make {
        name: names.join(", "),
        source,
    })?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(vec![certificate.der().clone()], key, provider)
        .map_err(ServerTlsError::Setup)
}

/// Returns the file of a self-signed certificate, which may not be there yet.
pub fn self_signed_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("self-signed-{name}.pem"))
}

/// Returns the file with the self-signed certificate and its key; makes it where there is none. One file holds
/// both, so that a crash cannot leave a key beside the certificate of another.
fn self_signed(directory: &Path, name: &str) -> Result<PathBuf, ServerTlsError> {
    let path = self_signed_file(directory, name);
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
    durable::make_folder_of(&path)
        .and_then(|()| durable::replace(&path, pem.as_bytes()))
        .map_err(stored)?;
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::{FilesError, Reloadable, check_files};
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
        let source = Source::Files {
            certificate: put(folder.path(), "server.pem", split(&pem).0),
            key: put(folder.path(), "server.key", split(&pem).1),
        };
        assert!(Reloadable::new(&source.into()).is_ok());
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
            let source = Source::SelfSigned {
                directory: folder.path().to_owned(),
                name: name.to_owned(),
            };
            assert!(Reloadable::new(&source.into()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_there_yet_or_damaged_has_a_stand_in() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Issued {
            file: folder.path().join("relay.example.com.pem"),
            names: vec!["relay.example.com".to_owned(), "*.example.com".to_owned()],
        };
        assert!(Reloadable::new(&source.clone().into()).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        put(folder.path(), "relay.example.com.pem", "half of a f");
        assert!(Reloadable::new(&source.into()).is_ok());
    }
}
