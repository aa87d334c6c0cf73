//! From text to the raw shape, past as many faults as there are.
//!
//! serde ends at the first fault. So the key at fault is taken out of the parsed table and the rest is read again,
//! until it goes through; what was taken out is reported, and remembered so that nothing is reported as missing that
//! is merely wrong.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::diagnostic::{Diagnostic, Severity, Source, nearest, quoted};
use super::units::HINT;

/// Faults after which reading ends.
const MAX_FAULTS: usize = 100;

/// What a file gave.
pub(super) struct Reading<T> {
    /// The shape, or its defaults where nothing could be read.
    pub(super) raw: T,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The keys that were taken out, as paths.
    pub(super) removed: HashSet<Path>,
    /// Whether the text is TOML.
    pub(super) is_toml: bool,
}

/// The way to a key; the index of a table in an array counts as one.
pub(super) type Path = Vec<String>;

/// Reads a file.
pub(super) fn read<T: DeserializeOwned + Default>(source: &Arc<Source>) -> Reading<T> {
    let (mut table, errors) = DeTable::parse_recoverable(&source.text);
    let is_toml = errors.iter().all(is_duplicate);
    let mut reading = Reading {
        raw: T::default(),
        diagnostics: errors
            .into_iter()
            .take(MAX_FAULTS)
            .map(|error| syntax(source, &error))
            .collect(),
        removed: HashSet::new(),
        is_toml,
    };
    while reading.is_toml && reading.diagnostics.len() < MAX_FAULTS {
        let error = match T::deserialize(Deserializer::from(table.clone())) {
            Ok(raw) => {
                reading.raw = raw;
                break;
            }
            Err(error) => error,
        };
        let path = error
            .span()
            .and_then(|span| locate_in_table(table.get_ref(), &span));
        reading
            .diagnostics
            .push(shape(source, &error, path.as_deref()));
        let Some(path) = path else { break };
        if !remove(table.get_mut(), &path) {
            break;
        }
        reading.removed.insert(path);
    }
    reading
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message().starts_with("duplicate key")
}

fn syntax(source: &Arc<Source>, error: &toml::de::Error) -> Diagnostic {
    let span = error.span();
    let marked = span
        .clone()
        .and_then(|span| source.text.get(span))
        .unwrap_or_default();
    if !is_duplicate(error) {
        return Diagnostic::new(Severity::Error, source, span, error.message())
            .with_hint("the file is not TOML here; see https://toml.io");
    }
    let kind = span
        .as_ref()
        .and_then(|span| source.text.get(..span.start))
        .and_then(|before| before.rsplit('\n').next())
        .and_then(|line| line.trim_start().strip_prefix('['))
        .and_then(|header| header.strip_suffix('.'))
        .unwrap_or("key");
    let message = format!("{kind} `{marked}` is there twice");
    Diagnostic::new(Severity::Error, source, span, message)
        .with_hint("keep one of the two; a name stands for one thing")
}

/// Words the errors of serde anew, with what is known about the key.
fn shape(source: &Arc<Source>, error: &toml::de::Error, path: Option<&[String]>) -> Diagnostic {
    let (message, hint) = match error.message().split_once(HINT) {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None => explain(error.message(), path.unwrap_or_default()),
    };
    let diagnostic = Diagnostic::new(Severity::Error, source, error.span(), message);
    match hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

fn explain(message: &str, path: &[String]) -> (String, Option<String>) {
    let kind = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "value"
    } else {
        return explain_type(message, path);
    };
    let mut words = message.split('`').skip(1).step_by(2);
    let word = words.next().unwrap_or_default();
    if is_planned(path, word) {
        let message = format!("`{word}` is not available yet in this version");
        return (
            message,
            Some("take it out; a later version will know it".to_owned()),
        );
    }
    let known: Vec<&str> = words.collect();
    let all = match (kind, known.is_empty()) {
        (_, true) => "this table has no keys".to_owned(),
        ("key", false) => format!("keys known here: {}", quoted(known.iter().copied())),
        (_, false) => format!("values known here: {}", quoted(known.iter().copied())),
    };
    let hint = match nearest(word, &known) {
        Some(meant) => format!("did you mean `{meant}`? {all}"),
        None => all,
    };
    (format!("unknown {kind} `{word}`"), Some(hint))
}

