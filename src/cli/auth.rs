//! `posthouse auth`: whose logins are refused since too many have failed.

use std::time::Duration;

use clap::Subcommand;

use crate::control::protocol::{BlockView, Request, Response};

use super::configuration::ConfigurationOption;
use super::failure::{Code, Failure};
use super::output::{Output, span};
use super::running;
use super::table::Table;

/// Show whose logins are refused since too many have failed, and let them try again
///
/// Asks the running server, which forgets failures when it ends.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Blocked(Blocked),
    Release(Release),
}

/// List whose logins are refused now: those of accounts, and those from networks
#[derive(Debug, clap::Args)]
struct Blocked {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// Let an account or an address try again at once
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse auth release ann
  posthouse auth release 192.0.2.7")]
struct Release {
    /// The account, or the address
    #[arg(value_name = "ACCOUNT|ADDRESS")]
    who: String,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Blocked(arguments) => blocked(arguments, output),
        Command::Release(arguments) => release(arguments, output),
    }
}

fn blocked(arguments: &Blocked, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let Response::Blocked { blocks } = running::ask(&data_dir, Request::Blocked)? else {
        return Err(Failure::unexpected_answer());
    };
    if arguments.json {
        return output.json(&blocks);
    }
    if blocks.is_empty() && output.is_terminal {
        return output.line("Nobody's logins are refused.");
    }
    let mut table = Table::new(["ACCOUNT", "NETWORK", "FOR", "NEXT TRY", "REFUSED"]);
    for block in blocks {
        let BlockView {
            account,
            network,
            age_s,
            retry_after_s,
            refused,
        } = block;
        table.add([
            account.unwrap_or_else(|| "-".to_owned()),
            network.unwrap_or_else(|| "-".to_owned()),
            span(Duration::from_secs(age_s)),
            format!("in {}", span(Duration::from_secs(retry_after_s))),
            refused.to_string(),
        ]);
    }
    table.print(output)
}

fn release(arguments: &Release, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let who = &arguments.who;
    let request = Request::Forgive { who: who.clone() };
    let Response::Forgiven { blocks } = running::ask(&data_dir, request)? else {
        return Err(Failure::unexpected_answer());
    };
    if blocks == 0 {
        let message = format!("no logins of `{who}` were refused");
        return Err(Failure::new(Code::NoInput, message)
            .with_hint("`posthouse auth blocked` lists whose are"));
    }
    output.line(format_args!("{who} may try again."))
}
