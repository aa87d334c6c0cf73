//! What is read from a message or changed in it on its way in.
//!
//! [`HeaderCollector`] gathers the header while the message arrives, [`inspect`] reads what is judged and what decides
//! its priority, [`substitute`] replaces senders where that is wanted, [`rewrite`] gives the header that is stored, with the
//! fields that are added. The body is never looked at.

mod added;
mod collect;
mod inspect;
mod priority;
mod rewrite;
mod senders;
mod tls_required;

pub use added::{AddedField, AddedFieldError, Facts};
pub use collect::{Collected, HeaderCollector};
pub use inspect::{AddressRule, Fault, Inspected, MAX_HOPS, inspect};
pub use rewrite::{Greeting, PriorityHeader, ShownPriority, Tls, Trace, own_message_id, rewrite};
pub use senders::{Change, Names, Substituted, is_plain_sender, substitute};
