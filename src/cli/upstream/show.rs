//! `posthouse upstream show`.

use crate::cli::configuration::{self, ConfigurationOption};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::settings::{self, Form};
use crate::identity::UpstreamName;

/// Show every setting of an upstream that is in force, and where it comes from
///
/// Reads the configuration; no server need run. Secrets are not shown, only where they are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The upstream to show
    #[arg(value_name = "NAME", value_parser = UpstreamName::parse)]
    name: UpstreamName,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let upstream = configuration::upstream(&config, &arguments.name)?;
    settings::print(&upstream.settings, Form::of(arguments.json), output)
}
