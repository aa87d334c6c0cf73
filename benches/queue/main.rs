//! Measures the queue: urgent mail that overtakes, neighbours that do not wait, a million messages.
//!
//! `cargo bench --bench queue -- --help` lists the modes; `docs/performance.md` says how to read the figures. Load
//! generator and upstream sink are those of `benches/common`.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

mod bandwidth;
mod million;
mod options;
mod overtaking;
mod relay;
mod stage;

#[path = "../common"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod common {
    pub(crate) mod command_line;
    pub(crate) mod configuration;
    pub(crate) mod figures;
    pub(crate) mod generator;
    pub(crate) mod ledger;
    pub(crate) mod message;
    pub(crate) mod run;
    pub(crate) mod server;
    pub(crate) mod sink;
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
    common::command_line::perform("queue", ABOUT, |mode| match mode {
        Mode::Bandwidth(shape) => bandwidth::measure(&shape),
        Mode::Million(shape) => million::measure(&shape),
        Mode::Neighbour(shape) => overtaking::neighbour(&shape),
        Mode::Urgent(shape) => overtaking::urgent(&shape),
    })
}

const ABOUT: &str = "Measures the queue of posthouse between a load generator and an upstream sink, all on loopback.";
