//! What the command line says.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::common::command_line::Place;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Urgent messages while all connections send large bodies within a bandwidth.
    Bandwidth(Bandwidth),
    /// Memory, start, list and rates with a million messages queued.
    Million(Million),
    /// Messages of one account beside another one's bulk, of the same priority.
    Neighbour(Neighbour),
    /// Urgent messages in front of a bulk of low priority.
    Urgent(Urgent),
}

/// Urgent messages while all connections send large bodies within a bandwidth.
#[derive(Args, Clone, Debug)]
pub(crate) struct Bandwidth {
    /// Large messages, of priority 4.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) bulk: u64,
    /// Mebibytes of a large message.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=45))]
    pub(crate) mebibytes: u64,
    /// Mbit/s that the upstream is given.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) megabits: u64,
    /// Urgent messages.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub(crate) samples: u64,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Memory, start, list and rates with a million messages queued.
#[derive(Args, Clone, Debug)]
pub(crate) struct Million {
    /// Messages that wait.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    pub(crate) count: u64,
    /// Octets of a message.
    #[arg(long, default_value_t = 4096)]
    pub(crate) size: usize,
    /// Messages of a run that measures rates.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) messages: u64,
    /// Such runs, in turn with the million and without.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) runs: u32,
    /// Sessions at once.
    #[arg(long, default_value_t = 20)]
    pub(crate) sessions: usize,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Messages of one account beside another one's bulk, of the same priority.
#[derive(Args, Clone, Debug)]
pub(crate) struct Neighbour {
    /// Messages of the one account.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) bulk: u64,
    /// Messages of the other.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub(crate) samples: u64,
    /// Milliseconds between two of the other's messages.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) every: u64,
    #[command(flatten)]
    pub(crate) upstream: Upstream,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Urgent messages in front of a bulk of low priority.
#[derive(Args, Clone, Debug)]
pub(crate) struct Urgent {
    /// Messages of priority 4.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) bulk: u64,
    /// Messages of priority 1.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub(crate) samples: u64,
    #[command(flatten)]
    pub(crate) upstream: Upstream,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// An upstream that takes its time.
#[derive(Args, Clone, Debug)]
pub(crate) struct Upstream {
    /// Connections to it.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Milliseconds it takes for each message.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) takes: u64,
}

impl Upstream {
    /// How long it takes for each message.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.takes)
    }
}
