//! Configuration files: whatever somebody writes gives settings or a report with places, and never a panic.
#![no_main]

use std::io::Write as _;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder is made"));

/// Stands between the two files.
const BORDER: &[u8] = b"# accounts.toml\n";

fuzz_target!(|octets: &[u8]| {
    let border = octets
        .windows(BORDER.len())
        .position(|window| window == BORDER);
    let (main, accounts) = octets.split_at(border.unwrap_or(octets.len()));
    let write = |name: &str, octets: &[u8]| {
        let path = FOLDER.path().join(name);
        let mut file = std::fs::File::create(&path).expect("a file is made");
        file.write_all(octets).expect("it is written");
        path
    };
    let path = write("posthouse.toml", main);
    write("accounts.toml", accounts);
    if let Err(report) = posthouse::config::load(&path) {
        let text = report.to_string();
        assert!(!text.is_empty(), "a refusal without a reason");
        let escapes = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(
            !text.contains(escapes),
            "control characters in a report: {text:?}"
        );
    }
});
