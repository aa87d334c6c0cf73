//! `posthouse queue stats`.

use crate::control::protocol::{QueueRequest, Response};
use crate::control::view::StatsView;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, octets};

use super::source::Source;

/// Show how many messages wait, and how large they are
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&arguments.configuration)?;
    let answer = source.ask(QueueRequest::Stats)?.accepted()?;
    let Response::Stats(stats) = answer else {
        return Err(Failure::unexpected_answer());
    };
    if arguments.json {
        output.json(&stats)
    } else {
        print(&stats, output)
    }
}

fn print(stats: &StatsView, output: &mut Output) -> Result<(), Failure> {
    output.field("messages", stats.messages)?;
    output.field("size", octets(stats.octets))?;
    output.field("leased", stats.leased)?;
    output.field("held", stats.held)?;
    output.field("damaged", stats.damaged)
}
