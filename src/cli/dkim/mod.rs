//! `posthouse dkim`: keys that sign, and their records in DNS.

mod check;
mod command;
mod keygen;

pub(super) use command::{Arguments, run};
