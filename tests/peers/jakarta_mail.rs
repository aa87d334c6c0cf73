//! Jakarta Mail (Java Mail), which much business software sends with.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::stage::{
    Client, Mechanism, PASSWORD, SENDER, Security, Submission, submit_through_posthouse,
};
use crate::support::peer::{is_ready, missing_file, missing_program, run_client};
use crate::trial::Trial;

const LIBRARIES: [&str; 2] = [
    "/usr/share/java/jakarta-mail.jar",
    "/usr/share/java/jakarta-activation.jar",
];

pub(crate) const CLIENT: Client = Client {
    missing: || {
        let program = missing_program("javac").into_iter();
        program
            .chain(
                LIBRARIES
                    .iter()
                    .filter_map(|file| missing_file(Path::new(file))),
            )
            .collect()
    },
    submit: |to| submit(to, "message"),
};

/// Runs the source as it is.
pub(crate) fn java(task: &[&str]) -> Command {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/clients/Submit.java"
    );
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp"])
        .arg(LIBRARIES.join(":"))
        .arg(source)
        .args(task);
    command
}

fn submit(to: &Submission<'_>, task: &str) -> io::Result<Vec<u8>> {
    let mut command = java(&[task]);
    to.environment(&mut command);
    run_client(&mut command, to.directory)?;
    to.written()
}

#[test]
fn starttls_and_login() {
    submit_through_posthouse(&CLIENT, Security::StartTls, Mechanism::Login);
}

#[test]
fn implicit_tls_and_plain() {
    submit_through_posthouse(&CLIENT, Security::Implicit, Mechanism::Plain);
}

/// On one connection: a recipient that is refused does not keep the others from their message; a report is sent where it
/// was asked for; who may not send hears why.
#[test]
fn what_goes_wrong_is_told_in_words() {
    if !is_ready((CLIENT.missing)()) {
        return;
    }
    let trial = Trial::start();
    let mut command = java(&["partial", "reports", "stranger"]);
    trial.settings(&mut command, "submission");
    let printed = Trial::run(&mut command).printed;
    let part = |from: &str, to: &str| {
        let (_, rest) = printed.split_once(from).unwrap_or(("", &printed));
        let (part, _) = rest.split_once(to).unwrap_or_else(|| panic!("{printed}"));
        part.to_owned()
    };
    let partial = part("", "partial is done");
    for line in [
        "sent first@recipient.example",
        "invalid second@recipient..example",
        "sent third@recipient.example",
        "501 5.1.3 malformed recipient: the domain is not valid",
    ] {
        assert!(partial.contains(line), "{line}: {printed}");
    }
    let stranger = part("reports is done", "stranger is done");
    let refusal = "550 5.7.1 sender not authorized: boss@elsewhere.example in MAIL FROM is not allowed; \
                   this account may send as sender.example";
    assert!(stranger.contains(refusal), "{printed}");

    let mut arrived = [trial.arrival(), trial.arrival(), trial.arrival()];
    arrived.sort_by_key(|mail| (mail.reverse_path.clone(), mail.recipients.len()));
    let [report, asked, partial] = arrived;
    assert_eq!(report.reverse_path, "", "a report has nobody to report to");
    assert_eq!(report.recipients, [SENDER]);
    let report = String::from_utf8_lossy(&report.content).into_owned();
    assert!(report.contains("Action: relayed"), "{report}");
    assert_eq!(asked.recipients, ["first@recipient.example"]);
    let two = ["first@recipient.example", "third@recipient.example"];
    assert_eq!(partial.recipients, two);
    trial.end();
}

#[test]
fn a_wrong_password_is_told_in_words() {
    if !is_ready((CLIENT.missing)()) {
        return;
    }
    let trial = Trial::start();
    let mut command = java(&["message"]);
    trial.settings(&mut command, "submission");
    let printed = Trial::run(command.env("PEER_PASSWORD", PASSWORD.to_uppercase())).printed;
    let words = "AuthenticationFailedException: 535 5.7.8 authentication failed: wrong user name or password";
    assert!(printed.contains(words), "{printed}");
    trial.must_log(&["authentication failed", "account=\"shop\""]);
    trial.end();
}
