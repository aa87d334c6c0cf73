//! `posthouse sender`.

use clap::Subcommand;

use crate::app::senders::views;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Checked;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Request, Response};
use crate::control::senders::{Evidence, SenderRequest, SenderView};
use crate::identity::AccountName;
use crate::policy::Grant;
use crate::verification::{Ledger, parse};

use super::configuration::ConfigurationOption;
use super::failure::{Code, Failure};
use super::output::Output;
use super::running::ask;
use super::table::Table;

/// Verify the addresses and domains that accounts send as
///
/// An address is verified by a link that is sent to it, a domain by a TXT record in its DNS. Until then it is pending and
/// does not count. With `verified_senders = "required"` an account may send as what is verified and nothing else.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(AddArguments),
    Delete(DeleteArguments),
    List(ListArguments),
    Verify(VerifyArguments),
}

/// Ask for the proof that a sender belongs to whoever uses an account
///
/// To an address a link is sent, on the route of the account; it works once, within 24 hours, and asks for the press of a
/// button. Of a domain the TXT record is named that its owner must publish.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse sender add info@example.com --account shop
  posthouse sender add example.com --account shop
  posthouse sender add '*.example.com' --account shop")]
struct AddArguments {
    #[command(flatten)]
    sender: SenderOption,
    /// The account
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: AccountName,
}

/// Remove a sender, verified or not
#[derive(Debug, clap::Args)]
struct DeleteArguments {
    #[command(flatten)]
    sender: SenderOption,
    /// The account, where several have this sender
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
}

/// List senders: verified, pending, expired, and those that are configured and must be verified first
#[derive(Debug, clap::Args)]
struct ListArguments {
    /// Only those of this account
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

/// Verify a sender now
///
/// The record of a domain is looked up; where it is gone the domain is pending again. An address is verified by your word:
/// nothing is sent.
///
/// Exit code 0: it is verified. 66: it is not. 69: DNS gives no answer now.
#[derive(Debug, clap::Args)]
struct VerifyArguments {
    #[command(flatten)]
    sender: SenderOption,
    /// The account, where several have this sender or none has
    #[arg(long, value_name = "NAME", value_parser = AccountName::parse)]
    account: Option<AccountName>,
    /// Take your word for a domain too
    #[arg(long)]
    by_hand: bool,
}

/// Which sender is meant.
#[derive(Debug, clap::Args)]
struct SenderOption {
    /// An address, a domain, or *.DOMAIN for all below it
    #[arg(value_name = "ADDRESS|DOMAIN", value_parser = subject)]
    sender: String,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

fn subject(text: &str) -> Result<String, String> {
    match parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("this is no address and no domain".to_owned()),
    }
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::Add(AddArguments { sender, account }) => {
            let request = SenderRequest::Add {
                account: account.to_string(),
                sender: sender.sender.clone(),
            };
            print_told(&sender.ask(request)?, output)
        }
        Command::Delete(DeleteArguments { sender, account }) => {
            let request = SenderRequest::Delete {
                account: account.map(|account| account.to_string()),
                sender: sender.sender.clone(),
            };
            let deleted = sender.ask(request)?;
            for view in deleted {
                output.line(format_args!(
                    "Sender {} of account {} is deleted.",
                    view.sender, view.account
                ))?;
            }
            Ok(())
        }
        Command::List(arguments) => list(&arguments, output),
        Command::Verify(arguments) => verify(&arguments, output),
    }
}

impl SenderOption {
    fn ask(&self, request: SenderRequest) -> Result<Vec<SenderView>, Failure> {
        let response = ask(&self.configuration.data_dir()?, Request::Senders(request))?;
        senders(response)
    }
}

fn verify(arguments: &VerifyArguments, output: &mut Output) -> Result<(), Failure> {
    let is_address = matches!(parse(&arguments.sender.sender), Some(Grant::Mailbox(_)));
    let request = SenderRequest::Verify {
        account: arguments.account.as_ref().map(ToString::to_string),
        sender: arguments.sender.sender.clone(),
        evidence: if is_address || arguments.by_hand {
            Evidence::Operator
        } else {
            Evidence::Record
        },
    };
    let views = arguments.sender.ask(request)?;
    print_told(&views, output)?;
    if views.iter().all(|view| view.state == "verified") {
        return Ok(());
    }
    let message = format!("{} is not verified", arguments.sender.sender);
    Err(Failure::new(Code::NoInput, message)
        .with_hint("records may take some time to be seen; try again later"))
}

fn list(arguments: &ListArguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let account = arguments.account.as_ref().map(ToString::to_string);
    let views = match Client::connect(&data_dir) {
        Ok(mut client) => {
            let request = Request::Senders(SenderRequest::List { account });
            senders(client.call(request)?.accepted()?)?
        }
        Err(ClientError::NotRunning { .. }) => {
            offline(&arguments.configuration.load()?, account.as_deref())?
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => return Err(error.into()),
    };
    if arguments.json {
        return output.json(&views);
    }
    if views.is_empty() && output.is_terminal {
        return output
            .line("There is none. `posthouse sender add ADDRESS --account NAME` adds one.");
    }
    let mut table = Table::new([
        "ACCOUNT", "SENDER", "STATE", "COUNTS", "BY", "SINCE", "RECORD",
    ]);
    for view in views {
        let record = view.record_name.zip(view.record);
        table.add([
            view.account,
            view.sender,
            view.state,
            if view.counts { "yes" } else { "no" }.to_owned(),
            view.by.unwrap_or_else(|| "-".to_owned()),
            view.since
                .map_or_else(|| "-".to_owned(), |since| since.0.to_second()),
            record.map_or_else(
                || "-".to_owned(),
                |(name, text)| format!("{name} TXT \"{text}\""),
            ),
        ]);
    }
    table.print(output)
}

fn offline(config: &Checked, account: Option<&str>) -> Result<Vec<SenderView>, Failure> {
    let ledger = ledger(config)?;
    let now = SystemClock.now();
    let mut all = views(&ledger, &config.profiles, &config.verified_senders, now);
    all.retain(|view| account.is_none_or(|account| view.account == account));
    Ok(all)
}

/// Reads the senders of a configuration, for commands that need no server.
pub(super) fn ledger(config: &Checked) -> Result<Ledger, Failure> {
    let data_dir = &config.server.data_dir;
    Ledger::load(data_dir).map_err(|error| {
        let path = Ledger::empty(data_dir).path().to_owned();
        Failure::file(Code::NoInput, "read", &path, &error)
    })
}

fn senders(response: Response) -> Result<Vec<SenderView>, Failure> {
    if let Response::Senders(views) = response {
        Ok(views)
    } else {
        Err(Failure::unexpected_answer())
    }
}

fn print_told(views: &[SenderView], output: &mut Output) -> Result<(), Failure> {
    for view in views {
        output.field("account", &view.account)?;
        output.field("sender", &view.sender)?;
        output.field("state", &view.state)?;
        if let (Some(name), Some(text)) = (&view.record_name, &view.record) {
            output.field("record", format_args!("{name} TXT \"{text}\""))?;
        }
        if let Some(until) = view.until {
            output.field("until", until.0.to_second())?;
        }
        if let Some(note) = &view.note {
            output.line(note)?;
        }
    }
    Ok(())
}
