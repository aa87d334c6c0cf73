//! What the command line says.

use std::net::{Ipv4Addr, SocketAddr};

use clap::{Args, Subcommand, ValueEnum};

use crate::common::command_line::Place;

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Attacks until its input ends; `flood` starts it.
    #[command(hide = true)]
    Attack(Attack),
    /// Answers attackers without looking at what they say, until its input ends; `flood` starts it.
    #[command(hide = true)]
    Decoy,
    /// Time of whole sessions of good clients, alone and beside attackers.
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
    /// What the attackers do; everything, one after the other, where nothing is said.
    #[arg(long, value_enum)]
    pub(crate) attack: Vec<Kind>,
    /// Rounds of each: without the attack, beside it, and beside the same attack on a port where nothing is.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) rounds: u32,
    /// Milliseconds that good clients are timed for in each part of a round.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub(crate) slice: u64,
    /// Milliseconds between two good sessions.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) pace: u64,
    /// Connections of the attackers at once; 1,000 unless said, 12,000 where they are silent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=19_000))]
    pub(crate) connections: Option<u16>,
    /// Milliseconds after which an attacker that gets no answer goes on with another connection.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) patience: u64,
    /// Let attackers and posthouse share all processors. Otherwise posthouse has one, and all clients another.
    #[arg(long)]
    pub(crate) together: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// What attackers do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// Guess the passwords of one known account, from 2,000 addresses.
    Account,
    /// Guess names and passwords, from one address.
    Address,
    /// Guess names and passwords, from 2,000 addresses.
    Botnet,
    /// The same after STARTTLS, each time with a full handshake.
    BotnetTls,
    /// Connect from 2,000 addresses and say nothing.
    Silent,
}

/// An attack, made by a process of its own.
#[derive(Args, Clone, Debug)]
pub(crate) struct Attack {
    /// What they do.
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Where they connect.
    pub(crate) server: SocketAddr,
    /// How often there has been an attack before this one; each has addresses of its own.
    pub(crate) turn: u32,
    /// Connections at once.
    pub(crate) connections: u16,
    /// Milliseconds that an answer is waited for.
    pub(crate) patience: u64,
    /// Connections a second at most.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
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
