//! By what a client has shown who it is.

use super::password::PasswordHash;
use super::scram::ScramVerifier;
use crate::identity::Label;

/// What a login was accepted for. While a session lasts, it is asked again and again whether the account still has it:
/// see [`Accounts::still_trusts`](super::Accounts::still_trusts).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// The application password of this name with this hash.
    AppPassword(Label, PasswordHash),
    /// The password with this hash.
    Password(PasswordHash),
    /// The password with this verifier.
    Scram(ScramVerifier),
}

impl Evidence {
    /// Returns the name of the application password, where it was one.
    pub fn label(&self) -> Option<&Label> {
        match self {
            Self::AppPassword(label, _) => Some(label),
            Self::Password(_) | Self::Scram(_) => None,
        }
    }
}
