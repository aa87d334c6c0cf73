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

mod attack;
mod client;
mod decoy;
mod flood;
mod idle;
mod logins;
mod options;
mod server;

#[path = "../common"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod common {
    pub(crate) mod command_line;
    pub(crate) mod configuration;
    pub(crate) mod figures;
    pub(crate) mod generator;
    pub(crate) mod ledger;
    pub(crate) mod message;
    pub(crate) mod server;
    pub(crate) mod tls;
    pub(crate) mod usage;
    pub(crate) mod wire;
}

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod process;
}

use std::process::ExitCode;

use crate::options::Mode;

fn main() -> ExitCode {
    common::command_line::perform("edge", ABOUT, |mode| match mode {
        Mode::Attack(order) => attack::make(&order),
        Mode::Decoy => decoy::answer(),
        Mode::Flood(shape) => flood::perform(&shape),
        Mode::Hold(shape) => idle::hold(&shape),
        Mode::Idle(shape) => idle::perform(&shape),
        Mode::Logins(shape) => logins::perform(&shape),
    })
}

const ABOUT: &str = "Measures the edge of posthouse, all on loopback.";
