//! `posthouse queue show`.

use crate::clock::{Clock as _, SystemClock};
use crate::control::protocol::{QueueRequest, Response};
use crate::control::view::{Id, MessageView};
use crate::mail::QueueId;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, octets, span};

use super::filter::queue_id;
use super::list::{due, sender, state};
use super::source::Source;

/// Show one message: its envelope, its recipients and why each waits
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The queue id
    #[arg(value_name = "QUEUE_ID", value_parser = queue_id)]
    id: QueueId,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&arguments.configuration)?;
    let id = Id(arguments.id);
    let answer = source.ask(QueueRequest::Show { id })?.accepted()?;
    let Response::Message(message) = answer else {
        return Err(Failure::unexpected_answer());
    };
    if arguments.json {
        output.json(&message)
    } else {
        print(&message, output)
    }
}

fn print(message: &MessageView, output: &mut Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    output.field("queue id", message.id.0)?;
    output.field("state", state(message.state))?;
    if let Some(reason) = &message.held {
        output.field("held because", reason)?;
    }
    output.field("priority", message.priority)?;
    output.field("account", message.account.as_deref().unwrap_or("-"))?;
    if let Some(tenant) = &message.tenant {
        output.field("tenant", tenant)?;
    }
    if let Some(peer) = message.peer {
        output.field("came from", peer)?;
    }
    output.field("upstreams", message.route.join(", "))?;
    output.field("sender", sender(message))?;
    output.field("message id", message.message_id.as_deref().unwrap_or("-"))?;
    output.field("size", octets(message.size))?;
    let age = span(now.since(message.accepted.0));
    output.field(
        "accepted",
        format_args!("{}, {age} ago", message.accepted.0),
    )?;
    output.field("attempts", message.attempts)?;
    output.field("next attempt", due(message, now))?;
    if message.recipients_done > 0 {
        output.field(
            "done",
            format_args!("{} recipients", message.recipients_done),
        )?;
    }
    for recipient in &message.recipients {
        output.field("recipient", &recipient.address)?;
        if let Some(failure) = &recipient.last_failure {
            output.field("last failure", failure)?;
        }
    }
    Ok(())
}
