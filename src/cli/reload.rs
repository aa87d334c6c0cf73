//! `posthouse reload`.

use crate::control::protocol::{Request, Response};

use super::configuration::ConfigurationOption;
use super::failure::Failure;
use super::output::{Output, Style};
use super::running;

/// Let the running server read its configuration again
///
/// Accounts, rules, routes, upstreams and certificates change at once; listeners, data directory, user and log need a
/// restart. If the new configuration has errors the server goes on with the old one, and the errors are shown.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let answer = running::ask(&data_dir, Request::Reload)?;
    let Response::Reloaded { warnings } = answer else {
        return Err(Failure::unexpected_answer());
    };
    for warning in warnings {
        output.styled(Style::Yellow, warning)?;
    }
    output.styled(Style::Green, "The new configuration is in force.")
}
