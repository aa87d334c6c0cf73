//! System.Net.Mail of .NET, by Mono: it knows no mechanism but LOGIN, and no TLS from the beginning. Mono's asks for TLS 1.0
//! alone, whatever it is told, as programs for .NET Framework before 4.7 do; .NET and newer Frameworks leave the choice to
//! the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{RECIPIENTS, SENDER};
use crate::support::peer::{is_ready, missing_file, missing_program};
use crate::trial::{Ended, Trial};

fn is_here() -> bool {
    let programs = ["mcs", "mono"].into_iter().filter_map(missing_program);
    let library = missing_file(Path::new("/usr/lib/mono/4.5/System.dll"));
    is_ready(programs.chain(library))
}

/// Compiles the client.
#[track_caller]
fn compile(trial: &Trial) -> PathBuf {
    let program = trial.stage.directory.path().join("Submit.exe");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients/Submit.cs");
    let mut command = Command::new("mcs");
    // SmtpClient is called obsolete.
    command.args(["-nologo", "-nowarn:618", "-r:System.dll"]);
    let ended = Trial::run(
        command
            .arg(format!("-out:{}", program.display()))
            .arg(source),
    );
    assert!(ended.is_success, "{}", ended.printed);
    program
}

#[track_caller]
fn run(trial: &Trial, program: &Path, listener: &str, settings: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("mono");
    trial.settings(command.arg(program), listener);
    Trial::run(command.envs(settings.iter().copied()))
}

#[test]
fn it_sends_in_plain_text_where_devices_may() {
    if !is_here() {
        return;
    }
    let trial = Trial::start();
    let program = compile(&trial);
    let plain = ("PEER_TLS", "off");
    let ended = run(&trial, &program, "devices", &[plain]);
    assert_eq!(ended.printed, "sent\n");
    let mail = trial.arrival();
    assert_eq!(mail.reverse_path, SENDER);
    assert_eq!(mail.recipients, RECIPIENTS);
    let text = String::from_utf8_lossy(&mail.content).into_owned();
    assert!(
        text.contains("Anhang.bin") && !text.contains("hidden@"),
        "{text}"
    );

    let stranger = ("PEER_FROM", "boss@elsewhere.example");
    let ended = run(&trial, &program, "devices", &[plain, stranger]);
    let refusal = "550 5.7.1 sender not authorized: boss@elsewhere.example in MAIL FROM is not allowed; \
                   this account may send as sender.example";
    assert!(ended.printed.contains(refusal), "{}", ended.printed);

    let ended = run(
        &trial,
        &program,
        "devices",
        &[plain, ("PEER_PASSWORD", "wrong")],
    );
    let refusal = "535 5.7.8 authentication failed: wrong user name or password";
    assert!(ended.printed.contains(refusal), "{}", ended.printed);

    let ended = run(&trial, &program, "submission", &[plain]);
    let refusal = "530 5.7.0 must issue a STARTTLS command first";
    assert!(ended.printed.contains(refusal), "{}", ended.printed);
    trial.end();
}

#[test]
fn that_its_tls_is_too_old_is_told_in_the_log() {
    if !is_here() {
        return;
    }
    let trial = Trial::start();
    let program = compile(&trial);
    let ended = run(&trial, &program, "submission", &[]);
    assert!(!ended.is_success, "{}", ended.printed);
    trial.must_log(&["TLS handshake failed", "the client knows no TLS above 1.1"]);
    trial.end();
}
