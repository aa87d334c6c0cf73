//! Measures the way to upstreams: what TLS costs when connections are kept, and how many tokens logins take.
//!
//! `cargo bench --bench upstreams -- --help` lists the modes; `docs/performance.md` says how to read the figures. Load
//! generator and upstream sink are those of `benches/common`. Graph has a bench of its own.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: its table is its output, and a bug in it ends the run"
)]

mod options;
mod series;
mod tls;
mod token;

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
    pub(crate) mod http_server;
    pub(crate) mod process;
    pub(crate) mod token_server;
}

use std::process::ExitCode;

use crate::options::Mode;

fn main() -> ExitCode {
    common::command_line::perform("upstreams", ABOUT, |mode| match mode {
        Mode::Tls(shape) => tls::measure(&shape),
        Mode::Token(shape) => token::measure(&shape),
    })
}

const ABOUT: &str = "Measures the way from posthouse to upstreams, all on loopback.";
