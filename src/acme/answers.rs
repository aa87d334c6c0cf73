//! What is shown to an authority that looks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::error::AcmeError;

/// Where the pages of challenges are (RFC 8555 §8.3).
const PAGES: &str = "/.well-known/acme-challenge/";

/// The answers to the challenges that are open now. Cheap to clone; clones have the same answers.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Content by token.
    pages: Arc<RwLock<HashMap<String, String>>>,
    /// By name.
    certificates: Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>,
}

impl Answers {
    /// Returns the content of the page at this path, if a challenge asks for it.
    pub fn page(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PAGES)?;
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        pages.get(token).cloned()
    }

    /// Returns the certificate that answers a challenge for a name.
    pub(super) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let certificates = self.certificates.read();
        let certificates = certificates.unwrap_or_else(PoisonError::into_inner);
        certificates.get(&name.to_ascii_lowercase()).cloned()
    }

    pub(super) fn put_page(&self, token: &str, content: &str) {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        pages.insert(token.to_owned(), content.to_owned());
    }

    pub(super) fn remove_page(&self, token: &str) {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        pages.remove(token);
    }

    /// Makes the certificate that answers a challenge (RFC 8737 §3).
    pub(super) fn put_certificate(&self, name: &str, digest: &[u8]) -> Result<(), AcmeError> {
        let certified = challenge_certificate(name, digest)?;
        let certificates = self.certificates.write();
        let mut certificates = certificates.unwrap_or_else(PoisonError::into_inner);
        certificates.insert(name.to_ascii_lowercase(), Arc::new(certified));
        Ok(())
    }

    pub(super) fn remove_certificate(&self, name: &str) {
        let certificates = self.certificates.write();
        let mut certificates = certificates.unwrap_or_else(PoisonError::into_inner);
        certificates.remove(&name.to_ascii_lowercase());
    }
}

fn challenge_certificate(name: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    // It has exactly the name, and the digest in a critical extension.
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(AcmeError::Make)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(AcmeError::Make)?;
    let certificate = params.self_signed(&key).map_err(AcmeError::Make)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone()];
    // Not compared with the certificate: the library does not read one with a critical extension that it does not know.
    let key = aws_lc_rs::sign::any_supported_type(&key);
    let key = key.map_err(|_| AcmeError::Certificate {
        reason: "its key is not understood",
    })?;
    Ok(CertifiedKey::new(chain, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_there_while_its_challenge_is_open() {
        let answers = Answers::default();
        answers.put_page("token", "content");
        let path = "/.well-known/acme-challenge/token";
        assert_eq!(answers.page(path).as_deref(), Some("content"));
        for other in [
            "/",
            "/token",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/other",
        ] {
            assert_eq!(answers.page(other), None, "{other}");
        }
        answers.clone().remove_page("token");
        assert_eq!(answers.page(path), None);
    }

    #[test]
    fn the_certificate_of_a_challenge_has_the_critical_identifier() {
        let answers = Answers::default();
        answers
            .put_certificate("Mail.example.com", &[7; 32])
            .unwrap();
        let certified = answers.certificate("mail.EXAMPLE.com").unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        let identifier = parsed
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(identifier.critical);
        assert_eq!(identifier.value, [&[0x04, 0x20][..], &[7; 32]].concat());
        answers.remove_certificate("mail.example.com");
        assert!(answers.certificate("mail.example.com").is_none());
    }
}
