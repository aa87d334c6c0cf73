//! `posthouse queue stats`.

use crate::clock::{Clock as _, SystemClock};
use crate::control::protocol::{QueueRequest, Response};
use crate::control::sums::{CensusView, SumView};

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, octets, span, thousands};
use crate::cli::table::Table;

use super::source::Source;

/// Show how many messages wait: by state, priority, upstream, account and tenant
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// How many accounts and tenants at most, those with the most messages first
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: usize,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&arguments.configuration)?;
    let request = QueueRequest::Stats { top: arguments.top };
    let answer = source.ask(request)?.accepted()?;
    let Response::Stats(stats) = answer else {
        return Err(Failure::unexpected_answer());
    };
    if arguments.json {
        output.json(&stats)
    } else {
        print(&stats, output)
    }
}

fn print(stats: &CensusView, output: &mut Output) -> Result<(), Failure> {
    output.field("messages", thousands(stats.messages))?;
    output.field("size", octets(stats.octets))?;
    output.field("pending", thousands(stats.pending))?;
    output.field("leased", thousands(stats.leased))?;
    output.field("held", thousands(stats.held))?;
    output.field("damaged", thousands(stats.damaged))?;
    if let Some(oldest) = stats.oldest {
        let age = span(SystemClock.now().since(oldest.0));
        output.field("oldest", format_args!("{age} ({})", oldest.0))?;
    }
    let mut table = Table::new(["BY", "NAME", "MESSAGES", "SIZE"]);
    for (kind, sums, left_out) in [
        ("priority", &stats.priorities, 0),
        ("upstream", &stats.upstreams, 0),
        ("account", &stats.accounts, stats.accounts_left_out),
        ("tenant", &stats.tenants, stats.tenants_left_out),
    ] {
        for sum in sums {
            table.add(row(kind, sum));
        }
        if left_out > 0 {
            let name = format!("and {left_out} more");
            table.add([kind.to_owned(), name, String::new(), String::new()]);
        }
    }
    if stats.messages == 0 {
        return Ok(());
    }
    if output.is_terminal {
        output.line("")?;
    }
    table.print(output)
}

fn row(kind: &str, sum: &SumView) -> [String; 4] {
    let own = || "posthouse itself".to_owned();
    [
        kind.to_owned(),
        sum.name.clone().unwrap_or_else(own),
        thousands(sum.messages),
        octets(sum.octets),
    ]
}
