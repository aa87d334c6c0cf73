//! `posthouse listener show`.

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::settings::{self, Form};

/// Show every setting of a listener that is in force, and where it comes from
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The listener to show
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let mut listeners = config.shown_listeners.iter();
    let Some(listener) = listeners.find(|listener| listener.name == arguments.name) else {
        let message = format!("there is no listener `{}`", arguments.name);
        let names = config
            .shown_listeners
            .iter()
            .map(|listener| &*listener.name);
        let hint = format!("listeners: {}", names.collect::<Vec<_>>().join(", "));
        return Err(Failure::new(Code::NoInput, message).with_hint(hint));
    };
    settings::print(&listener.settings, Form::of(arguments.json), output)
}
