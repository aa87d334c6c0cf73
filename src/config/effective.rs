//! What is in force for a table, and where each value comes from.
//!
//! What is written is taken from the text itself, so that no key is missing whatever its table; what is not written is
//! added by the check, which knows profiles and defaults. No secret is in it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::Source;

/// A setting in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Its key in its table, with dots: `timeout.connect`.
    pub key: String,
    /// Its value as it is written in the file, without quotes; `***` for a secret, `none` for nothing.
    pub value: String,
    /// Where a secret is kept: `the file secrets/main`.
    pub secret_in: Option<String>,
    /// Where it comes from.
    pub origin: SettingOrigin,
}

/// Where a setting comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SettingOrigin {
    /// Nobody has said anything.
    Default,
    /// It stands in a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The profile of this name has it.
    Profile(&'static str),
}

/// A value that may not be written in its table.
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) origin: RowOrigin,
}

/// Where a value that is not written in its table comes from.
pub(super) enum RowOrigin {
    Default,
    /// Another place of the file.
    Elsewhere(Range<usize>),
    Profile(&'static str),
}

/// A value as it is written.
struct Written {
    key: String,
    value: String,
    secret_in: Option<String>,
    place: usize,
}

/// Returns all settings of the table at `path`: those of `rows` in their order, each replaced by what is written, then
/// what is written besides.
pub(super) fn effective(source: &Source, path: &[&str], rows: Vec<Row>) -> Vec<Setting> {
    let (root, _) = DeTable::parse_recoverable(&source.text);
    let mut written = Vec::new();
    if let Some(table) = descend(root.get_ref(), path) {
        leaves(source, "", table, &mut written);
    }
    written.sort_by_key(|one| one.place);
    let line = |place: usize| {
        let before = source.text.get(..place).unwrap_or_default();
        SettingOrigin::File {
            path: source.path.clone(),
            line: before.matches('\n').count() + 1,
        }
    };
    let setting = |one: Written| Setting {
        key: one.key,
        value: one.value,
        secret_in: one.secret_in,
        origin: line(one.place),
    };
    let mut settings = Vec::new();
    for row in rows {
        let (own, rest): (Vec<_>, Vec<_>) = written
            .into_iter()
            .partition(|one| belongs(&one.key, row.key));
        written = rest;
        if own.is_empty() {
            settings.push(Setting {
                key: row.key.to_owned(),
                value: row.value,
                secret_in: None,
                origin: match row.origin {
                    RowOrigin::Default => SettingOrigin::Default,
                    RowOrigin::Elsewhere(place) => line(place.start),
                    RowOrigin::Profile(name) => SettingOrigin::Profile(name),
                },
            });
        }
        settings.extend(own.into_iter().map(setting));
    }
    settings.extend(written.into_iter().map(setting));
    settings
}

/// Returns whether a key is `of` or stands in the table of that name.
fn belongs(key: &str, of: &str) -> bool {
    key.strip_prefix(of)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns the place of each value that is written in the table at `path`, by its key in it.
pub(super) fn places(source: &Source, path: &[&str]) -> HashMap<String, Range<usize>> {
    let (root, _) = DeTable::parse_recoverable(&source.text);
    let mut written = Vec::new();
    if let Some(table) = descend(root.get_ref(), path) {
        leaves(source, "", table, &mut written);
    }
    let places = written.into_iter();
    places
        .map(|one| (one.key, one.place..one.place + 1))
        .collect()
}

fn descend<'a, 'i>(table: &'a DeTable<'i>, path: &[&str]) -> Option<&'a DeTable<'i>> {
    let Some((first, rest)) = path.split_first() else {
        return Some(table);
    };
    match table.get(*first)?.get_ref() {
        DeValue::Table(table) => descend(table, rest),
        DeValue::Array(tables) => {
            let (index, rest) = rest.split_first()?;
            match tables.get(index.parse::<usize>().ok()?)?.get_ref() {
                DeValue::Table(table) => descend(table, rest),
                DeValue::Array(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Float(_)
                | DeValue::Integer(_)
                | DeValue::String(_) => None,
            }
        }
        DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Float(_)
        | DeValue::Integer(_)
        | DeValue::String(_) => None,
    }
}

/// Returns the tables of an array that has nothing else, such as `[[listener.network]]`.
fn tables<'a, 'i>(value: &'a DeValue<'i>) -> Option<Vec<&'a DeTable<'i>>> {
    let DeValue::Array(entries) = value else {
        return None;
    };
    let table = |entry: &'a Spanned<DeValue<'i>>| match entry.get_ref() {
        DeValue::Table(table) => Some(table),
        DeValue::Array(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Float(_)
        | DeValue::Integer(_)
        | DeValue::String(_) => None,
    };
    let tables: Option<Vec<_>> = entries.iter().map(table).collect();
    tables.filter(|tables| !tables.is_empty())
}

fn leaves(source: &Source, prefix: &str, table: &DeTable<'_>, found: &mut Vec<Written>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let place = name.span().start;
        if let Some(tables) = tables(value.get_ref()) {
            for (index, table) in tables.into_iter().enumerate() {
                leaves(source, &format!("{key}.{}.", index + 1), table, found);
            }
            continue;
        }
        let (value, secret_in) = match value.get_ref() {
            DeValue::Table(inner) => {
                let Some(secret_in) = secret_place(inner) else {
                    leaves(source, &format!("{key}."), inner, found);
                    continue;
                };
                (HIDDEN.to_owned(), Some(secret_in))
            }
            _ if matches!(&**name.get_ref(), "inline" | "password") => (HIDDEN.to_owned(), None),
            DeValue::String(text) => (text.to_string(), None),
            DeValue::Array(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_) => {
                let text = source.text.get(value.span()).unwrap_or_default();
                (text.split_whitespace().collect::<Vec<_>>().join(" "), None)
            }
        };
        found.push(Written {
            key,
            value,
            secret_in,
            place,
        });
    }
}

const HIDDEN: &str = "***";

/// Returns where a secret is kept, where a table is one that says so.
fn secret_place(table: &DeTable<'_>) -> Option<String> {
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return None;
    };
    place_of_secret(key, value.get_ref())
}

fn place_of_secret(key: &Spanned<DeString<'_>>, value: &DeValue<'_>) -> Option<String> {
    match (&**key.get_ref(), value.as_str()) {
        ("env", Some(name)) => Some(format!("the environment variable {name}")),
        ("file", Some(path)) => Some(format!("the file {path}")),
        ("inline", _) => Some("the configuration itself".to_owned()),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "\
[relay.retry]
first = \"2m\"

[upstream.main.smtp]
host = \"smtp.example.net\"
rate = [\"10/s\",
  \"5000/h\"]
password = { file = \"secrets/main\" }
timeout.connect = \"5s\"
retry = { longest = \"1h\" }
proxy = { url = \"socks5://p.example:1\", username = \"u\", password = { env = \"PROXY\" } }

[upstream.main.smtp.oauth.generic]
client_secret = { inline = \"hunter2\" }
refresh_token.password = \"hunter2\"
";

    fn shown() -> Vec<String> {
        let row = |key, value: &str, origin| Row {
            key,
            value: value.to_owned(),
            origin,
        };
        let rows = vec![
            row("port", "587", RowOrigin::Profile("gmail")),
            row("host", "other", RowOrigin::Default),
            row("hosts", "none", RowOrigin::Default),
            row("timeout.connect", "30s", RowOrigin::Default),
            row("timeout.command", "5m", RowOrigin::Default),
            row("retry.first", "2m", RowOrigin::Elsewhere(14..16)),
            row("retry.longest", "2h", RowOrigin::Default),
        ];
        let source = Source::new(Path::new("p.toml"), TEXT.to_owned());
        let settings = effective(&source, &["upstream", "main", "smtp"], rows);
        let words = |setting: Setting| {
            let origin = match setting.origin {
                SettingOrigin::Default => "default".to_owned(),
                SettingOrigin::File { path, line } => format!("{}:{line}", path.display()),
                SettingOrigin::Profile(name) => format!("profile {name}"),
            };
            let secret = setting.secret_in.map(|place| format!(" in {place}"));
            let secret = secret.unwrap_or_default();
            format!("{} = {}{secret} [{origin}]", setting.key, setting.value)
        };
        settings.into_iter().map(words).collect()
    }

    #[test]
    fn every_value_has_its_origin_and_no_secret_is_shown() {
        assert_eq!(
            shown(),
            [
                "port = 587 [profile gmail]",
                "host = smtp.example.net [p.toml:5]",
                "hosts = none [default]",
                "timeout.connect = 5s [p.toml:9]",
                "timeout.command = 5m [default]",
                "retry.first = 2m [p.toml:2]",
                "retry.longest = 1h [p.toml:10]",
                "rate = [\"10/s\", \"5000/h\"] [p.toml:6]",
                "password = *** in the file secrets/main [p.toml:8]",
                "proxy.url = socks5://p.example:1 [p.toml:11]",
                "proxy.username = u [p.toml:11]",
                "proxy.password = *** in the environment variable PROXY [p.toml:11]",
                "oauth.generic.client_secret = *** in the configuration itself [p.toml:14]",
                "oauth.generic.refresh_token.password = *** [p.toml:15]",
            ]
        );
    }
}
