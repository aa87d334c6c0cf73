//! msmtp, the sendmail of many servers. It reads a message with line feeds only.

use std::fs::File;
use std::io;
use std::process::Command;

use crate::stage::{
    Client, Mechanism, PASSWORD, RECIPIENTS, SENDER, Security, Stage, Submission, USER, check,
    message,
};
use crate::support::peer::{is_ready, missing_program, restrict, run_client};
use crate::support::process::write_file;

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || missing_program("msmtp").into_iter().collect(),
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    // msmtp adds a Date itself where there is none; the Message-ID is left to the relay.
    let content = message("Date: Sat, 21 Nov 2026 07:00:00 +0100\n");
    let text = String::from_utf8_lossy(&content).replace("\r\n", "\n");
    let file = to.message_file(text.as_bytes())?;
    let password = to.directory.join("password");
    write_file(&password, PASSWORD.as_bytes())?;
    restrict(&password)?;
    let mut command = Command::new("msmtp");
    command
        .args(["--host=localhost", "--domain=client.example", "--tls=on"])
        .arg(format!("--port={}", to.port))
        .arg(match to.security {
            Security::Implicit => "--tls-starttls=off",
            Security::StartTls => "--tls-starttls=on",
        })
        .arg(format!("--tls-trust-file={}", to.authority.display()))
        .arg(format!("--auth={}", to.mechanism.name().to_lowercase()))
        .arg(format!("--user={USER}"))
        .arg(format!("--passwordeval=cat {}", password.display()))
        .arg(format!("--from={SENDER}"))
        .args(["--remove-bcc-headers=off", "--timeout=30", "--"])
        .args(RECIPIENTS)
        .stdin(File::open(file)?);
    run_client(&mut command, to.directory)?;
    Ok(content)
}

/// Made by Python's hashlib for [`PASSWORD`], with 4096 iterations.
pub(crate) const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdCBvZiAxNiBieXRlcw==$F71PQyc3Z35BbH7pLNJBQ4X3I7GpanyNKn+6M5oLrm0=:hWaT2dByy14gnyIKiIBQ6bOAuIrnLR9pcUqCDlQiNGk=";

/// A listener that offers nothing else.
const LISTENER: &str = r#"
[[listener]]
name = "scram"
address = ["127.0.0.1"]
ports = ["0"]
mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
"#;

#[test]
fn scram_proves_the_password_both_ways() {
    if !is_ready((CLIENT.missing)()) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let upstream = format!("{}{LISTENER}", stage.recorder_as_upstream());
    let account = format!("authorized_domains = \"sender.example\"\nscram = \"{VERIFIER}\"\n");
    let posthouse = stage
        .posthouse_for(&upstream, &account)
        .expect("posthouse starts");
    let address = posthouse.listener("scram").expect("the listener is bound");
    let sent = stage
        .submit(&CLIENT, address, Security::StartTls, Mechanism::ScramSha256)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let mail = stage.arrival().expect("the message arrives");
    check(&sent, &mail);
    posthouse.stop().expect("posthouse stops in good order");
}
