//! The durable spool of one machine: an append-only log of segments, with an index in memory.
//!
//! Messages live for seconds, so nothing is ever changed in place: a message is one record, what becomes of it are
//! further records, and a segment goes when nothing in it is needed any more. One committer gathers what waits into
//! one write and one sync; nobody hears that something is done before that sync has succeeded.
//!
//! `docs/spool.md` has the format byte by byte, the guarantees and the crash story.
//!
//! Not here: which message is attempted when (`relay`), what a message must look like (`submission`).

mod admin;
mod cache;
mod change;
mod committer;
#[cfg(test)]
mod crash_tests;
mod damage;
#[cfg(test)]
mod damage_tests;
mod disk;
mod draft;
mod engine;
#[cfg(test)]
mod fault_tests;
mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gauge;
mod layout;
mod ledger;
mod lock;
mod log;
mod message;
mod queue;
mod read;
mod record;
mod recovery;
mod rewrite;
#[cfg(test)]
mod rewrite_tests;
#[cfg(test)]
mod rig;
mod scan;
mod segments;
mod settings;
mod shared;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
mod untold;
mod verbs;

pub use engine::EmbeddedSpool;
pub use settings::{OpenError, Settings};
