//! Certificates and keys in PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a certificate or its key is not used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has no certificate in PEM form.
    #[error("there is no certificate in {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file has no private key in PEM form.
    #[error("there is no unencrypted private key in {path}")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What stands between BEGIN and END cannot be decoded.
    #[error("the PEM in {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The key belongs to another certificate.
    #[error("the key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// rustls refuses certificate or key.
    #[error("cannot use the certificate in {certificate}")]
    Refused {
        /// The file with the certificate.
        certificate: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl FilesError {
    /// Returns the file that is at fault.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::NoCertificate { path }
            | Self::NoKey { path }
            | Self::Damaged { path, .. } => path,
            Self::Refused { certificate, .. } => certificate,
            Self::Mismatch { key, .. } => key,
        }
    }
}

/// Reads a certificate and its key, and sees that they belong together. Blocks on the disk.
///
/// # Errors
/// [`FilesError`] names the file and what is wrong with it.
pub(super) fn certified_key(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FilesError> {
    let chain = read_chain(certificate)?;
    let private_key = read_key(key)?;
    CertifiedKey::from_der(chain, private_key, provider).map_err(|source| {
        if matches!(source, rustls::Error::InconsistentKeys(_)) {
            FilesError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            }
        } else {
            FilesError::Refused {
                certificate: certificate.to_owned(),
                source,
            }
        }
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    fs::read(path).map_err(|source| FilesError::Read {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| FilesError::Damaged {
            path: path.to_owned(),
            source,
        })?;
    if chain.is_empty() {
        return Err(FilesError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FilesError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| {
        let path = path.to_owned();
        if matches!(source, pem::Error::NoItemsFound) {
            FilesError::NoKey { path }
        } else {
            FilesError::Damaged { path, source }
        }
    })
}
