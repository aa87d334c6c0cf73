//! `posthouse upstream`: how the upstreams fare, and the operator's verbs.

mod command;
mod list;
mod login;
mod offline;
mod park;
mod resume;
mod show;
mod state;
mod test;

pub(super) use command::{Arguments, run};
pub(super) use state::state;
pub(super) use test::look_at;
