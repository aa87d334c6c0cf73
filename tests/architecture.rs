//! The rules of `docs/architecture.md` that a program can check: who may import whom, how long a file may be, and
//! what the pure layers never name. All faults are reported at once, with file and line.

#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "test code"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each module may import. A module that is missing here is a fault.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("body", &[]),
    ("clock", &[]),
    ("durable", &[]),
    ("identity", &[]),
    ("panics", &[]),
    ("port", &[]),
    ("secret", &[]),
    ("mail", &["clock", "identity"]),
    ("dkim", &["clock", "mail"]),
    ("message", &["identity", "mail"]),
    ("mime", &["mail"]),
    ("policy", &["identity", "mail"]),
    ("proxy_protocol", &[]),
    ("route", &["identity", "mail"]),
    ("schedule", &["clock", "mail"]),
    ("smtp", &["clock", "identity", "mail", "secret"]),
    (
        "quota",
        &["clock", "durable", "identity", "schedule", "telemetry"],
    ),
    ("alert", &["clock", "durable", "identity", "mail", "secret"]),
    (
        "auth",
        &["clock", "durable", "identity", "panics", "secret"],
    ),
    ("dial", &["dns", "secret", "telemetry"]),
    ("dns", &[]),
    ("http", &["clock", "dial", "telemetry", "tls"]),
    (
        "mta_sts",
        &[
            "clock",
            "dial",
            "dns",
            "durable",
            "http",
            "telemetry",
            "tls",
        ],
    ),
    (
        "oauth",
        &["clock", "durable", "http", "secret", "telemetry", "tls"],
    ),
    ("journal", &["clock", "mail", "panics"]),
    (
        "spool",
        &["body", "clock", "identity", "mail", "schedule", "telemetry"],
    ),
    (
        "acme",
        &["clock", "durable", "http", "secret", "telemetry", "tls"],
    ),
    ("telemetry", &[]),
    ("tls", &["clock", "durable"]),
    (
        "verification",
        &["clock", "durable", "identity", "mail", "policy"],
    ),
    ("web", &["mail", "panics", "port", "tls"]),
    (
        "token",
        &[
            "clock",
            "http",
            "identity",
            "oauth",
            "secret",
            "telemetry",
            "tls",
        ],
    ),
    (
        "upstream",
        &[
            "body",
            "clock",
            "dial",
            "dkim",
            "dns",
            "http",
            "identity",
            "mail",
            "mime",
            "mta_sts",
            "oauth",
            "schedule",
            "secret",
            "smtp",
            "telemetry",
            "tls",
        ],
    ),
    (
        "submission",
        &[
            "alert",
            "auth",
            "clock",
            "identity",
            "journal",
            "mail",
            "message",
            "mime",
            "panics",
            "policy",
            "port",
            "proxy_protocol",
            "quota",
            "route",
            "secret",
            "smtp",
            "spool",
            "telemetry",
            "tls",
            "token",
        ],
    ),
    (
        "relay",
        &[
            "alert",
            "body",
            "clock",
            "identity",
            "journal",
            "mail",
            "panics",
            "route",
            "schedule",
            "spool",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "config",
        &[
            "acme",
            "alert",
            "auth",
            "clock",
            "dial",
            "dkim",
            "durable",
            "http",
            "identity",
            "journal",
            "mail",
            "message",
            "oauth",
            "policy",
            "quota",
            "route",
            "schedule",
            "secret",
            "smtp",
            "spool",
            "submission",
            "telemetry",
            "tls",
            "token",
            "upstream",
            "verification",
            "web",
        ],
    ),
    (
        "control",
        &[
            "alert",
            "clock",
            "identity",
            "journal",
            "mail",
            "spool",
            "telemetry",
        ],
    ),
    ("app", &["*"]),
    ("cli", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Layers 0 and 1: values and pure logic.
const PURE: &[&str] = &[
    "clock",
    "dkim",
    "identity",
    "secret",
    "mail",
    "message",
    "mime",
    "policy",
    "proxy_protocol",
    "route",
    "schedule",
    "smtp",
];

/// What the pure layers never name.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "SystemTime::now",
    "Instant::now",
];

/// The longest file, in lines before its tests.
const MAX_LINES: usize = 600;

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lines of a file before its tests; none of a file that holds tests only.
fn production_lines(path: &Path) -> Vec<String> {
    let is_test_file = path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        matches!(
            &*name,
            "tests.rs" | "tests" | "conformance.rs" | "conformance" | "simulated.rs"
        )
    });
    if is_test_file {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(str::to_owned)
        .collect()
}

fn module_of(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first
        .strip_suffix(".rs")
        .map_or_else(|| first.clone(), str::to_owned)
}

fn imports(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    source_files(&src, &mut files);
    assert!(files.len() > 50, "the sources are missing");
    for path in files {
        let module = module_of(&path, &src);
        let shown = path
            .strip_prefix(env!("CARGO_MANIFEST_DIR"))
            .unwrap()
            .display()
            .to_string();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{shown}: `{module}` is missing in MAY_IMPORT"));
            continue;
        };
        let lines = production_lines(&path);
        if lines.len() > MAX_LINES {
            faults.push(format!(
                "{shown}: {} lines, {MAX_LINES} are allowed",
                lines.len()
            ));
        }
        for (index, line) in lines.iter().enumerate() {
            let place = format!("{shown}:{}", index + 1);
            for import in imports(line) {
                if import != module && !allowed.contains(&import) && !allowed.contains(&"*") {
                    faults.push(format!("{place}: `{module}` may not use `{import}`"));
                }
            }
            if line.contains("super::super") {
                faults.push(format!("{place}: `super::super` hides where it leads"));
            }
            let code = line.split("//").next().unwrap_or_default();
            if PURE.contains(&module.as_str()) && module != "clock" {
                for name in IMPURE.iter().filter(|name| code.contains(**name)) {
                    faults.push(format!(
                        "{place}: `{module}` is pure and may not name `{name}`"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A test of the test: the rules find what they are meant to find.
#[test]
fn imports_are_found_wherever_they_stand() {
    let found: Vec<_> = imports("use crate::mail::Domain; // crate::spool").collect();
    assert_eq!(found, ["mail"]);
    let found: Vec<_> =
        imports("    let x = crate::policy::authorize(crate::mail::y());").collect();
    assert_eq!(found, ["policy", "mail"]);
}
