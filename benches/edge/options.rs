//! What the command line says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures the edge of posthouse, all on loopback.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench --bench edge --")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
    /// Given by `cargo bench` to every bench target; means nothing here.
    #[arg(long, global = true, hide = true)]
    pub(crate) bench: bool,
}

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Time of whole sessions of good clients, alone and beside a flood of wrong passwords.
    Flood(Flood),
    /// Holds connections until its input ends; `idle` starts it.
    #[command(hide = true)]
    Hold(Crowd),
    /// Memory of connections that do nothing.
    Idle(Idle),
    /// Sessions per second that connect, log in, send one message and leave.
    Logins(Logins),
}

/// Sessions that log in.
#[derive(Args, Clone, Debug)]
pub(crate) struct Logins {
    /// Sessions at once.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) sessions: u16,
    /// Sessions of a run.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=500_000))]
    pub(crate) count: u64,
    /// Measured runs, after one that warms up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) runs: u32,
    /// STARTTLS first, each time with a full handshake.
    #[arg(long)]
    pub(crate) tls: bool,
    /// Octets of a message.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=1_000_000))]
    pub(crate) size: u32,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Good clients beside bad ones.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flood {
    /// Sessions of the good clients in a run, one at a time.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=100_000))]
    pub(crate) count: u64,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) pace: u64,
    /// Connections of the flood at once.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub(crate) attackers: u16,
    /// Addresses that the flood comes from.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=250))]
    pub(crate) addresses: u16,
    /// Measured runs of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) runs: u32,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Connections that do nothing.
#[derive(Args, Clone, Debug)]
pub(crate) struct Idle {
    /// Connections. The limit on open files (`ulimit -Hn`) must allow 300 more.
    #[arg(long, default_value_t = 19_500, value_parser = clap::value_parser!(u32).range(100..=200_000))]
    pub(crate) count: u32,
    /// Inside TLS, from the first octet.
    #[arg(long)]
    pub(crate) tls: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// A part of them, held by a process of its own.
#[derive(Args, Clone, Debug)]
pub(crate) struct Crowd {
    /// Where they connect.
    pub(crate) server: SocketAddr,
    /// Where they come from.
    pub(crate) source: Ipv4Addr,
    /// How many.
    pub(crate) count: u32,
    /// Inside TLS.
    #[arg(long)]
    pub(crate) tls: bool,
}

/// Where the relay keeps its spool.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// A directory on a real disk; a temporary one below it is used.
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
    /// The program that is measured.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_posthouse"))]
    pub(crate) binary: PathBuf,
}
