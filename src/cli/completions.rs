//! `posthouse completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::arguments;
use super::failure::{Code, Failure};
use super::output::Output;

/// Print a script that lets a shell complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse completions bash > /etc/bash_completion.d/posthouse
  posthouse completions zsh > ~/.zfunc/_posthouse
  posthouse completions fish > ~/.config/fish/completions/posthouse.fish")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = arguments::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "posthouse", &mut script);
    let script = String::from_utf8(script);
    let script = script.map_err(|error| Failure::of(Code::Io, &error))?;
    output.text(&script)
}
