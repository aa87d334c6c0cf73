//! The subcommands.

use clap::Subcommand;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::{list, login, test};

/// Look at the upstreams, and act on them
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Login(login::Arguments),
    Test(test::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(&arguments, output),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::Test(arguments) => test::run(&arguments, output),
    }
}
