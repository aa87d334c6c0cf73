//! Senders that somebody has proved to be theirs: which wait for a proof, which have one, and the mail that asks for it.
//!
//! An address is proved by a link that was sent to it, a domain by a record in its DNS, and both by the word of an
//! operator. What waits does not authorize. Nothing here sends, looks up or serves: the proof is brought by others.

mod ledger;
mod letter;
mod stored;
mod subject;
mod token;

pub use ledger::{Entry, Ledger, LedgerError, Proof, Question, Standing, Verified};
pub use letter::{Letter, Written};
pub use subject::{parse, record_name, record_text, written};
pub use token::{Digest, Token, TokenError};
