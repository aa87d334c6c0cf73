//! `posthouse listener list`.

use serde::Serialize;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::config::{Setting, ShownListener};

/// List all listeners with their ports, and how clients come to TLS and log in there
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// A listener as it is printed.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    profile: Option<&'static str>,
    address: String,
    ports: String,
    tls: String,
    auth: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let ports = config.listeners.iter().map(|one| one.ports.to_string());
    let shown = config.shown_listeners.iter().zip(ports);
    let listed = shown.map(|(shown, ports)| Listed::new(shown, ports));
    if arguments.json {
        return output.json(&listed.collect::<Vec<_>>());
    }
    let mut table = Table::new(["NAME", "PROFILE", "ADDRESS", "PORTS", "TLS", "AUTH"]);
    for one in listed {
        let profile = one.profile.unwrap_or("-").to_owned();
        table.add([one.name, profile, one.address, one.ports, one.tls, one.auth]);
    }
    table.print(output)
}

impl Listed {
    fn new(shown: &ShownListener, ports: String) -> Self {
        let value = |key: &str| {
            let is_it = |setting: &&Setting| setting.key == key;
            let found = shown.settings.iter().find(is_it);
            found
                .map(|setting| setting.value.clone())
                .unwrap_or_default()
        };
        Self {
            name: shown.name.clone(),
            profile: shown.profile,
            address: value("address"),
            ports,
            tls: value("tls"),
            auth: value("auth"),
        }
    }
}
