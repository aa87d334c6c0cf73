//! `posthouse upstream`: how the upstreams fare, and the operator's verbs.

mod command;
mod list;
mod login;
mod test;

pub(super) use command::{Arguments, run};
pub(super) use test::look_at;
