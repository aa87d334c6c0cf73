//! Accounts and the checking of passwords.
//!
//! An [`Authenticator`] answers whether a name and a password belong together. It hashes on threads of its own, so
//! the runtime never waits for argon2; it remembers successes for a short time as keyed digests; it makes failures
//! wait, by address and by account. Nothing here knows where accounts are stored or how SMTP asks for a login.

mod account;
mod app_password;
mod authenticator;
mod cache;
mod certificate;
mod costs;
mod decoys;
mod evidence;
mod password;
mod pool;
mod scram;
mod throttle;
mod uses;

pub use account::{Account, Accounts, AccountsError};
pub use app_password::{AppPassword, Prefix};
pub use authenticator::{
    Admission, Authenticator, AuthenticatorError, CLIENTS_FILE, Settings, Verdict,
};
pub use certificate::{CertificateId, CertificateIdError};
pub use decoys::{DECOYS_FILE, Decoys};
pub use evidence::Evidence;
pub use password::{PasswordError, PasswordHash, generate_password, hash_password};
pub use scram::{ScramError, ScramVerifier};
pub use throttle::{Block, FailureLimit, Subject, ThrottleSettings};
pub use uses::{USES_FILE, Use, Uses};
