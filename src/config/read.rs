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
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::diagnostic::{Diagnostic, Severity, Source, quoted};
use super::units::HINT;
use crate::identity::nearest;

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
        diagnostics: syntax_errors(source, &errors),
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
        let path = error.span().and_then(|span| locate(table.get_ref(), &span));
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

/// Words the errors of the parser anew. Where a table is there twice, its keys are not reported too.
fn syntax_errors(source: &Arc<Source>, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut header = None;
    for error in errors.iter().take(MAX_FAULTS) {
        let span = error.span().unwrap_or_default();
        let (message, hint) = if is_duplicate(error) {
            let before = source.text.get(..span.start).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
            let marked = source.text.get(span.clone()).unwrap_or_default();
            if let Some(way) = line.strip_prefix('[') {
                header = Some(span.start);
                (twice_in_header(way, marked), TWICE)
            } else if is_below(&source.text, header, span.start) {
                continue;
            } else {
                (format!("key `{marked}` is there twice"), TWICE)
            }
        } else {
            (error.message().to_owned(), NOT_TOML)
        };
        let diagnostic = Diagnostic::new(Severity::Error, source, Some(span), message);
        diagnostics.push(diagnostic.with_hint(hint));
    }
    diagnostics
}

const TWICE: &str = "a name stands for one thing; keep one of the two";
const NOT_TOML: &str = "the file is not TOML here; see https://toml.io";

/// `way` is the header up to the name at fault: `account.` in `[account.alice]`.
fn twice_in_header(way: &str, marked: &str) -> String {
    let mut steps = way.trim_start_matches('[').split('.');
    match (steps.next(), steps.next()) {
        (Some(kind), Some("")) => format!("{kind} `{marked}` is there twice"),
        (Some(kind), Some(name)) => format!("{kind} `{name}` is there twice"),
        _ => format!("table `{marked}` is there twice"),
    }
}

/// Returns whether the key at `at` belongs to the table whose header is at `header`.
fn is_below(text: &str, header: Option<usize>, at: usize) -> bool {
    let between = header.and_then(|header| text.get(header..at));
    between.is_some_and(|between| {
        let mut lines = between.lines().skip(1);
        !lines.any(|line| line.trim_start().starts_with('['))
    })
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
    let key = path.last().map(String::as_str);
    let is_password = matches!(key, Some("inline" | "password"));
    if is_password && message.contains("SecretSource") {
        let hint = "write { file = \"…\" }, { env = \"…\" } or { inline = \"…\" }";
        return (
            "a password is not written bare".to_owned(),
            Some(hint.to_owned()),
        );
    }
    if is_password {
        // The message of serde quotes the value.
        let hint = "write it in quotes".to_owned();
        return ("the password is not a text".to_owned(), Some(hint));
    }
    if key == Some("proxy") {
        // The message of serde quotes the value, which may have a password in it.
        let hint = "write proxy = { url = \"socks5://proxy.example.com:1080\" }, with `username` and `password` where it \
                    wants a login";
        return ("a proxy is a table".to_owned(), Some(hint.to_owned()));
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
    let hint = match key {
        Some("listener") => {
            Some("listeners are written as [[listener]], in double brackets".to_owned())
        }
        _ => None,
    };
    (
        format!("this is {}, but {expected} is needed", plain(found)),
        hint,
    )
}

/// Says in plain words what serde found.
fn plain(found: &str) -> String {
    match found.split_once(' ') {
        Some(("string", value)) => format!("the text {value}"),
        Some(("integer", value)) => format!("the number {value}"),
        _ if found == "map" => "a table".to_owned(),
        _ if found == "sequence" => "an array".to_owned(),
        _ => found.to_owned(),
    }
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
    ("", "attachments"),
    ("http", "admin"),
    ("", "support"),
    ("spool", "postgres"),
    ("system_mail", "charset"),
    ("system_mail", "encoding"),
];

/// Returns the way to the key whose name stands at `at`, or else to the innermost key whose value does.
fn locate(table: &DeTable<'_>, at: &Range<usize>) -> Option<Path> {
    let is_key: Test = |key, _, at| key.span() == *at;
    let holds: Test = |key, value, at| contains(&key.span(), at) || contains(&value.span(), at);
    in_table(table, at, is_key).or_else(|| in_table(table, at, holds))
}

type Test = fn(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>, &Range<usize>) -> bool;

fn in_table(table: &DeTable<'_>, at: &Range<usize>, test: Test) -> Option<Path> {
    table.iter().find_map(|(key, value)| {
        let step = || key.get_ref().clone().into_owned();
        if let Some(mut path) = in_value(value, at, test) {
            path.insert(0, step());
            return Some(path);
        }
        test(key, value, at).then(|| vec![step()])
    })
}

fn in_value(value: &Spanned<DeValue<'_>>, at: &Range<usize>, test: Test) -> Option<Path> {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, at, test),
        DeValue::Array(array) => array.iter().enumerate().find_map(|(index, value)| {
            let mut path = in_value(value, at, test)?;
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
