//! Measures the queue: urgent mail that overtakes, neighbours that do not wait, a million messages.
//!
//! `cargo bench --bench queue -- --help` lists the modes; `docs/performance.md` says how to read the figures. Load
//! generator and upstream sink are those of `benches/relay`.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

mod bandwidth;
mod figure;
#[path = "../relay/generator.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod generator;
#[path = "../relay/ledger.rs"]
mod ledger;
#[path = "../relay/message.rs"]
mod message;
mod million;
mod options;
mod overtaking;
mod relay;
#[path = "../relay/run.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod run;
#[path = "../relay/sink.rs"]
mod sink;
mod stage;
#[path = "../relay/usage.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod usage;
#[path = "../relay/wire.rs"]
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
    let options = Options::parse();
    match perform(options.mode) {
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
            println!("nothing measured: give a mode, see `cargo bench --bench queue -- --help`");
            Ok(())
        }
        Some(Mode::Bandwidth(shape)) => bandwidth::measure(&shape),
        Some(Mode::Million(shape)) => million::measure(&shape),
        Some(Mode::Neighbour(shape)) => overtaking::neighbour(&shape),
        Some(Mode::Urgent(shape)) => overtaking::urgent(&shape),
    }
}
