use std::path::Path;

use super::*;
use crate::config::diagnostic::Source;
use crate::config::read::{Reading, read};

/// The sample with all its keys in force.
fn everything() -> String {
    let lines = defaults_toml();
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn reading(text: &str) -> Reading<raw::Root> {
    read(&Source::new(Path::new("sample.toml"), text.to_owned()))
}

/// The keys that the table with this header knows, as the refusal of an unknown one lists them.
fn known_keys(text: &str, header: &str) -> Vec<String> {
    let text = format!("\n{text}");
    let wrong = text.replacen(
        &format!("\n{header}\n"),
        &format!("\n{header}\nno_such_key = 1\n"),
        1,
    );
    let diagnostics = reading(&wrong).diagnostics;
    let diagnostic = diagnostics
        .iter()
        .find(|d| d.message() == "unknown key `no_such_key`")
        .unwrap_or_else(|| panic!("{header} takes anything"));
    let hint = diagnostic.hint().unwrap();
    let quoted = hint.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_sample_is_known() {
    let diagnostics = reading(&everything()).diagnostics;
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
}

#[test]
fn every_known_key_is_in_the_sample() {
    let text = everything();
    let headers = text.lines().filter(|line| line.starts_with('['));
    for header in headers {
        let table = text.split(&format!("{header}\n")).nth(1).unwrap();
        let table = table.split("\n[").next().unwrap();
        let path = header.trim_matches(['[', ']']);
        for key in known_keys(&text, header) {
            let is_key = table
                .lines()
                .any(|line| line.split_once(" =").is_some_and(|(name, _)| name == key));
            let is_table = text.contains(&format!("[{path}.{key}]"));
            assert!(is_key || is_table, "{key} is missing in {header}");
        }
    }
}

#[test]
fn every_table_is_in_the_sample() {
    let text = everything();
    for table in known_keys(
        &text,
        "# posthouse: the complete configuration. Every key is here.",
    ) {
        let is_there = text.lines().any(|line| {
            line.trim_start_matches('[')
                .starts_with(&format!("{table}]"))
                || line.starts_with(&format!("[{table}."))
        });
        assert!(is_there, "{table}");
    }
}

#[test]
fn every_key_of_an_account_is_described() {
    let text = "[account.alice]\nno_such_key = 1\n";
    let wrong = Source::new(Path::new("accounts.toml"), text.to_owned());
    let reading: Reading<raw::AccountsRoot> = read(&wrong);
    let hint = reading.diagnostics.first().unwrap().hint().unwrap();
    let sample = defaults_toml();
    let (_, described) = sample
        .split_once("# accounts.toml, a file of its own")
        .unwrap();
    for key in hint.split('`').skip(1).step_by(2) {
        assert!(described.contains(key), "{key}");
    }
}

#[test]
fn what_is_shown_as_a_default_is_the_default() {
    let (mut shown, default) = (reading(&everything()).raw, raw::Root::default());
    // An example: there is no default.
    shown.accounts.defaults.default_sender = None;
    let written = |root: &raw::Root| {
        let (session, spool) = (&root.session, (&root.spool, &root.journal));
        format!(
            "{session:?} {spool:?} {:?} {:?}",
            root.log, root.accounts.defaults
        )
    };
    assert_eq!(written(&shown), written(&default));
}
