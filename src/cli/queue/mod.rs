//! `posthouse queue`: what waits, and the operator's verbs.
//!
//! A running server is asked through its control socket. Where none runs, the spool itself is opened, so that an
//! operator can look at the queue and repair it before the next start.

mod change;
mod command;
mod filter;
mod list;
mod show;
mod source;
mod stats;

pub(super) use command::{Arguments, run};
