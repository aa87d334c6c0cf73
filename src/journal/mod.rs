//! The life of each message, also after it has left the queue: for `posthouse trace`.
//!
//! Who wants to tell something calls [`Journal::record`]; a thread of its own appends it to files in
//! `data_dir/journal`, many events with one write. Old files are removed whole, by age and by size.
//!
//! The journal tells, the spool guarantees: nothing waits for the journal, nothing is synced, and what has not been
//! written when the power goes is lost. Where the disk fails, or events come faster than they can be written, events are
//! dropped and counted, and mail goes on.
//!
//! Not here: passwords, headers and bodies. No event has a place for them.

mod event;
mod files;
mod lookup;
mod writer;

pub use event::{
    Accepted, Attempt, Channel, Deed, Encryption, Event, MAX_NAMED, PriorityBasis, PriorityNote,
    RecipientFate, RecipientNote, Record, Report,
};
pub use lookup::{Found, find};
pub use writer::{Journal, Settings};
