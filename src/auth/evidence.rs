//! By what a client has shown who it is.

use super::password::PasswordHash;

/// What a login was accepted for. While a session lasts, it is asked again and again whether the account still has it:
/// see [`Accounts::still_trusts`](super::Accounts::still_trusts).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// The password with this hash.
    Password(PasswordHash),
}
