//! Who may send as whom: one pure function and the values it judges.

mod rules;

pub use rules::{Detail, Grant, Grants, OnUnauthorized, Rules, Scope};
