//! Measures the edge: how many sessions log in, what a flood of wrong passwords does to the others, and what a connection
//! costs that does nothing.
//!
//! `cargo bench --bench edge -- --help` lists the modes; `docs/performance.md` says how to read the figures. Every mode is
//! bounded in count and time, prints medians and ranges, and asserts nothing.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

mod flood;
#[path = "../relay/generator.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod generator;
mod idle;
#[path = "../relay/ledger.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod ledger;
mod logins;
#[path = "../relay/message.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod message;
mod options;
mod server;
#[path = "../relay/tls.rs"]
mod tls;
#[path = "../relay/usage.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod usage;
#[path = "../relay/wire.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod wire;

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod process;
}

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use crate::options::{Mode, Options};

fn main() -> ExitCode {
    match perform(Options::parse().mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(mode: Option<Mode>) -> io::Result<()> {
    match mode {
        None => {
            println!("nothing measured: give a mode, see `cargo bench --bench edge -- --help`");
            Ok(())
        }
        Some(Mode::Flood(shape)) => flood::perform(&shape),
        Some(Mode::Hold(crowd)) => idle::hold(&crowd),
        Some(Mode::Idle(shape)) => idle::perform(&shape),
        Some(Mode::Logins(shape)) => logins::perform(&shape),
    }
}
