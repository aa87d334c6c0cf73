//! The command line of a bench and its end.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// What is measured, and where.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// A directory on a real disk; a temporary one below it is used.
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) directory: PathBuf,
    /// The program that is measured.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_posthouse"))]
    pub(crate) binary: PathBuf,
    /// Seconds after which a load is given up.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3600))]
    limit: u64,
}

impl Place {
    /// When a load is given up.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }
}

/// Does what the command line asks for and prints why it failed; with nothing asked, says what can be asked.
pub(crate) fn perform<M: Subcommand>(
    bench: &str,
    about: &'static str,
    mode: impl FnOnce(M) -> io::Result<()>,
) -> ExitCode {
    let command = CommandLine::<M>::command()
        .bin_name(format!("cargo bench --bench {bench} --"))
        .about(about);
    let asked = CommandLine::<M>::from_arg_matches(&command.get_matches());
    let outcome = match asked.map(|line| line.mode) {
        Ok(Some(asked)) => mode(asked),
        Ok(None) => {
            println!("nothing measured: give a mode, see `cargo bench --bench {bench} -- --help`");
            Ok(())
        }
        Err(error) => Err(io::Error::other(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Parser)]
struct CommandLine<M: Subcommand> {
    #[command(subcommand)]
    mode: Option<M>,
    /// Given by `cargo bench` to every bench target; means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}