fn explain_type(message: &str, path: &[String]) -> (String, Option<String>) {
    let is_password = path.last().is_some_and(|key| key == "password");
    if is_password && message.contains("SecretSource") {
        let hint = "write { file = \"…\" }, { env = \"…\" } or { inline = \"…\" }";
        return (
            "a password is not written bare".to_owned(),
            Some(hint.to_owned()),
        );
    }
    if is_password {
        // The message of serde quotes the value.
        return ("the password is not a text".to_owned(), None);
    }
    let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    else {
        return (message.to_owned(), None);
    };
    let expected = match expected {
        "a string" => "a text in quotes",
        "a boolean" => "`true` or `false`",
        "a sequence" => "an array in brackets",
        expected if expected.starts_with("struct ") || expected == "a map" => "a table",
        "string or table" => "a text in quotes",
        expected => expected,
    };
    let hint = match path.last().map(String::as_str) {
        Some("listener") => {
            Some("listeners are written as [[listener]], in double brackets".to_owned())
        }
        _ => None,
    };
    (format!("this is {found}, but {expected} is needed"), hint)
}

/// Returns whether a key or value is described, but belongs to a later version.
fn is_planned(path: &[String], word: &str) -> bool {
    let table = path.first().map(String::as_str);
    PLANNED
        .iter()
        .any(|(root, planned)| *planned == word && (root.is_empty() || Some(*root) == table))
}

/// What the documentation speaks of and this version does not know yet: first key of the path, and word.
const PLANNED: &[(&str, &str)] = &[
    ("", "alert"),
    ("", "attachments"),
    ("", "dkim"),
    ("", "http"),
    ("", "support"),
    ("", "warn_after"),
    ("account", "alert_address"),
    ("account", "default_sender"),
    ("account", "hold"),
    ("account", "rate"),
    ("account", "rewrite"),
    ("accounts", "hold"),
    ("accounts", "rewrite"),
    ("relay", "ageing"),
    ("spool", "postgres"),
    ("system_mail", "charset"),
    ("system_mail", "encoding"),
    ("tenant", "alert_address"),
    ("tls", "acme"),
    ("tls", "name"),
    ("upstream", "bandwidth"),
    ("upstream", "graph"),
    ("upstream", "rate"),
];

fn locate_in_table(table: &DeTable<'_>, at: &Range<usize>) -> Option<Path> {
    table.iter().find_map(|(key, value)| {
        let step = || key.get_ref().clone().into_owned();
        if let Some(mut path) = locate_in_value(value, at) {
            path.insert(0, step());
            return Some(path);
        }
        (contains(&key.span(), at) || contains(&value.span(), at)).then(|| vec![step()])
    })
}

fn locate_in_value(value: &Spanned<DeValue<'_>>, at: &Range<usize>) -> Option<Path> {
    match value.get_ref() {
        DeValue::Table(table) => locate_in_table(table, at),
        DeValue::Array(array) => array.iter().enumerate().find_map(|(index, value)| {
            let mut path = locate_in_value(value, at)?;
            path.insert(0, index.to_string());
            Some(path)
        }),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && outer.start < outer.end
}

fn remove(table: &mut DeTable<'_>, path: &[String]) -> bool {
    match path {
        [] => false,
        [key] => table.remove(key.as_str()).is_some(),
        [key, rest @ ..] => table
            .get_mut(key.as_str())
            .is_some_and(|value| remove_from_value(value.get_mut(), rest)),
    }
}

fn remove_from_value(value: &mut DeValue<'_>, path: &[String]) -> bool {
    match value {
        DeValue::Table(table) => remove(table, path),
        DeValue::Array(array) => {
            let (Some(index), rest) = (path.first(), path.get(1..).unwrap_or_default()) else {
                return false;
            };
            let wanted = index.parse().unwrap_or(usize::MAX);
            let element = array.get_mut(wanted);
            element.is_some_and(|value| remove_from_value(value.get_mut(), rest))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}
