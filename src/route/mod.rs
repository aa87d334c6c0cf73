//! Which upstream takes a message: by its recipient, else account, tenant, parents, global. Pure; the configuration builds
//! the table.

mod pattern;
mod rules;
mod table;

pub use pattern::{Pattern, PatternError};
pub use rules::{Rule, Rules, Scope};
pub use table::{Basis, Choice, Owner, Placement, Sending, Table, TenantRoute};
