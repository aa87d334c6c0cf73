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

mod generator;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod ledger;
mod message;
mod modes;
mod options;
mod report;
mod run;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod sink;
mod target;
mod tls;
mod usage;
mod wire;

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod postfix;
    pub(crate) mod process;
}

use std::process::ExitCode;

use clap::Parser as _;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    match modes::perform(options.mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}
