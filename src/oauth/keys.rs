//! Private keys that sign assertions, and what comes with them.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RsaEncoding, RsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::secret::Secret;

/// Why a key is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// There is no certificate.
    #[error("there is no certificate in PEM form")]
    NoCertificate,
    /// There is no private key, or it is encrypted.
    #[error("there is no private key in PEM form that is not encrypted")]
    NoKey,
    /// The key is not of the kind that token endpoints take.
    #[error("the private key is not an RSA key of 2048 to 8192 bits")]
    NotRsa,
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
    /// The file of a service account is something else.
    #[error("it is not the key file of a service account")]
    NotServiceAccount,
    /// The library refuses to sign.
    #[error("the private key cannot sign")]
    Signing,
}

/// An RSA private key. Prints `***`; its memory is overwritten when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningKey(Encoded);

#[derive(Clone, Eq, PartialEq)]
enum Encoded {
    Pkcs1(Zeroizing<Vec<u8>>),
    Pkcs8(Zeroizing<Vec<u8>>),
}

impl SigningKey {
    /// Reads a key from PEM: PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// [`KeyError::NoKey`], [`KeyError::NotRsa`].
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a library's list of encodings; elliptic curves are not taken"
    )]
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let encoded = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoKey)? {
            PrivateKeyDer::Pkcs1(der) => Encoded::Pkcs1(der.secret_pkcs1_der().to_vec().into()),
            PrivateKeyDer::Pkcs8(der) => Encoded::Pkcs8(der.secret_pkcs8_der().to_vec().into()),
            _ => return Err(KeyError::NotRsa),
        };
        let key = Self(encoded);
        key.pair().map(|_| key)
    }

    /// Signs with SHA-256.
    pub(super) fn sign(
        &self,
        padding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let pair = self.pair()?;
        let mut signature = vec![0; pair.public_modulus_len()];
        let signed = pair.sign(padding, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| KeyError::Signing)?;
        Ok(signature)
    }

    /// Returns the public key as PKCS #1 has it.
    fn public(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair()?.public_key().as_ref().to_vec())
    }

    fn pair(&self) -> Result<RsaKeyPair, KeyError> {
        let pair = match &self.0 {
            Encoded::Pkcs1(der) => RsaKeyPair::from_der(der),
            Encoded::Pkcs8(der) => RsaKeyPair::from_pkcs8(der),
        };
        pair.map_err(|_| KeyError::NotRsa)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A certificate that was registered for a program, and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateKey {
    /// The SHA-256 of the certificate.
    pub(super) thumbprint: [u8; 32],
    pub(super) key: SigningKey,
    not_after: Timestamp,
}

impl CertificateKey {
    /// Reads a certificate and its key from PEM. Of a chain the first certificate counts.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, KeyError> {
        let der =
            CertificateDer::from_pem_slice(certificate).map_err(|_| KeyError::NoCertificate)?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| KeyError::NoCertificate)?;
        let key = SigningKey::from_pem(key)?;
        if key.public()? != parsed.public_key().subject_public_key.data.as_ref() {
            return Err(KeyError::OtherKey);
        }
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest(&SHA256, &der).as_ref());
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        Ok(Self {
            thumbprint,
            key,
            not_after: Timestamp::from_unix_millis(seconds.saturating_mul(1000)),
        })
    }

    /// Returns when the certificate expires.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

/// A Google service account with its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccount {
    /// The address of the account.
    pub email: String,
    /// The name of the key.
    pub key_id: String,
    /// Where it asks for tokens.
    pub token_url: Url,
    pub(super) key: SigningKey,
}

/// The file, as Google's console gives it.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key_id: String,
    private_key: Secret,
    token_uri: String,
}

impl ServiceAccount {
    /// Reads the JSON key file that Google's console gives out.
    ///
    /// # Errors
    /// [`KeyError::NotServiceAccount`] where it is something else; [`KeyError::NoKey`], [`KeyError::NotRsa`].
    pub fn from_json(text: &str) -> Result<Self, KeyError> {
        let file: KeyFile = serde_json::from_str(text).map_err(|_| KeyError::NotServiceAccount)?;
        if file.kind != "service_account" {
            return Err(KeyError::NotServiceAccount);
        }
        let url = Url::parse(&file.token_uri).map_err(|_| KeyError::NotServiceAccount)?;
        Ok(Self {
            email: file.client_email,
            key_id: file.private_key_id,
            token_url: url,
            key: SigningKey::from_pem(file.private_key.expose().as_bytes())?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

    use super::*;

    /// A certificate with its key, in PEM.
    pub(in crate::oauth) fn pair() -> (String, String) {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let params = CertificateParams::new(["app.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_read_and_do_not_print() {
        let (certificate, key) = pair();
        let read = CertificateKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert!(read.not_after() > Timestamp::from_unix_millis(0));
        let shown = format!("{read:?}");
        assert!(shown.contains("key: ***"), "{shown}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((certificate, _), (_, key)) = (pair(), pair());
        let read = CertificateKey::from_pem(certificate.as_bytes(), key.as_bytes());
        assert_eq!(read, Err(KeyError::OtherKey));
    }

    #[test]
    fn other_keys_are_refused() {
        assert_eq!(SigningKey::from_pem(b"hello"), Err(KeyError::NoKey));
        let elliptic = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(
            SigningKey::from_pem(elliptic.as_bytes()),
            Err(KeyError::NotRsa)
        );
    }

    #[test]
    fn a_service_account_is_read_from_its_file() {
        let (_, key) = pair();
        let file = serde_json::json!({
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "0123",
            "private_key": key,
            "client_email": "relay@p.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        let account = ServiceAccount::from_json(&file.to_string()).unwrap();
        assert_eq!(account.email, "relay@p.iam.gserviceaccount.com");
        let other = serde_json::json!({ "installed": { "client_id": "x" } });
        assert_eq!(
            ServiceAccount::from_json(&other.to_string()),
            Err(KeyError::NotServiceAccount)
        );
    }
}
