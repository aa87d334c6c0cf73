//! `posthouse account`: each edit is in force in the running server when the command has ended.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, binary, message, subjects};
use crate::support::dialogue::Dialogue;

#[test]
fn each_edit_takes_effect_at_once() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    account(
        &setup,
        &[
            "add",
            "desk",
            "--domain",
            "shop.example",
            "--password-stdin",
        ],
        "first word of it",
    );
    let mut desk = relay.secured_stranger();
    assert_logs_in(&mut desk, "first word of it");
    let reply = desk.submit(SENDER, &[RECIPIENT], &message("from the desk"));
    assert!(reply.starts_with("250"), "{reply}");

    account(
        &setup,
        &["passwd", "desk", "--password-stdin"],
        "second word of it",
    );
    desk.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    assert_refused(&relay, "first word of it");
    let mut desk = relay.secured_stranger();
    assert_logs_in(&mut desk, "second word of it");

    account(&setup, &["disable", "desk"], "");
    assert_refused(&relay, "second word of it");
    desk.must(&format!("MAIL FROM:<{SENDER}>"), "530 5.7.0");
    account(&setup, &["enable", "desk"], "");
    assert_logs_in(&mut relay.secured_stranger(), "second word of it");
    account(&setup, &["delete", "desk"], "");
    assert_refused(&relay, "second word of it");
    assert_eq!(subjects(&upstream.wait_for(1)), ["from the desk"]);
    relay.stop();
}

#[track_caller]
fn account(setup: &Setup, arguments: &[&str], input: &str) {
    let mut command = Command::new(binary());
    command.arg("account").args(arguments);
    command
        .arg("--config")
        .arg(setup.path().join("posthouse.toml"));
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    // A command that reads nothing may have ended.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[track_caller]
fn assert_logs_in(client: &mut Dialogue, password: &str) {
    let reply = client.log_in("desk", password);
    assert!(reply.starts_with("235"), "{reply}");
}

#[track_caller]
fn assert_refused(relay: &Relay, password: &str) {
    let reply = relay.secured_stranger().log_in("desk", password);
    assert!(reply.starts_with("535"), "{reply}");
}
