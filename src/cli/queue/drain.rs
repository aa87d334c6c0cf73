//! `posthouse queue drain`.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::app::Register;
use crate::config::Checked;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Request, Response};
use crate::control::view::UpstreamView;
use crate::identity::UpstreamName;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;

use super::source::{check_owner, exists};

/// How often the server is asked what still runs.
const LOOK: Duration = Duration::from_millis(500);

/// Let an upstream get no new attempts, while somebody works on it
///
/// Its mail takes the next upstream of its route, or the one that --to names, or waits. Attempts that run end first:
/// the command shows how many, and returns when none is left. It lasts over restarts, until --end. The lifetime of mail
/// that waits goes on: for more than a few hours, or where nobody knows when it ends, `posthouse upstream park` keeps mail
/// without letting it expire.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse queue drain main
  posthouse queue drain main --to spare
  posthouse queue drain --end main")]
pub(super) struct Arguments {
    /// The upstream
    #[arg(value_name = "UPSTREAM", value_parser = UpstreamName::parse)]
    upstream: UpstreamName,
    /// The upstream that takes its place meanwhile
    #[arg(long, value_name = "UPSTREAM", value_parser = UpstreamName::parse, conflicts_with = "end")]
    to: Option<UpstreamName>,
    /// Let it get mail again
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    match Client::connect(&data_dir) {
        Ok(client) => at_server(client, arguments, output),
        Err(ClientError::NotRunning { .. }) => {
            let config = arguments.configuration.load()?;
            without_server(&config, &data_dir, arguments)?;
            output.line(format_args!(
                "Upstream {} is {}; no server runs, it counts from the next start.",
                arguments.upstream,
                word(arguments)
            ))
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => Err(error.into()),
    }
}

fn word(arguments: &Arguments) -> &'static str {
    if arguments.end {
        "no longer drained"
    } else {
        "drained"
    }
}

fn at_server(
    mut client: Client,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let upstream = arguments.upstream.to_string();
    if arguments.end {
        client.call(Request::EndDrain { upstream })?.accepted()?;
        return output.line(format_args!(
            "Upstream {} gets mail again.",
            arguments.upstream
        ));
    }
    let to = arguments.to.as_ref().map(ToString::to_string);
    client.call(Request::Drain { upstream, to })?.accepted()?;
    let mut told = None;
    loop {
        let attempts = find(&mut client, &arguments.upstream)?.map_or(0, |now| now.attempts);
        if attempts == 0 {
            break;
        }
        if told != Some(attempts) {
            let plural = if attempts == 1 { "" } else { "s" };
            output.line(format_args!("{attempts} attempt{plural} still running"))?;
            told = Some(attempts);
        }
        thread::sleep(LOOK);
    }
    output.line(format_args!(
        "Upstream {} is drained: nothing runs there. `posthouse queue drain --end {}` ends it.",
        arguments.upstream, arguments.upstream
    ))
}

fn find(client: &mut Client, name: &UpstreamName) -> Result<Option<UpstreamView>, Failure> {
    let Response::Status(status) = client.call(Request::Status)?.accepted()? else {
        return Err(Failure::unexpected_answer());
    };
    let mut upstreams = status.server.upstreams.into_iter();
    Ok(upstreams.find(|upstream| upstream.name == name.as_str()))
}

/// Changes the list that the next start reads.
fn without_server(config: &Checked, data_dir: &Path, arguments: &Arguments) -> Result<(), Failure> {
    check_owner(&config.spool.directory)?;
    let failed = |error: std::io::Error| {
        let path = Register::empty(data_dir).path().to_owned();
        Failure::file(Code::CannotCreate, "change", &path, &error)
    };
    let mut register = Register::load(data_dir).map_err(failed)?;
    if arguments.end {
        let ended = register.end_drain(arguments.upstream.as_str());
        if ended.map_err(failed)? {
            return Ok(());
        }
        let message = format!("upstream `{}` is not drained", arguments.upstream);
        return Err(Failure::new(Code::NoInput, message));
    }
    for name in std::iter::once(&arguments.upstream).chain(&arguments.to) {
        exists(config, name)?;
    }
    if arguments.to.as_ref() == Some(&arguments.upstream) {
        let message = "an upstream cannot take its own place";
        return Err(Failure::new(Code::Usage, message));
    }
    let (upstream, to) = (arguments.upstream.clone(), arguments.to.clone());
    register.drain(upstream, to).map_err(failed)
}
