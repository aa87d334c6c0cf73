//! What `posthouse account setup` prints is pasted into real clients, as it is.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::stage::{PASSWORD, Stage, USER};
use crate::support::peer::{
    installed, is_ready, missing_file, missing_program, restrict, run_client,
};
use crate::support::process::write_file;

/// A client whose text can be run: how, and what is missing for it.
struct Pasted {
    name: &'static str,
    missing: fn() -> Vec<String>,
    /// Makes a command of the sections.
    run: fn(&[Section], &Path) -> Command,
}

struct Section {
    language: String,
    text: String,
}

/// Pastes the text for both ways to TLS; what is sent arrives.
#[track_caller]
fn paste(client: &Pasted) {
    if !is_ready((client.missing)()) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = stage.posthouse(&stage.recorder_as_upstream());
    let posthouse = posthouse.expect("posthouse starts");
    for listener in ["submission", "submissions"] {
        let address = posthouse.listener(listener).expect("it is bound");
        let sections = sections(&stage, client.name, (listener, address.port()));
        let mut command = (client.run)(&sections, stage.directory.path());
        command
            .env("SMTP_PASSWORD", PASSWORD)
            .env("HOME", stage.directory.path())
            .current_dir(stage.directory.path())
            .stdin(Stdio::null());
        run_client(&mut command, stage.directory.path())
            .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
        let mail = stage.arrival();
        let mail = mail.unwrap_or_else(|| panic!("nothing came: {}", posthouse.log_tail()));
        assert_eq!(mail.reverse_path, "you@sender.example");
        assert_eq!(mail.recipients, ["recipient@example.net"]);
    }
    posthouse.stop().expect("posthouse stops in good order");
}

fn sections(stage: &Stage, client: &str, (listener, port): (&str, u16)) -> Vec<Section> {
    let port = port.to_string();
    let authority = stage.certificates.authority.display().to_string();
    let arguments = [
        "account",
        "setup",
        USER,
        "--for",
        client,
        "--json",
        "--host",
        "localhost",
        "--listener",
        listener,
        "--port",
        &port,
        "--ca-file",
        &authority,
    ];
    let told = stage.command(&arguments).expect("the command runs");
    assert!(told.status.success(), "{told:?}");
    let told: Value = serde_json::from_slice(&told.stdout).expect("it is JSON");
    let sections = told["sections"].as_array().expect("there are sections");
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let sections = sections.iter().map(|section| Section {
        language: text(&section["language"]),
        text: text(&section["text"]),
    });
    sections.collect()
}

/// The last section, which sends.
fn last(sections: &[Section]) -> &str {
    &sections.last().expect("there is a section").text
}

/// A command of a shell; the password is in the environment already.
fn shell(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-ec").arg(text);
    command
}

/// A file with code, for an interpreter.
fn script(directory: &Path, (interpreter, name): (&str, &str), text: &str) -> Command {
    let path = directory.join(name);
    write_file(&path, text.as_bytes()).expect("it is written");
    let mut command = Command::new(interpreter);
    command.arg(path);
    command
}

#[test]
fn curl() {
    paste(&Pasted {
        name: "curl",
        missing: || missing_program("curl").into_iter().collect(),
        run: |sections, _| shell(last(sections)),
    });
}

#[test]
fn swaks() {
    paste(&Pasted {
        name: "swaks",
        missing: || missing_program("swaks").into_iter().collect(),
        run: |sections, _| shell(last(sections)),
    });
}

#[test]
fn python() {
    paste(&Pasted {
        name: "python",
        missing: || missing_program("python3").into_iter().collect(),
        run: |sections, directory| script(directory, ("python3", "send.py"), last(sections)),
    });
}

#[test]
fn phpmailer() {
    const LIBRARY: &str = "/usr/share/php/libphp-phpmailer/src";
    paste(&Pasted {
        name: "phpmailer",
        missing: || {
            let library = Path::new(LIBRARY).join("PHPMailer.php");
            let missing = missing_program("php").into_iter();
            missing.chain(missing_file(&library)).collect()
        },
        run: |sections, directory| {
            let load = ["Exception", "PHPMailer", "SMTP"]
                .map(|class| format!("require '{LIBRARY}/{class}.php';\n"));
            let text = format!("<?php\n{}{}", load.concat(), last(sections));
            script(directory, ("php", "send.php"), &text)
        },
    });
}

#[test]
fn nodemailer() {
    paste(&Pasted {
        name: "nodemailer",
        missing: || {
            let missing = missing_program("node").into_iter();
            let library = missing_file(&installed("node_modules/nodemailer"));
            missing.chain(library).collect()
        },
        run: |sections, directory| {
            let mut command = script(directory, ("node", "send.js"), last(sections));
            command.env("NODE_PATH", installed("node_modules"));
            command
        },
    });
}

#[test]
fn msmtp() {
    paste(&Pasted {
        name: "msmtp",
        missing: || missing_program("msmtp").into_iter().collect(),
        run: |sections, directory| {
            let settings = sections.iter().find(|section| section.language == "msmtp");
            let settings = settings.expect("it has a file of settings");
            let path = directory.join(".msmtprc");
            write_file(&path, settings.text.as_bytes()).expect("it is written");
            restrict(&path).expect("it is its owner's alone");
            let password = directory.join(".msmtp-password");
            write_file(&password, format!("{PASSWORD}\n").as_bytes()).expect("it is written");
            shell(last(sections))
        },
    });
}
