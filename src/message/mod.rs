//! What is read from a message or changed in it on its way in.
//!
//! [`HeaderCollector`] gathers the header while the message arrives, [`inspect`] reads what is judged and what decides
//! its priority, [`rewrite`] gives the header that is stored. The body is never looked at.

mod collect;
mod inspect;
mod priority;
mod rewrite;
mod tls_required;

pub use collect::{Collected, HeaderCollector};
pub use inspect::{AddressRule, Fault, Inspected, MAX_HOPS, inspect};
pub use rewrite::{Greeting, PriorityHeader, ShownPriority, Tls, Trace, own_message_id, rewrite};
