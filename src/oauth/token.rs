//! The token.

use std::fmt;
use std::sync::Arc;

use crate::secret::Secret;

/// An access token (RFC 6749 §1.4). Cheap to clone; prints `***`; its memory is overwritten when the last clone is
/// dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct AccessToken(Arc<Secret>);

impl AccessToken {
    /// Takes a token in.
    pub fn new(token: Secret) -> Self {
        Self(Arc::new(token))
    }

    /// Returns the text. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_print() {
        let token = AccessToken::new(Secret::new("eyJ0".to_owned()));
        assert_eq!(format!("{token:?}"), "***");
        assert_eq!(token.expose(), "eyJ0");
    }
}
