//! How much accounts and tenants may send: rates of messages, recipients and octets, and sessions at once.
//!
//! Counts what is accepted, in memory, and keeps the counts in a file so that a restart forgets at most about a second
//! of them. Refuses nothing itself: it answers whether there is room, and from when on. Knows nothing of SMTP or of the
//! spool.

mod keeper;
mod limits;
mod meter;
mod quotas;
mod store;
mod table;

pub use keeper::Keeper;
pub use limits::{Amounts, Limits, Measure, OverQuota};
pub use quotas::{Excess, Owner, Pass, Quotas, Reservation};
pub use store::{LoadError, Stored, load};
pub use table::{Table, TenantLimits};
