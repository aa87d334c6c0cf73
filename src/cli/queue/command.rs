//! The subcommands.

use clap::Subcommand;

use crate::control::protocol::Verb;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::change::{self, RerouteArguments};
use super::{drain, list, show, stats};

/// Look at the messages that wait, and act on them
///
/// Asks the running server; where none runs, reads the spool itself. What has been relayed is no longer in the queue:
/// `posthouse trace` tells what became of it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    /// Attempt messages at once, instead of when they are due
    Retry(change::Arguments),
    /// Keep messages from being attempted until they are released
    Hold(change::Arguments),
    /// End a hold
    Release(change::Arguments),
    /// Let messages take other upstreams than those of their accounts
    ///
    /// This is stronger than the configuration: it lasts over reloads and restarts, until --reset takes it back.
    Reroute(RerouteArguments),
    /// Delete messages; their senders get no report
    Delete(change::Arguments),
    Drain(drain::Arguments),
    Stats(stats::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(arguments, output),
        Command::Show(arguments) => show::run(&arguments, output),
        Command::Retry(arguments) => change::run(&Verb::Retry, arguments, output),
        Command::Hold(arguments) => change::run(&Verb::Hold, arguments, output),
        Command::Release(arguments) => change::run(&Verb::Release, arguments, output),
        Command::Reroute(arguments) => change::reroute(arguments, output),
        Command::Delete(arguments) => change::run(&Verb::Delete, arguments, output),
        Command::Drain(arguments) => drain::run(&arguments, output),
        Command::Stats(arguments) => stats::run(&arguments, output),
    }
}
