//! msmtp, the sendmail of many servers. It reads a message with line feeds only.

use std::fs::File;
use std::io;
use std::process::Command;

use crate::stage::{
    Client, Mechanism, PASSWORD, RECIPIENTS, SENDER, Security, Submission, USER, message,
};
use crate::support::peer::{missing_program, restrict, run_client};
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
