//! Access tokens that clients log in with (RFC 6750), judged for the account they speak for.
//!
//! A token is either a JWT (RFC 7519), which is judged here with the keys of its issuer, or an opaque text that its
//! issuer is asked about (RFC 7662). A [`Verifier`] holds the issuers of the configuration, their keys and, for a short
//! time, their answers. An issuer that does not answer makes logins wait; it never makes a token wrong.
//!
//! Nothing here knows which accounts exist, or how SMTP carries a token. No token is logged, and none is in a text.

mod answers;
mod claims;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod inquiry;
mod issuer;
mod judge;
mod jwt;
mod keyring;
mod keys;
#[cfg(test)]
#[path = "../../tests/support/identity_provider.rs"]
mod provider;
mod refusal;
mod settings;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod tests;
mod verifier;

pub use refusal::Refusal;
pub use settings::{AccountRule, Check, Demands, KeySource, Settings};
pub use verifier::{Grant, Verdict, Verifier};
