//! `posthouse upstream park`.

use crate::clock::{Clock as _, SystemClock};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::Request;
use crate::identity::UpstreamName;
use crate::relay::Park;
use crate::schedule::Reason;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::offline;

/// Park an upstream: keep its mail until it is resumed
///
/// Its mail takes the next upstream of its route, or waits. While all upstreams of a message's route are parked its
/// lifetime stands still, so that nothing expires; attempts that run end. It lasts over reloads and restarts, and is not
/// tried by itself, until `posthouse upstream resume`.
///
/// `posthouse queue drain` is for maintenance: it waits until nothing runs there, another upstream can take the place, and
/// the lifetime of mail goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse upstream park main --reason \"contract ended, new provider from Monday\"
  posthouse upstream resume main")]
pub(super) struct Arguments {
    /// The upstream
    #[arg(value_name = "NAME", value_parser = UpstreamName::parse)]
    upstream: UpstreamName,
    /// Why, for those who look at `posthouse upstream list`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let name = &arguments.upstream;
    match Client::connect(&data_dir) {
        Ok(mut client) => {
            let request = Request::Park {
                upstream: name.to_string(),
                reason: arguments.reason.clone(),
            };
            client.call(request)?.accepted()?;
            output.line(format_args!(
                "Upstream {name} is parked: its mail waits. `posthouse upstream resume {name}` ends it."
            ))
        }
        Err(ClientError::NotRunning { .. }) => {
            let config = arguments.configuration.load()?;
            let park = Park {
                since: SystemClock.now(),
                reason: Reason {
                    text: arguments.reason.clone().unwrap_or_default().into(),
                    repair: None,
                },
            };
            offline::change(&config, &data_dir, name, |register| {
                register.park(name.clone(), park)
            })?;
            output.line(format_args!(
                "Upstream {name} is parked; no server runs, it counts from the next start."
            ))
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => Err(error.into()),
    }
}
