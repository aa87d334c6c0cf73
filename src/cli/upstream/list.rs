//! `posthouse upstream list`.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::app::Register;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::config::{Checked, Upstream};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{QueueRequest, Request, Response};
use crate::control::sums::SumView;
use crate::control::view::{EndingView, Time, UpstreamView};
use crate::identity::UpstreamName;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, span, thousands};
use crate::cli::status;
use crate::cli::table::Table;

use super::state::state;

/// List all upstreams: how each fares, since when, why, and what to do about it
///
/// Asks the running server; where none runs, shows those that are configured.
#[derive(Debug, clap::Args)]
#[command(after_help = "States:
  good         it answers
  throttled    it asked for less; it is left alone for a while
  unreachable  it does not answer; it is left alone for a while
  parked       somebody must repair something, or an operator has parked it; mail waits and does not expire
  drained      `posthouse queue drain` keeps it from getting mail
  stopped      no server runs")]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// An upstream as `--json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    upstream: UpstreamView,
    /// How many messages have it first on their route; `None` where no server runs.
    waiting: Option<u64>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let (listed, endings) = match Client::connect(&data_dir) {
        Ok(client) => at_server(client)?,
        Err(ClientError::NotRunning { .. }) => {
            let config = arguments.configuration.load()?;
            (without_server(&config, &data_dir), Vec::new())
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => return Err(error.into()),
    };
    if arguments.json {
        return output.json(&listed);
    }
    print(&listed, SystemClock.now(), output)?;
    status::endings(&endings, output)
}

fn at_server(mut client: Client) -> Result<(Vec<Listed>, Vec<EndingView>), Failure> {
    let Response::Status(status) = client.call(Request::Status)?.accepted()? else {
        return Err(Failure::unexpected_answer());
    };
    let request = Request::Queue(QueueRequest::Stats { top: 1 });
    let Response::Stats(sums) = client.call(request)?.accepted()? else {
        return Err(Failure::unexpected_answer());
    };
    let waiting = |name: &str| {
        let is_it = |sum: &&SumView| sum.name.as_deref() == Some(name);
        let sum = sums.upstreams.iter().find(is_it);
        sum.map_or(0, |sum| sum.messages)
    };
    let upstreams = status.server.upstreams.into_iter();
    let listed = upstreams.map(|upstream| Listed {
        waiting: Some(waiting(&upstream.name)),
        upstream,
    });
    Ok((listed.collect(), status.server.endings))
}

/// Lists what is configured, and what an operator has said of it.
fn without_server(config: &Checked, data_dir: &Path) -> Vec<Listed> {
    // A server that cannot read it takes it that nothing was said.
    let register = Register::load(data_dir).unwrap_or_else(|_| Register::empty(data_dir));
    let upstreams = config.upstreams.iter();
    let listed = upstreams.map(|(name, upstream)| Listed {
        upstream: stopped(&register, name, upstream),
        waiting: None,
    });
    listed.collect()
}

fn stopped(register: &Register, name: &UpstreamName, upstream: &Upstream) -> UpstreamView {
    let view = UpstreamView {
        name: name.to_string(),
        kind: upstream.engine.kind().to_owned(),
        place: upstream.engine.place(),
        condition: "stopped".to_owned(),
        drained_to: register.stand_in(name).map(ToString::to_string),
        connections: upstream.bounds.connections,
        ..UpstreamView::default()
    };
    if let Some(park) = register.parked().get(name) {
        return UpstreamView {
            condition: "parked".to_owned(),
            parked_by: Some("operator".to_owned()),
            since: Some(Time(park.since)),
            reason: Some(park.reason.text.to_string()).filter(|text| !text.is_empty()),
            ..view
        };
    }
    if register.drained().contains(name) {
        let condition = "drained".to_owned();
        return UpstreamView { condition, ..view };
    }
    let histories = register.histories();
    match histories.get(name).and_then(|known| known.failure.as_ref()) {
        Some(park) => UpstreamView {
            condition: "parked".to_owned(),
            parked_by: Some("posthouse".to_owned()),
            since: Some(Time(park.since)),
            reason: Some(park.reason.text.to_string()),
            repair: park.reason.repair.as_ref().map(ToString::to_string),
            ..view
        },
        None => view,
    }
}

fn print(listed: &[Listed], now: Timestamp, output: &mut Output) -> Result<(), Failure> {
    if listed.is_empty() && output.is_terminal {
        return output
            .line("There is no upstream. [upstream.NAME.smtp] in the configuration makes one.");
    }
    let headings = [
        "UPSTREAM", "KIND", "WHERE", "STATE", "FOR", "NEXT TRY", "BUSY", "WAITING", "WHY",
    ];
    let mut table = Table::new(headings);
    for Listed { upstream, waiting } in listed {
        let since = upstream.since.map(|since| span(now.since(since.0)));
        table.add([
            upstream.name.clone(),
            upstream.kind.clone(),
            upstream.place.clone(),
            state(upstream),
            since.unwrap_or_default(),
            next_try(upstream, now),
            format!("{}/{}", upstream.attempts, upstream.limit),
            waiting.map(thousands).unwrap_or_default(),
            upstream.reason.clone().unwrap_or_default(),
        ]);
    }
    table.print(output)?;
    for Listed { upstream, .. } in listed {
        if let Some(repair) = &upstream.repair {
            output.line("")?;
            output.line(format_args!("What to do about {}: {repair}", upstream.name))?;
        }
    }
    Ok(())
}

/// Says when an upstream that is left alone is tried again.
fn next_try(upstream: &UpstreamView, now: Timestamp) -> String {
    match (upstream.condition.as_str(), upstream.probe) {
        ("parked" | "throttled" | "unreachable", Some(probe)) => {
            let wait = probe.0.since(now);
            if wait == Duration::ZERO {
                "now".to_owned()
            } else {
                format!("in {}", span(wait))
            }
        }
        ("parked" | "throttled" | "unreachable", None)
            if upstream.parked_by.as_deref() != Some("operator") =>
        {
            "next message".to_owned()
        }
        (_, _) => String::new(),
    }
}
