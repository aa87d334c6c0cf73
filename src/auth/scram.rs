//! What is kept of a password for SCRAM-SHA-256 (RFC 5802 §5, RFC 7677).

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// How often a password is hashed for SCRAM. RFC 7677 §4 wants 4096 at least; the client pays for it at each login.
const ITERATIONS: u32 = 10_000;

/// What a verifier in a file may ask for: a client must not be made to work for minutes.
const ACCEPTED: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// Why a text is no verifier, or none could be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScramError {
    /// The password has characters that clients prepare in different ways, or is empty.
    #[error("a password for SCRAM has printable characters of ASCII only")]
    Content,
    /// Not of the form.
    #[error("this is no verifier of the form SCRAM-SHA-256$4096:salt$StoredKey:ServerKey")]
    Form,
    /// Fewer iterations than are safe, or more than a client can be asked for.
    #[error("a verifier has 4096 to 1000000 iterations")]
    Iterations,
}

/// A verifier in the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as PostgreSQL writes it too: enough to
/// check a login, not enough to make one.
///
/// Equal when the texts are. `Debug` does not show it.
#[derive(Clone, Eq)]
pub struct ScramVerifier {
    text: Arc<str>,
    iterations: u32,
    salt: Box<[u8]>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl ScramVerifier {
    /// Makes one of a password. Takes some milliseconds of CPU.
    ///
    /// `salt` must be fresh from the system's random generator.
    ///
    /// # Errors
    /// [`ScramError::Content`]: beyond ASCII, clients differ in how they prepare a password (RFC 4013, RFC 8265).
    pub fn of(password: &Secret, salt: [u8; 16]) -> Result<Self, ScramError> {
        let password = password.expose();
        if password.is_empty() || !password.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(ScramError::Content);
        }
        let Some(iterations) = NonZeroU32::new(ITERATIONS) else {
            return Err(ScramError::Iterations);
        };
        let mut salted = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            iterations,
            &salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        Self::parse(&format!(
            "{PREFIX}{ITERATIONS}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(sign(&salted, b"Server Key")),
        ))
    }

    /// Parses a text.
    ///
    /// # Errors
    /// [`ScramError::Form`], [`ScramError::Iterations`].
    pub fn parse(text: &str) -> Result<Self, ScramError> {
        let (parameters, keys) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('$'))
            .ok_or(ScramError::Form)?;
        let (iterations, salt) = parameters.split_once(':').ok_or(ScramError::Form)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(ScramError::Form)?;
        let iterations = iterations.parse().map_err(|_| ScramError::Form)?;
        let salt = STANDARD.decode(salt).map_err(|_| ScramError::Form)?;
        if !ACCEPTED.contains(&iterations) {
            return Err(ScramError::Iterations);
        }
        if !(8..=64).contains(&salt.len()) {
            return Err(ScramError::Form);
        }
        Ok(Self {
            text: text.into(),
            iterations,
            salt: salt.into(),
            stored_key: key(stored_key).ok_or(ScramError::Form)?,
            server_key: key(server_key).ok_or(ScramError::Form)?,
        })
    }

    /// Makes one that nobody has the password of, for a name that cannot log in: always the same for the same name, so
    /// that a second look does not tell that the name is unknown.
    pub(super) fn decoy(name: &str, key: &hmac::Key, iterations: Option<u32>) -> Self {
        let mut octets = hmac::Context::with_key(key);
        octets.update(name.as_bytes());
        let octets = octets.sign();
        let (salt, rest) = octets.as_ref().split_at(16);
        let mut stored_key = [0; 32];
        for (octet, chance) in stored_key.iter_mut().zip(rest) {
            *octet = *chance;
        }
        Self {
            text: Arc::from(""),
            iterations: iterations.unwrap_or(ITERATIONS),
            salt: salt.into(),
            stored_key,
            server_key: stored_key,
        }
    }

    /// Returns the text, for the accounts file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns how often the password was hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Returns the salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Returns the hash of the client's key.
    pub fn stored_key(&self) -> [u8; 32] {
        self.stored_key
    }

    /// Returns the key that the server proves itself with.
    pub fn server_key(&self) -> [u8; 32] {
        self.server_key
    }
}

impl PartialEq for ScramVerifier {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(***)")
    }
}

const PREFIX: &str = "SCRAM-SHA-256$";

fn key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut signature = [0; 32];
    for (octet, signed) in signature.iter_mut().zip(hmac::sign(&key, message).as_ref()) {
        *octet = *signed;
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$";

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_verifier_is_written_with_its_parameters_and_read_again() {
        let verifier = ScramVerifier::of(&secret("pencil"), [7; 16]).unwrap();
        assert!(
            verifier
                .as_str()
                .starts_with("SCRAM-SHA-256$10000:BwcHBwcHBwcHBwcHBwcHBw==$")
        );
        assert_eq!(
            ScramVerifier::parse(verifier.as_str()),
            Ok(verifier.clone())
        );
        assert_eq!(format!("{verifier:?}"), "ScramVerifier(***)");
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let key = STANDARD.encode([1; 32]);
        assert!(ScramVerifier::parse(&format!("{FORM}{key}:{key}")).is_ok());
        for text in [
            "pencil".to_owned(),
            format!("{FORM}{key}"),
            format!("{FORM}{key}:AAAA"),
            format!("SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==${key}:{key}"),
            format!("SCRAM-SHA-256$4096:AAAA${key}:{key}"),
        ] {
            assert_eq!(ScramVerifier::parse(&text), Err(ScramError::Form), "{text}");
        }
        for iterations in [1, 4095, 1_000_001] {
            let text = format!("SCRAM-SHA-256${iterations}:W22ZaJ0SNY7soEsUEjb6gQ==${key}:{key}");
            assert_eq!(ScramVerifier::parse(&text), Err(ScramError::Iterations));
        }
    }

    #[test]
    fn a_password_that_clients_prepare_in_different_ways_is_refused() {
        for password in ["", "päncil", "pen\tcil"] {
            let made = ScramVerifier::of(&secret(password), [7; 16]);
            assert_eq!(made, Err(ScramError::Content));
        }
    }

    #[test]
    fn an_unknown_name_has_the_same_salt_each_time_and_another_than_others() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let salt = |name| ScramVerifier::decoy(name, &key, None).salt.clone();
        assert_eq!(salt("alice"), salt("alice"));
        assert_ne!(salt("alice"), salt("bob"));
        assert_eq!(salt("alice").len(), 16);
    }
}
