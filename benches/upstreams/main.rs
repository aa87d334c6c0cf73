//! Measures the way to upstreams: what TLS costs when connections are kept, and how many tokens logins take.
//!
//! `cargo bench --bench upstreams -- --help` lists the modes; `docs/performance.md` says how to read the figures. Load
//! generator and upstream sink are those of `benches/relay`. Graph has a bench of its own.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

#[path = "../relay/generator.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod generator;
#[path = "../relay/ledger.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod ledger;
#[path = "../relay/message.rs"]
mod message;
mod options;
#[path = "../relay/report.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod report;
#[path = "../relay/run.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod run;
mod series;
#[path = "../relay/sink.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod sink;
mod tls;
mod token;
#[path = "../relay/usage.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod usage;
#[path = "../relay/wire.rs"]
mod wire;

#[path = "../../tests/support"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support {
    pub(crate) mod http_server;
    pub(crate) mod process;
    pub(crate) mod token_server;
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
            println!(
                "nothing measured: give a mode, see `cargo bench --bench upstreams -- --help`"
            );
            Ok(())
        }
        Some(Mode::Tls(shape)) => tls::measure(&shape),
        Some(Mode::Token(shape)) => token::measure(&shape),
    }
}
