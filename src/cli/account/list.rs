//! `posthouse account list`.

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;

use super::view::AccountView;

/// List all accounts
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load_verified()?;
    let accounts = config.accounts.iter();
    let accounts: Vec<_> = accounts
        .map(|account| AccountView::new(&config, account))
        .collect();
    if arguments.json {
        return output.json(&accounts);
    }
    if accounts.is_empty() && output.is_terminal {
        return output.line("There is no account. `posthouse account add NAME` makes one.");
    }
    let headings = [
        "NAME",
        "ACTIVE",
        "TENANT",
        "PRIORITY",
        "MAY SEND AS",
        "NOTE",
    ];
    let mut table = Table::new(headings);
    for account in accounts {
        table.add([
            account.name.clone(),
            if account.active { "yes" } else { "no" }.to_owned(),
            account.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            account.priority.to_string(),
            account.senders(),
            account.note.clone().unwrap_or_default(),
        ]);
    }
    table.print(output)
}
