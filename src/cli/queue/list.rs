//! `posthouse queue list`.

use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::control::view::{Id, MessageView, State};
use crate::mail::QueueId;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, messages, octets, span};
use crate::cli::table::Table;

use super::filter::{FilterOptions, Pages, queue_id};
use super::source::Source;

/// List the messages that wait, the oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse queue list
  posthouse queue list --priority 1-2 --older 10m
  posthouse queue list --reply \"451 4.7.1\" --limit 50
  posthouse queue list --account shop --recipient @example.com
  posthouse queue list --state held --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    #[command(flatten)]
    filter: FilterOptions,
    /// How many messages at most
    #[arg(long, value_name = "NUMBER", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Only messages behind this one: the last of the list before
    #[arg(long, value_name = "QUEUE_ID", value_parser = queue_id)]
    after: Option<QueueId>,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&arguments.configuration)?;
    let mut pages = Pages::new(
        arguments.filter.into(),
        arguments.after.map(Id),
        arguments.limit,
    );
    if arguments.json {
        return print_json(&mut source, &mut pages, output);
    }
    let (mut count, mut last) = (0, None);
    while let Some(messages) = pages.next(&mut source)? {
        count += messages.len();
        last = messages.last().map(|message| message.id).or(last);
        print(&messages, output)?;
    }
    if !output.is_terminal {
        return Ok(());
    }
    match (last, pages.rest()) {
        (None, _) => output.line("No message waits."),
        (Some(_), None) => output.line(messages(count)),
        (Some(Id(last)), Some(_)) => output.line(format_args!(
            "{}; others may follow: --after {last}",
            messages(count)
        )),
    }
}

/// Writes one array, however long, without having all of it in memory.
fn print_json(source: &mut Source, pages: &mut Pages, output: &mut Output) -> Result<(), Failure> {
    let mut separator = "[";
    while let Some(messages) = pages.next(source)? {
        for message in messages {
            output.text(separator)?;
            output.json(&message)?;
            separator = ",";
        }
    }
    output.text(if separator == "[" { "[]\n" } else { "]\n" })
}

fn print(messages: &[MessageView], output: &mut Output) -> Result<(), Failure> {
    if messages.is_empty() {
        return Ok(());
    }
    let now = SystemClock.now();
    let headings = [
        "QUEUE ID",
        "STATE",
        "PRI",
        "AGE",
        "SIZE",
        "ACCOUNT",
        "SENDER",
        "RECIPIENTS",
        "NEXT",
        "LAST FAILURE",
    ];
    let mut table = Table::new(headings);
    for message in messages {
        table.add([
            message.id.0.to_string(),
            state(message.state).to_owned(),
            message.priority.to_string(),
            span(now.since(message.accepted.0)),
            octets(message.size),
            message.account.clone().unwrap_or_else(|| "-".to_owned()),
            sender(message),
            recipients(message),
            due(message, now),
            reason(message),
        ]);
    }
    table.print(output)
}

/// Returns why it is held, or why one of its recipients was deferred.
fn reason(message: &MessageView) -> String {
    let failures = message.recipients.iter();
    let mut failures = failures.filter_map(|recipient| recipient.last_failure.as_ref());
    let reason = message.held.as_ref().or_else(|| failures.next());
    reason.cloned().unwrap_or_default()
}

pub(in crate::cli) fn state(state: State) -> &'static str {
    match state {
        State::Held => "held",
        State::Leased => "leased",
        State::Pending => "pending",
    }
}

pub(super) fn sender(message: &MessageView) -> String {
    message.sender.clone().unwrap_or_else(|| "<>".to_owned())
}

/// Returns when the next attempt is, in words.
pub(in crate::cli) fn due(message: &MessageView, now: Timestamp) -> String {
    match message.state {
        State::Held => "after release".to_owned(),
        State::Leased => "now".to_owned(),
        State::Pending if message.due.0 <= now => "now".to_owned(),
        State::Pending => format!("in {}", span(message.due.0.since(now))),
    }
}

fn recipients(message: &MessageView) -> String {
    let count = message.recipients.len() + message.recipients_left_out;
    match message.recipients.first() {
        Some(first) if count > 1 => format!("{} +{}", first.address, count - 1),
        Some(first) => first.address.clone(),
        None => String::new(),
    }
}
