//! The subcommands.

use clap::Subcommand;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::{list, renew};

/// Look at the certificates that clients are shown, and renew them
///
/// Certificates in files are renewed by whoever made them, and used after `posthouse reload`. Those of [tls.acme] are got
/// and renewed by the running server itself.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Renew(renew::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(&arguments, output),
        Command::Renew(arguments) => renew::run(&arguments, output),
    }
}
