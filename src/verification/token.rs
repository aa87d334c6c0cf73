//! The secret in a link. What is stored is its digest: who reads the file cannot confirm anything.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Octets of chance in a token: 256 bits, which nobody guesses.
const OCTETS: usize = 32;

/// The secret of a link, or the text of a record; both are written with letters, digits, `-` and `_`.
pub struct Token(Zeroizing<String>);

/// The operating system gives no chance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct TokenError;

impl Token {
    /// Makes one from the chance of the operating system.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn random() -> Result<Self, TokenError> {
        let mut octets = Zeroizing::new([0; OCTETS]);
        getrandom::fill(&mut *octets).map_err(|_| TokenError)?;
        Ok(Self(Zeroizing::new(
            URL_SAFE_NO_PAD.encode(octets.as_slice()),
        )))
    }

    /// Returns its text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The SHA-256 of a token. Compared in a time that does not tell where two differ.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of a token's text.
    pub fn of(token: &str) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(octets)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(octets.try_into().ok()?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Digest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_fit_into_a_link_and_are_not_shown() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 43);
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(one.expose().chars().all(fits));
        assert_eq!(format!("{one:?}"), "Token(***)");
    }

    #[test]
    fn a_digest_is_that_of_its_token_alone() {
        let digest = Digest::of("abc");
        assert_eq!(digest, Digest::of("abc"));
        assert_ne!(digest, Digest::of("abd"));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert!(!digest.to_string().contains("abc"));
        assert!(Digest::parse("abc").is_none());
    }
}
