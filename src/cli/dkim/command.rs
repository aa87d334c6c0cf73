//! The subcommands.

use clap::Subcommand;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::{check, keygen};

/// Make keys that sign mail (DKIM), and check their records in DNS
///
/// A key signs the mail of its domain. Receivers find the other half of it in DNS, and so know that the mail is from the
/// domain and has not been changed on the way.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Arguments),
    Check(check::Arguments),
}

pub(in crate::cli) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Keygen(arguments) => keygen::run(arguments, output),
        Command::Check(arguments) => check::run(arguments, output),
    }
}
