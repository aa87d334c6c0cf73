//! What is tested, and by which way.

use std::time::Duration;

use crate::config::{Checked, Span};
use crate::control::client::{Client, ClientError};
use crate::identity::{AccountName, UpstreamName};
use crate::mail::Mailbox;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};

use super::{direct, queued, sender};

/// Send a test message, and tell what becomes of it
///
/// With --upstream the message goes straight there, whoever could use it, and the whole dialogue is shown; no server
/// needs to run. With --account the running server takes it like mail of that account: it is judged, stored, queued and
/// relayed, and what happens to it is told until it has left. Where no server runs, or with --direct, it is judged and
/// goes straight to the upstreams of its route, in order. Passwords are not shown.
///
/// The exit code is 0 if the message was relayed, 69 if not now, 77 if the account may not send so, 78 if somebody must
/// repair something first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse test-mail --upstream main --from info@example.com --to you@example.net
  posthouse test-mail --account shop --to you@example.net
  posthouse test-mail --account shop --from shop@example.com --to you@example.net --json")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The sender, in the envelope and in From:; with --account one that it may use, if none is given
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = mailbox,
        required_unless_present = "account"
    )]
    from: Option<Mailbox>,
    /// The recipient
    #[arg(long, value_name = "ADDRESS", value_parser = mailbox)]
    to: Mailbox,
    /// Do not go through the queue of the running server
    #[arg(long, conflicts_with = "upstream")]
    direct: bool,
    /// How long to wait until the message has left the queue
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    wait: Duration,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The upstream to test
    #[arg(long, value_name = "NAME", value_parser = UpstreamName::parse)]
    upstream: Option<UpstreamName>,
    /// The account whose rules and route to test
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).map_err(|error| error.to_string())
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Span::<1>::parse(text).map_err(|error| error.to_string())?;
    Ok(span.get())
}

/// How results are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Json,
    Text,
}

/// Sender and recipient of the test.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) from: Mailbox,
    pub(super) to: Mailbox,
}

pub(in crate::cli) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load_verified()?;
    let form = if arguments.json {
        Form::Json
    } else {
        Form::Text
    };
    match (&arguments.target.account, &arguments.target.upstream) {
        (Some(account), _) => of_account(&config, account, arguments, form, output),
        (None, upstream) => {
            let Some(from) = arguments.from.clone() else {
                return Err(Failure::new(Code::Usage, "--upstream wants --from"));
            };
            let to = arguments.to.clone();
            let upstreams: Vec<_> = upstream.iter().cloned().collect();
            let test = direct::Test::new(&config, &Addresses { from, to }, form)?;
            test.run(&upstreams, output)
        }
    }
}

/// Through the server where one runs, else straight to the upstreams.
fn of_account(
    config: &Checked,
    account: &AccountName,
    arguments: &Arguments,
    form: Form,
    output: &mut Output,
) -> Result<(), Failure> {
    let found = sender::find(config, account)?;
    let from = match &arguments.from {
        Some(from) => from.clone(),
        None => found.own_sender(config)?,
    };
    let addresses = Addresses {
        from,
        to: arguments.to.clone(),
    };
    if !arguments.direct {
        match Client::connect(&config.server.data_dir) {
            Ok(client) => {
                let test = queued::Test::new(config, account, &addresses, form)?;
                return test.run(client, arguments.wait, output);
            }
            Err(ClientError::NotRunning { .. }) if form == Form::Text => {
                let text = "No server runs: the message goes straight to the upstreams, not through the queue.";
                output.styled(Style::Yellow, text)?;
            }
            Err(ClientError::NotRunning { .. }) => {}
            Err(
                error @ (ClientError::Denied { .. }
                | ClientError::Io { .. }
                | ClientError::Protocol { .. }),
            ) => return Err(error.into()),
        }
    }
    let judged = found.judge(&addresses)?;
    if form == Form::Text {
        found.tell(&judged, output)?;
    }
    let test = direct::Test::new(config, &judged.addresses, form)?;
    test.run(judged.route.upstreams(), output)
}
