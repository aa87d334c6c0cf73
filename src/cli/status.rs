//! `posthouse status`.

use crate::app::expiry;
use crate::clock::{Clock as _, SystemClock};
use crate::control::protocol::{Request, Response};
use crate::control::view::{EndingView, StatusView, SubmissionView, UpstreamView};

use super::configuration::ConfigurationOption;
use super::failure::Failure;
use super::output::{Output, Style, octets, span};
use super::running;
use super::table::Table;
use super::upstream::state;

/// Show what the running server is doing
///
/// The exit code is 69 if no server runs.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let answer = running::ask(&data_dir, Request::Status)?;
    let Response::Status(status) = answer else {
        return Err(Failure::unexpected_answer());
    };
    if arguments.json {
        output.json(&status)
    } else {
        print(&status, output)
    }
}

fn print(status: &StatusView, output: &mut Output) -> Result<(), Failure> {
    let StatusView { server, queue } = status;
    let running = SystemClock.now().since(server.started.0);
    output.field(
        "server",
        format_args!("posthouse {} on {}", server.version, server.hostname),
    )?;
    output.field("process", server.process)?;
    output.field("configuration", &server.configuration)?;
    output.field("running for", span(running))?;
    let waiting = queue.messages.saturating_sub(queue.held + queue.leased);
    output.field(
        "queue",
        format_args!(
            "{} messages ({}): {waiting} waiting, {} being sent, {} held",
            queue.messages,
            octets(queue.octets),
            queue.leased,
            queue.held
        ),
    )?;
    output.field("since then", since_then(&server.submission))?;
    output.field("connected now", server.submission.connections)?;
    if queue.damaged > 0 {
        output.field(
            "damaged",
            format_args!("{} records, see the log", queue.damaged),
        )?;
    }
    for listener in &server.listeners {
        let text = format!(
            "{}: {} ({} bound)",
            listener.name, listener.configured, listener.ports
        );
        output.field("listener", text)?;
    }
    upstreams(&server.upstreams, output)?;
    endings(&server.endings, output)
}

/// Tells what ends soon.
pub(super) fn endings(endings: &[EndingView], output: &mut Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    for ending in endings
        .iter()
        .filter(|ending| expiry::is_near(ending.ends.0, now))
    {
        let EndingView {
            what,
            place,
            ends,
            repair,
        } = ending;
        let words = expiry::words(ends.0, now);
        output.line("")?;
        output.styled(
            Style::Yellow,
            format_args!("{what} ({place}) {words}. {repair}"),
        )?;
    }
    Ok(())
}

fn upstreams(upstreams: &[UpstreamView], output: &mut Output) -> Result<(), Failure> {
    if upstreams.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let mut table = Table::new([
        "UPSTREAM",
        "CONDITION",
        "BUSY",
        "NOW AT MOST",
        "CONNECTIONS",
    ]);
    for upstream in upstreams {
        table.add([
            upstream.name.clone(),
            state(upstream),
            upstream.attempts.to_string(),
            upstream.limit.to_string(),
            upstream.connections.to_string(),
        ]);
    }
    table.print(output)
}

fn since_then(submission: &SubmissionView) -> String {
    format!(
        "{} messages accepted, {} refused, {} senders denied, {} unauthorized held, \
         {} unauthorized relayed, {} rewritten, {} wrong logins, {} refused over a quota, {} paced",
        submission.accepted,
        submission.refused,
        submission.denied,
        submission.unauthorized_held,
        submission.unauthorized_relayed,
        submission.unauthorized_rewritten,
        submission.failed_logins,
        submission.over_quota,
        submission.paced
    )
}
