//! GNU SASL: an implementation of SCRAM that is not ours, with the channel bound by tls-exporter (RFC 9266).

use std::process::Command;

use crate::msmtp::VERIFIER;
use crate::stage::{PASSWORD, USER};
use crate::support::peer::{is_ready, missing_program};
use crate::trial::{Ended, Trial};

const LISTENER: &str = r#"
[[listener]]
name = "scram"
address = ["127.0.0.1"]
ports = ["0"]
mechanisms = ["LOGIN", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
"#;

fn start() -> Trial {
    let account = format!("authorized_domains = \"sender.example\"\nscram = \"{VERIFIER}\"\n");
    Trial::with(LISTENER, &account)
}

/// Lets it log in. It is not told of STARTTLS: it must find that in the reply to EHLO.
#[track_caller]
fn log_in(trial: &Trial, mechanism: &str, password: &str, more: &[&str]) -> Ended {
    let mut command = Command::new("gsasl");
    command
        .args(["--smtp", "--verbose", "--connect"])
        .arg(format!("localhost:{}", trial.port("scram")))
        .arg("--x509-ca-file")
        .arg(&trial.stage.certificates.authority)
        .args(["--mechanism", mechanism])
        .args(["--authentication-id", USER, "--password", password])
        .args(more);
    Trial::run(&mut command)
}

#[test]
fn scram_is_bound_to_the_channel() {
    if !is_ready(missing_program("gsasl")) {
        return;
    }
    let trial = start();
    let ended = log_in(&trial, "SCRAM-SHA-256-PLUS", PASSWORD, &[]);
    assert!(ended.is_success, "{}", ended.printed);
    for words in ["(TLS1.3)", "235 2.7.0", "(server trusted)"] {
        assert!(ended.printed.contains(words), "{words}: {}", ended.printed);
    }
    // "p=tls-exporter,,n=shop".
    let first = "cD10bHMtZXhwb3J0ZXIsLG49c2hvc";
    assert!(ended.printed.contains(first), "{}", ended.printed);

    let ended = log_in(&trial, "SCRAM-SHA-256-PLUS", "wrong", &[]);
    assert!(!ended.is_success, "{}", ended.printed);
    let refusal = "535 5.7.8 authentication failed: wrong user name or password";
    assert!(ended.printed.contains(refusal), "{}", ended.printed);
    trial.end();
}

#[test]
fn scram_goes_without_the_channel_too() {
    if !is_ready(missing_program("gsasl")) {
        return;
    }
    let trial = start();
    let ended = log_in(&trial, "SCRAM-SHA-256", PASSWORD, &["--no-cb"]);
    assert!(ended.is_success, "{}", ended.printed);
    assert!(
        ended.printed.contains("(server trusted)"),
        "{}",
        ended.printed
    );
    trial.must_log(&["authenticated", "account=shop"]);
    trial.end();
}
