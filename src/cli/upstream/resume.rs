//! `posthouse upstream resume`.

use crate::clock::{Clock as _, SystemClock};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::Request;
use crate::identity::UpstreamName;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;

use super::offline;

/// Let a parked upstream get mail again
///
/// Ends what `posthouse upstream park` began. Where the upstream has been parked by itself, or is left alone for a while,
/// the next message is tried there at once: if it gets through everything follows, if not the upstream stays parked, and
/// is tried again after a minute, then ever more seldom. After a change of the configuration no resume is needed: a reload
/// does the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse upstream resume main")]
pub(super) struct Arguments {
    /// The upstream
    #[arg(value_name = "NAME", value_parser = UpstreamName::parse)]
    upstream: UpstreamName,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let name = &arguments.upstream;
    match Client::connect(&data_dir) {
        Ok(mut client) => {
            let upstream = name.to_string();
            client.call(Request::Resume { upstream })?.accepted()?;
            output.line(format_args!(
                "Upstream {name} gets mail again; `posthouse upstream list` shows how it fares."
            ))
        }
        Err(ClientError::NotRunning { .. }) => {
            let config = arguments.configuration.load()?;
            let was_parked = offline::change(&config, &data_dir, name, |register| {
                register.resume_unprobed(name.as_str(), SystemClock.now())
            })?;
            if !was_parked {
                let message = format!("upstream `{name}` is not parked");
                return Err(Failure::new(Code::NoInput, message));
            }
            output.line(format_args!(
                "Upstream {name} is no longer parked; no server runs, it counts from the next start."
            ))
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => Err(error.into()),
    }
}
