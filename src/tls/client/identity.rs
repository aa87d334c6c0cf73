//! The certificate that is shown to servers that want to know who connects.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::SingleCertAndKey;

use crate::tls::files::{FilesError, certified_key};

use super::certificate::PeerCertificate;

/// A certificate of ours with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    resolver: Arc<dyn ResolvesClientCert>,
    certificate: Option<PeerCertificate>,
}

impl Identity {
    /// Reads certificate and key from PEM files and sees that they belong together. Blocks on the disk.
    ///
    /// # Errors
    /// [`FilesError`] names the file and what is wrong with it.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, FilesError> {
        let certified = certified_key(certificate, key, &aws_lc_rs::default_provider())?;
        let own = certified.cert.first().and_then(PeerCertificate::parse);
        Ok(Self {
            resolver: Arc::new(SingleCertAndKey::from(certified)),
            certificate: own,
        })
    }

    /// Returns what the certificate says of itself; `None` where it cannot be read.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// Returns the configuration with this certificate, which is shown to servers that ask for one.
    pub fn shown_by(&self, config: &ClientConfig) -> Arc<ClientConfig> {
        let mut config = config.clone();
        config.client_auth_cert_resolver = Arc::clone(&self.resolver);
        Arc::new(config)
    }
}
