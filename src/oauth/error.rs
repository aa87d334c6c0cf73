//! Why there is no token.

use std::time::Duration;

use crate::http::HttpError;

/// Why there is no token. Texts are for people: one line, printable, without secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// The token endpoint cannot be reached, is overloaded, or answered nonsense. Later it may do.
    #[error("{text}")]
    Temporary {
        /// What happened.
        text: Box<str>,
        /// How long it asked to wait, where it did.
        pause: Option<Duration>,
    },
    /// A person must repair something: a secret that is wrong or has expired, a permission that is missing or was taken
    /// back.
    #[error("{0}")]
    Unusable(Box<str>),
}

impl TokenError {
    /// Makes a temporary error without a pause.
    pub fn temporary(text: impl Into<Box<str>>) -> Self {
        Self::Temporary {
            text: text.into(),
            pause: None,
        }
    }
}

impl From<HttpError> for TokenError {
    fn from(error: HttpError) -> Self {
        let text = format!("no answer from the token endpoint: {error}");
        if error.is_lasting() {
            Self::Unusable(text.into())
        } else {
            Self::temporary(text)
        }
    }
}
