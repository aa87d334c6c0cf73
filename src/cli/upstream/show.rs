//! `posthouse upstream show`.

use serde::Serialize;

use crate::cli::configuration::{self, ConfigurationOption};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::config::{Setting, SettingOrigin};
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

/// A setting as it is printed.
#[derive(Debug, Serialize)]
struct SettingView {
    key: String,
    value: String,
    /// Where a secret is kept.
    secret_in: Option<String>,
    /// `default`, `file` or `profile`.
    from: &'static str,
    file: Option<String>,
    line: Option<usize>,
    profile: Option<&'static str>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let upstream = configuration::upstream(&config, &arguments.name)?;
    let settings = upstream.settings.iter().cloned().map(SettingView::new);
    let settings: Vec<_> = settings.collect();
    if arguments.json {
        return output.json(&settings);
    }
    let mut table = Table::new(["KEY", "VALUE", "FROM"]);
    for setting in settings {
        let (value, from) = (setting.shown(), setting.place());
        table.add([setting.key, value, from]);
    }
    table.print(output)
}

impl SettingView {
    fn new(setting: Setting) -> Self {
        let view = Self {
            key: setting.key,
            value: setting.value,
            secret_in: setting.secret_in,
            from: "default",
            file: None,
            line: None,
            profile: None,
        };
        match setting.origin {
            SettingOrigin::Default => view,
            SettingOrigin::File { path, line } => Self {
                from: "file",
                file: Some(path.display().to_string()),
                line: Some(line),
                ..view
            },
            SettingOrigin::Profile(name) => Self {
                from: "profile",
                profile: Some(name),
                ..view
            },
        }
    }

    fn shown(&self) -> String {
        match &self.secret_in {
            Some(place) => format!("{} in {place}", self.value),
            None => self.value.clone(),
        }
    }

    fn place(&self) -> String {
        match (&self.file, self.line, self.profile) {
            (Some(file), Some(line), _) => format!("{file}:{line}"),
            (_, _, Some(profile)) => format!("profile {profile}"),
            (_, _, None) => self.from.to_owned(),
        }
    }
}
