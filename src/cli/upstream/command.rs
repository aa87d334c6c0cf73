//! The subcommands.

use clap::Subcommand;

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::{list, login, park, resume, show, test};

/// Look at the upstreams, and act on them
///
/// An upstream whose login is refused, whose certificate is wrong or whose secret has expired is parked by itself: its
/// mail is kept, with its lifetime standing still, until an attempt gets through. An operator can park one too.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Login(login::Arguments),
    Park(park::Arguments),
    Resume(resume::Arguments),
    Show(show::Arguments),
    Test(test::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::List(arguments) => list::run(&arguments, output),
        Command::Login(arguments) => login::run(&arguments, output),
        Command::Park(arguments) => park::run(&arguments, output),
        Command::Resume(arguments) => resume::run(&arguments, output),
        Command::Show(arguments) => show::run(&arguments, output),
        Command::Test(arguments) => test::run(&arguments, output),
    }
}
