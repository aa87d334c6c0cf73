//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463): what is signed, by whom, and what stands in DNS for it.
//!
//! [`Signers`] knows the keys of all domains. [`Reader`] takes a message's octets as they will leave, finds by its `From:` who
//! signs it, and hashes its body as it comes; [`Unsigned::sign`] gives the fields that go in front. [`KeyRecord`] is the
//! other half of a key, as DNS shows it; [`judge`] compares both.

mod body;
mod canonical;
mod fields;
mod key;
mod reader;
mod record;
mod signature;
mod signers;
#[cfg(test)]
pub(crate) mod verify;

pub use canonical::{Canonicalization, Form};
pub use key::{Algorithm, Key, KeyError};
pub use reader::{Reader, Unsigned};
pub use record::{Finding, KeyRecord, judge};
pub use signature::SigningError;
pub use signers::{Selector, SelectorError, Signer, Signers, Subdomains};
