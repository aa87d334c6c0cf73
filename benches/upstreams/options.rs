//! What the command line says.

use clap::{Args, Subcommand};

use crate::common::command_line::Place;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// The same loads to an encrypted and to a plain sink in turn: handshakes, and the rate of one to that of the other.
    Tls(Shape),
    /// A load to a sink that wants a login by token: tokens asked for.
    Token(Shape),
}

/// The shape of a load.
#[derive(Args, Clone, Debug)]
pub(crate) struct Shape {
    /// Sessions at once.
    #[arg(long, default_value_t = 20)]
    pub(crate) sessions: usize,
    /// Messages of a run.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    pub(crate) count: u64,
    /// Octets of a message.
    #[arg(long, default_value_t = 4096)]
    pub(crate) size: usize,
    /// Measured runs of each kind, after one that warms up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) runs: u32,
    /// Connections from the relay to the sink.
    #[arg(long, default_value_t = 20)]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) place: Place,
}

impl Shape {
    /// Messages of the run that is not counted.
    pub(crate) fn warm_up(&self) -> u64 {
        (self.count / 10).max(100)
    }

    /// Messages of all runs of one kind.
    pub(crate) fn all(&self) -> u64 {
        self.warm_up() + self.count * u64::from(self.runs)
    }
}
