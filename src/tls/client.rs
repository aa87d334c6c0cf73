//! How the certificate of a server we connect to is judged.
//!
//! Each function gives a configuration with TLS 1.2 and 1.3, session resumption, and the provider named explicitly, so
//! that no process-wide default is needed.

mod certificate;
mod dane;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::constant_time::verify_slices_are_equal;
use ::aws_lc_rs::digest::{Digest, SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

pub use certificate::PeerCertificate;
pub use dane::{Association, dane};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// The file cannot be read or is not PEM.
    #[error("cannot read the certificate authorities in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The file holds no certificate of an authority.
    #[error("there is no usable certificate authority in {path}")]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The operating system names no authority; on Debian the package ca-certificates brings them.
    #[error("the operating system has no certificate authorities (package ca-certificates)")]
    NoSystemRoots(#[source] io::Error),
    /// The TLS library refuses its own settings.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// Trusts the authorities that the operating system trusts. Reads files; takes some milliseconds.
///
/// # Errors
/// [`ClientTlsError::NoSystemRoots`] where there are none; [`ClientTlsError::Setup`].
pub fn system_roots() -> Result<Arc<ClientConfig>, ClientTlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let cause = found.errors.into_iter().next();
        return Err(ClientTlsError::NoSystemRoots(cause.map_or_else(
            || io::Error::from(io::ErrorKind::NotFound),
            io::Error::other,
        )));
    }
    with_roots(roots)
}

/// Trusts only the authorities in a PEM file.
///
/// # Errors
/// [`ClientTlsError::Read`], [`ClientTlsError::NoAuthority`], [`ClientTlsError::Setup`].
pub fn authority(path: &Path) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let read = |source| ClientTlsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        // What is no authority is passed over; a file without any is an error below.
        let _ = roots.add(certificate.map_err(read)?);
    }
    if roots.is_empty() {
        return Err(ClientTlsError::NoAuthority {
            path: path.to_owned(),
        });
    }
    with_roots(roots)
}

/// Trusts the one certificate whose SHA-256 is `sha256`, whatever its name, issuer and dates.
///
/// # Errors
/// [`ClientTlsError::Setup`].
pub fn fingerprint(sha256: [u8; 32]) -> Result<Arc<ClientConfig>, ClientTlsError> {
    custom(Judge::Fingerprint(sha256))
}

/// Trusts everybody: the connection is private, but nobody knows with whom. Signatures are still checked.
///
/// # Errors
/// [`ClientTlsError::Setup`].
pub fn unverified() -> Result<Arc<ClientConfig>, ClientTlsError> {
    custom(Judge::Nobody)
}

/// Returns the SHA-256 of a certificate in hexadecimal, as [`fingerprint`] takes it.
pub fn fingerprint_of(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::with_capacity(64);
    for octet in sha256(certificate).as_ref() {
        // Writing into memory does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn sha256(certificate: &CertificateDer<'_>) -> Digest {
    digest(&SHA256, certificate)
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let provider = provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| ClientTlsError::Setup(rustls::Error::General(error.to_string())))?;
    with_verifier(provider, verifier)
}

fn custom(judge: Judge) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let provider = provider();
    let verifier = Arc::new(Verifier {
        judge,
        provider: Arc::clone(&provider),
    });
    with_verifier(provider, verifier)
}

fn with_verifier(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientTlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Judges certificates without authorities.
#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Judge {
    Dane(dane::Dane),
    Fingerprint([u8; 32]),
    Nobody,
}

/// The certificate is not the pinned one: the cause in [`CertificateError::Other`].
#[derive(Debug, thiserror::Error)]
#[error("its SHA-256 fingerprint is {0}, which is not the configured one")]
pub struct OtherFingerprint(String);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.judge {
            Judge::Dane(dane) => dane.judge(end_entity, intermediates, &self.provider, now)?,
            Judge::Fingerprint(expected) => {
                let is_same = verify_slices_are_equal(expected, sha256(end_entity).as_ref());
                if is_same.is_err() {
                    let cause = OtherError(Arc::new(OtherFingerprint(fingerprint_of(end_entity))));
                    return Err(CertificateError::Other(cause).into());
                }
            }
            Judge::Nobody => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = authority(Path::new("/nowhere/ca.pem")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the certificate authorities in /nowhere/ca.pem"
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(
            authority(file.path()),
            Err(ClientTlsError::NoAuthority { .. })
        ));
    }
}
