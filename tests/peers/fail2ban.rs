//! fail2ban reads the log: the filter in `dist/fail2ban` finds who fails to log in, and nobody else.

use std::path::Path;
use std::process::Command;

use crate::stage::{PASSWORD, Stage, USER};
use crate::support::peer::{is_ready, missing_program};
use crate::support::process::write_file;

const FILTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/fail2ban/posthouse.conf");

#[test]
fn the_filter_finds_failed_and_refused_logins_in_the_log() {
    if !is_ready(
        missing_program("fail2ban-regex")
            .into_iter()
            .chain(missing_program("swaks")),
    ) {
        return;
    }
    let stage = Stage::new().expect("the stage is put up");
    let relay = stage
        .posthouse(&stage.recorder_as_upstream())
        .expect("posthouse starts");
    let port = relay.listener("submission").expect("it is bound").port();
    log_in(port, USER, PASSWORD);
    for round in 0..12 {
        log_in(port, &format!("guess{round}"), "guess");
    }
    log_in(port, "peer=192.0.2.1", "authentication failed");
    let log = stage.directory.path().join("posthouse.log");
    let text = relay.log();
    write_file(&log, text.as_bytes()).expect("the log is written");
    let count = |phrase: &str| text.lines().filter(|line| line.contains(phrase)).count();
    let (failed, throttled) = (
        count("}: authentication failed"),
        count("}: authentication throttled"),
    );
    assert!(failed >= 10 && throttled >= 2, "{text}");
    assert_eq!(found(&log), vec!["127.0.0.1"; failed + throttled], "{text}");
}

#[test]
fn the_filter_finds_the_client_behind_a_balancer_and_not_the_balancer() {
    if !is_ready(missing_program("fail2ban-regex")) {
        return;
    }
    let stage = Stage::new().expect("the stage is put up");
    let log = stage.directory.path().join("posthouse.log");
    let line = |proxy: &str| {
        format!(
            "2026-11-21T07:51:00.123456Z  WARN session{{session=7 peer=192.0.2.1 local_port=587{proxy}}}: \
             authentication failed account=\"alice\"\n"
        )
    };
    let text = [
        line(""),
        line(" proxy=198.51.100.1"),
        line(" proxy=2001:db8::1"),
    ]
    .concat();
    write_file(&log, text.as_bytes()).expect("the log is written");
    assert_eq!(found(&log), vec!["192.0.2.1"; 3]);
}

/// Returns the addresses that the filter finds, in the order of the lines.
fn found(log: &Path) -> Vec<String> {
    let mut command = Command::new("fail2ban-regex");
    command.args(["--out", "ip"]).arg(log).arg(FILTER);
    let output = command.output().expect("fail2ban-regex runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(str::to_owned)
        .filter(|line| !line.is_empty())
        .collect()
}

fn log_in(port: u16, user: &str, password: &str) {
    let server = format!("127.0.0.1:{port}");
    let mut command = Command::new("swaks");
    command
        .args(["--server", &server, "--tls", "--auth", "PLAIN"])
        .args(["--auth-user", user, "--auth-password", password])
        .args(["--quit-after", "AUTH", "--timeout", "30"]);
    command.output().expect("swaks runs");
}
