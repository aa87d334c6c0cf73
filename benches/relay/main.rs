//! Measures posthouse, and Postfix beside it, between a load generator and an upstream sink.
//!
//! `cargo bench --bench relay -- --help` lists the modes; `docs/performance.md` says how to read the figures.
//! Every message carries a number, and a run in which the numbers acknowledged and the numbers arrived differ has no
//! rate: it fails.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

mod modes;
mod options;
mod target;

#[path = "../common"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod common {
    pub(crate) mod command_line;
    pub(crate) mod configuration;
    pub(crate) mod figures;
    pub(crate) mod generator;
    pub(crate) mod ledger;
    pub(crate) mod message;
    pub(crate) mod report;
    pub(crate) mod run;
    pub(crate) mod server;
    pub(crate) mod sink;
    pub(crate) mod tls;
    pub(crate) mod usage;
    pub(crate) mod wire;
}

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod postfix;
    pub(crate) mod process;
}

use std::process::ExitCode;

fn main() -> ExitCode {
    common::command_line::perform("relay", ABOUT, modes::perform)
}

const ABOUT: &str =
    "Measures a relay between a load generator and an upstream sink, all on loopback.";
