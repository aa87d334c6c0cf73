//! `posthouse alerts`: what people should look at.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use crate::alert::{self, Kind, Ledger, Stored};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Span;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{AlertFilter, Request, Response};
use crate::control::view::Time;
use crate::identity::AccountName;
use crate::telemetry;

use super::configuration::ConfigurationOption;
use super::failure::{Code, Failure};
use super::output::Output;
use super::running;
use super::table::Table;

/// List what people should look at, and try how they are told
///
/// Alerts of one kind about the same account, upstream or tenant within an hour are one line, with how often it happened.
/// They are kept for `[alerts] keep`. Works while the server is stopped, too.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  posthouse alerts
  posthouse alerts --since 24h --kind upstream_parked
  posthouse alerts --account shop --json
  posthouse alerts test"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only alerts that happened less long ago than this, such as 24h
    #[arg(long, value_name = "TIME", value_parser = age)]
    since: Option<Duration>,
    /// Only alerts of this kind, such as `upstream_parked`
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// Only alerts about this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(TestArguments),
}

/// Raise an alert that says nothing, to see that it arrives
///
/// It goes at once to everybody who is told of the server, by mail and by webhook, and is listed like any other.
#[derive(Debug, clap::Args)]
struct TestArguments {
    /// Tell also those who are told of this account
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    match &arguments.command {
        Some(Command::Test(arguments)) => test(arguments, output),
        None => list(arguments, output),
    }
}

fn list(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let filter = AlertFilter {
        since: arguments
            .since
            .map(|age| Time(SystemClock.now().before(age))),
        kind: arguments.kind,
        account: arguments.account.clone(),
    };
    let data_dir = arguments.configuration.data_dir()?;
    let alerts = match Client::connect(&data_dir) {
        Ok(mut client) => {
            let answer = client.call(Request::Alerts { filter })?.accepted()?;
            let Response::Alerts { alerts } = answer else {
                return Err(Failure::unexpected_answer());
            };
            alerts
        }
        Err(ClientError::NotRunning { .. }) => from_file(&data_dir, &filter)?,
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => return Err(error.into()),
    };
    if arguments.json {
        return output.json(&alerts);
    }
    print(&alerts, output)
}

/// Reads the file of a server that does not run.
fn from_file(data_dir: &Path, filter: &AlertFilter) -> Result<Vec<Stored>, Failure> {
    let path = data_dir.join(alert::FILE);
    let lines = alert::load(&path).map_err(|error| {
        let error = telemetry::chain(&error);
        let message = format!("the file of alerts {} is not used: {error}", path.display());
        Failure::new(Code::Io, message)
    })?;
    let ledger = Ledger::restore(lines);
    let stored = ledger.stored().filter(|alert| filter.passes(alert));
    Ok(stored.cloned().collect())
}

fn print(alerts: &[Stored], output: &mut Output) -> Result<(), Failure> {
    if alerts.is_empty() && output.is_terminal {
        return output.line("There are no alerts.");
    }
    let mut table = Table::new(["LAST", "TIMES", "KIND", "ABOUT", "WHAT HAPPENED LAST"]);
    for alert in alerts {
        table.add([
            alert.last.to_second(),
            alert.count.to_string(),
            alert.kind.to_string(),
            about(alert),
            alert.text.clone(),
        ]);
    }
    table.print(output)
}

/// Says in two words whose matter an alert is.
fn about(alert: &Stored) -> String {
    let about = [
        ("account", &alert.account),
        ("upstream", &alert.upstream),
        ("tenant", &alert.tenant),
    ];
    let mut about = about
        .into_iter()
        .filter_map(|(word, name)| Some(format!("{word} {}", name.as_ref()?)));
    about.next().unwrap_or_else(|| "server".to_owned())
}

fn test(arguments: &TestArguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let account = arguments.account.as_ref().map(ToString::to_string);
    let answer = running::ask(&data_dir, Request::TestAlert { account })?;
    let Response::AlertRaised { to } = answer else {
        return Err(Failure::unexpected_answer());
    };
    if to.is_empty() {
        let message = "nobody is told of alerts: the test is only stored";
        return Err(Failure::new(Code::Configuration, message)
            .with_hint("write mail = [\"you@example.com\"] under [alerts]"));
    }
    output.line("A test alert goes to:")?;
    to.iter()
        .try_for_each(|to| output.line(format_args!("  {to}")))?;
    output.line("Where it does not arrive, the log tells why.")
}

fn age(text: &str) -> Result<Duration, String> {
    let span = Span::<1000>::parse(text);
    span.map(Span::get).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str);
        format!("the kinds are {}, test", known.join(", "))
    })
}
