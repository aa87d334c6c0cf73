//! What the command line says.

use clap::{Args, Subcommand, ValueEnum};

use crate::common::command_line::Place;
use crate::common::generator::{Flow, Reuse};

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Messages per second and processor time per message through posthouse.
    Throughput(Shape),
    /// The same loads through Postfix and posthouse in turn.
    Peer(Shape),
    /// The generator straight into the sink: the most that can be measured here.
    Direct(Shape),
    /// Microseconds from end of data at the client to complete at the sink, one message at a time.
    Latency(Shape),
    /// Time to bind the whole unprivileged port range, and the memory of a process that waits.
    Idle(Place),
    /// Many large messages at once: the relay's memory.
    Large(Large),
}

/// The shape of a load.
#[derive(Args, Clone, Debug)]
pub(crate) struct Shape {
    /// Sessions at once.
    #[arg(long, default_value_t = 20)]
    pub(crate) sessions: usize,
    /// Messages of a run.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub(crate) count: u64,
    /// Octets of a message.
    #[arg(long, default_value_t = 4096)]
    pub(crate) size: usize,
    /// Measured runs, after one that warms up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) runs: u32,
    /// How commands and content are put together.
    #[arg(long, value_enum, default_value_t = Flow::Envelope)]
    pub(crate) flow: Flow,
    /// Whether sessions are encrypted.
    #[arg(long, value_enum, default_value_t = Encryption::Off)]
    pub(crate) tls: Encryption,
    /// Log in (AUTH PLAIN) instead of being known by address.
    #[arg(long)]
    pub(crate) login: bool,
    /// A connection for each message.
    #[arg(long)]
    pub(crate) per_message: bool,
    /// Connections from the relay to the sink.
    #[arg(long, default_value_t = 20)]
    pub(crate) connections: usize,
    /// Milliseconds between two messages of a session, in mode `latency`.
    #[arg(long, default_value_t = 5)]
    pub(crate) pace: u64,
    #[command(flatten)]
    pub(crate) place: Place,
}

impl Shape {
    /// What becomes of a session after a message.
    pub(crate) fn reuse(&self) -> Reuse {
        if self.per_message {
            Reuse::PerMessage
        } else {
            Reuse::Keep
        }
    }
}

/// Many large messages at once.
#[derive(Args, Clone, Debug)]
pub(crate) struct Large {
    /// Messages, each in a session of its own, all at once.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=4000))]
    pub(crate) count: u64,
    /// Mebibytes of a message.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=45))]
    pub(crate) mebibytes: u64,
    /// Connections from the relay to the sink.
    #[arg(long, default_value_t = 20)]
    pub(crate) connections: usize,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Whether sessions are encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Encryption {
    /// Not at all.
    Off,
    /// By STARTTLS.
    Starttls,
    /// From the first octet.
    Implicit,
}
