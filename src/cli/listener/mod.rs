//! `posthouse listener`: where clients connect, and what is in force there.

mod list;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::output::Output;

/// Look at the listeners
///
/// Reads the configuration; no server need run. What a listener does not say comes from its profile, then from [session],
/// then from the defaults.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Show(show::Arguments),
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(&arguments, output),
        Command::Show(arguments) => show::run(&arguments, output),
    }
}
