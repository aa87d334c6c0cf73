//! `posthouse check`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::app::expiry;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Checked, Diagnostic, Severity};

use super::configuration::{self, ConfigurationOption};
use super::failure::{Code, Failure};
use super::output::{Output, Style};

/// Check a configuration, and show all that is wrong with it
///
/// Reads the configuration with its accounts, secrets and certificates, and shows every error and warning with file,
/// line, column and a hint. Looks nothing up in the network and changes nothing. The exit code is 78 if there are
/// errors; warnings alone do no harm.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse check
  posthouse check ./posthouse.toml
  posthouse check --defaults > posthouse.toml    a sample with every key, its meaning and default")]
pub(super) struct Arguments {
    /// The configuration file, before that of --config
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print a sample configuration with every key, its meaning and its default
    #[arg(long, conflicts_with = "json")]
    defaults: bool,
    /// Print the diagnostics as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct View<'a> {
    file: String,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<DiagnosticView<'a>>,
}

#[derive(Debug, Serialize)]
struct DiagnosticView<'a> {
    severity: &'static str,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a Diagnostic> for DiagnosticView<'a> {
    fn from(found: &'a Diagnostic) -> Self {
        let position = found.position();
        Self {
            severity: match found.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            file: found.path().display().to_string(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            message: found.message(),
            hint: found.hint(),
        }
    }
}

impl Arguments {
    /// Returns the file that is meant: as other commands take it, or without the option.
    fn file(&self) -> &Path {
        self.named.as_deref().unwrap_or(&self.configuration.file)
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    if arguments.defaults {
        return output.text(&config::defaults_toml());
    }
    configuration::require(arguments.file())?;
    let loaded = config::load(arguments.file());
    let found = match &loaded {
        Ok(checked) => warnings(checked),
        Err(report) => report.diagnostics().to_vec(),
    };
    let found = found.as_slice();
    if arguments.json {
        output.json(&view(arguments, found))?;
    }
    match &loaded {
        Ok(_) if arguments.json => Ok(()),
        Ok(_) => fine(arguments, found, output),
        Err(report) if arguments.json => {
            let failure = Failure::configuration(arguments.file(), report);
            Err(Failure::new(Code::Configuration, failure.message))
        }
        Err(report) => Err(Failure::configuration(arguments.file(), report)),
    }
}

/// Returns what somebody should look at, also what ends soon.
fn warnings(checked: &Checked) -> Vec<Diagnostic> {
    let ending = expiry::warnings(checked, SystemClock.now());
    let ending = ending.iter().map(|(expiry, words)| expiry.warning(words));
    checked.warnings.iter().cloned().chain(ending).collect()
}

fn view<'a>(arguments: &Arguments, found: &'a [Diagnostic]) -> View<'a> {
    let count = |severity| {
        found
            .iter()
            .filter(|found| found.severity() == severity)
            .count()
    };
    View {
        file: arguments.file().display().to_string(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        diagnostics: found.iter().map(DiagnosticView::from).collect(),
    }
}

fn fine(
    arguments: &Arguments,
    warnings: &[Diagnostic],
    output: &mut Output,
) -> Result<(), Failure> {
    for warning in warnings {
        output.text(&format!("{warning}\n\n"))?;
    }
    let file = arguments.file().display();
    match warnings.len() {
        0 => output.styled(Style::Green, format_args!("{file} is fine")),
        1 => output.styled(
            Style::Yellow,
            format_args!("{file} can be used, with 1 warning"),
        ),
        count => output.styled(
            Style::Yellow,
            format_args!("{file} can be used, with {count} warnings"),
        ),
    }
}
