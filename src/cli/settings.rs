//! Settings in force, each with where it comes from.

use serde::Serialize;

use super::failure::Failure;
use super::output::Output;
use super::table::Table;
use crate::config::{Setting, SettingOrigin};

/// How settings are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Json,
    Table,
}

impl Form {
    /// Returns what the option `--json` says.
    pub(super) fn of(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Table }
    }
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

/// Prints settings.
pub(super) fn print(settings: &[Setting], form: Form, output: &mut Output) -> Result<(), Failure> {
    let settings = settings.iter().cloned().map(SettingView::new);
    if form == Form::Json {
        return output.json(&settings.collect::<Vec<_>>());
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
