//! `posthouse queue`: what waits, and the operator's verbs.
//!
//! A running server is asked through its control socket. Where none runs, the spool itself is opened, so that an
//! operator can look at the queue and repair it before the next start.

mod change;
mod command;
mod drain;
mod filter;
mod list;
mod show;
mod source;
mod stats;
mod target;

pub(super) use command::{Arguments, run};
pub(super) use filter::queue_id;
pub(super) use list::{due, state};
pub(super) use source::{Source, check_owner, exists};
