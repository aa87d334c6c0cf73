//! Which upstream takes a message: account, tenant, parents, global. Pure; the configuration builds the table.

mod table;

pub use table::{Sending, Table, TenantRoute};
