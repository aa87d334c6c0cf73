//! `posthouse upstream`: how the upstreams fare, and the operator's verbs.

mod command;
mod list;
mod offline;
mod park;
mod resume;
mod state;

pub(super) use command::{Arguments, run};
pub(super) use state::state;
