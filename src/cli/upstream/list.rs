//! `posthouse upstream list`.

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::running;
use crate::cli::table::Table;
use crate::control::protocol::{Request, Response};

/// List all upstreams, with how each fares
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let Response::Status(status) = running::ask(&data_dir, Request::Status)? else {
        return Err(Failure::unexpected_answer());
    };
    let upstreams = status.server.upstreams;
    if arguments.json {
        return output.json(&upstreams);
    }
    let mut table = Table::new(["UPSTREAM", "STATE"]);
    for upstream in upstreams {
        table.add([upstream.name, upstream.condition]);
    }
    table.print(output)
}
