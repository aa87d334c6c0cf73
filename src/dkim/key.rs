//! Private keys (RFC 6376 §3.3, RFC 8301, RFC 8463).

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// How a signature is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// ed25519-sha256: short keys and signatures; not yet understood everywhere.
    Ed25519,
    /// rsa-sha256: understood by all.
    Rsa,
}

/// A private key.
pub struct Key {
    pair: Pair,
    /// The public key as it stands in DNS, without base64.
    public: Vec<u8>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Why octets are not a key that signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The key is protected by a password.
    #[error("the key is encrypted")]
    Encrypted,
    /// There is no private key in it.
    #[error("there is no private key in it, in PEM")]
    Missing,
    /// A key of another kind, or an RSA key of fewer than 2048 or more than 8192 bits.
    #[error("the key is neither Ed25519 nor RSA of 2048 to 8192 bits")]
    Unsuitable,
    /// The operating system gives no random numbers.
    #[error("no key could be made")]
    NotMade,
}

impl Algorithm {
    /// Returns its name in `a=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519-sha256",
            Self::Rsa => "rsa-sha256",
        }
    }

    /// Returns the name of its keys in DNS.
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }
}

impl Key {
    /// Reads a key in PEM: PKCS #8, or PKCS #1 for RSA.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
        let key = key.map_err(|_| KeyError::Missing)?;
        let der = Zeroizing::new(key.secret_der().to_vec());
        let pair = match key {
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(&der).map(Pair::Rsa),
            PrivateKeyDer::Pkcs8(_) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map(Pair::Ed25519)
                .or_else(|_| RsaKeyPair::from_pkcs8(&der).map(Pair::Rsa)),
            PrivateKeyDer::Sec1(_) | _ => return Err(KeyError::Unsuitable),
        };
        Self::of(pair.map_err(|_| KeyError::Unsuitable)?)
    }

    /// Makes a key: RSA of 2048 bits, or Ed25519. RSA takes up to a second.
    ///
    /// # Errors
    /// [`KeyError::NotMade`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed25519),
            Algorithm::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
        };
        Self::of(pair.map_err(|_| KeyError::NotMade)?)
    }

    fn of(pair: Pair) -> Result<Self, KeyError> {
        let public = match &pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair
                    .public_key()
                    .as_der()
                    .map_err(|_| KeyError::Unsuitable)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Self { pair, public })
    }

    /// Returns it in PEM, as PKCS #8.
    ///
    /// # Errors
    /// [`KeyError::NotMade`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der: Pkcs8V1Der<'_> = match &self.pair {
            Pair::Ed25519(pair) => pair.as_der(),
            Pair::Rsa(pair) => pair.as_der(),
        }
        .map_err(|_| KeyError::NotMade)?;
        let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
        let mut rest = text.as_str();
        while let Some((line, tail)) = rest.split_at_checked(64.min(rest.len()))
            && !line.is_empty()
        {
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// Returns how it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &self.pair {
            Pair::Ed25519(_) => Algorithm::Ed25519,
            Pair::Rsa(_) => Algorithm::Rsa,
        }
    }

    /// Returns the public key as it stands in DNS (RFC 6376 §3.6.1, RFC 8463 §4.2), in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(&self.public)
    }

    /// Returns whether octets from DNS are this public key. RSA keys stand there in one of two forms.
    pub(super) fn is_public(&self, octets: &[u8]) -> bool {
        let is_bare = match &self.pair {
            Pair::Ed25519(_) => false,
            Pair::Rsa(pair) => pair.public_key().as_ref() == octets,
        };
        self.public == octets || is_bare
    }

    /// Signs the digest of a header; `None` where there is no memory. RSA of 2048 bits takes about a millisecond.
    ///
    /// `data` is what is hashed, for RSA; RFC 8463 §3 signs the digest as if it were the message.
    pub(super) fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ed25519(pair) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
                Some(pair.sign(digest.as_ref()).as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    data,
                    &mut signature,
                )
                .ok()?;
                Some(signature)
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_made_can_be_read_again() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Rsa] {
            let key = Key::generate(algorithm).unwrap();
            let pem = key.to_pem().unwrap();
            assert!(pem.lines().all(|line| line.len() <= 64));
            let again = Key::parse(&pem).unwrap();
            assert_eq!(again, key);
            assert_eq!(again.algorithm(), algorithm);
            assert_ne!(Key::generate(algorithm).unwrap(), key);
        }
    }

    /// RFC 8463 appendix A.2: the private key as a seed, in the PKCS #8 that OpenSSL writes.
    #[test]
    fn the_key_of_rfc_8463_has_its_public_key() {
        let key = Key::parse(crate::dkim::verify::RFC_8463_KEY).unwrap();
        assert_eq!(key.public(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn what_is_no_suitable_key_says_so() {
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, error) in [
            ("", KeyError::Missing),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                KeyError::Missing,
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                KeyError::Unsuitable,
            ),
            (encrypted, KeyError::Encrypted),
            // RFC 8301 §3.2 lets such short keys be verified, and no longer advises to sign with them.
            (crate::dkim::verify::RFC_8463_RSA_KEY, KeyError::Unsuitable),
        ] {
            assert_eq!(Key::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_key_prints_no_secret() {
        let key = Key::generate(Algorithm::Ed25519).unwrap();
        assert_eq!(format!("{key:?}"), "Key { algorithm: Ed25519, .. }");
    }
}
