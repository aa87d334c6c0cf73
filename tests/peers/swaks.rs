//! swaks, the tool that people test mail servers with. Its message has neither Date nor Message-ID.

use std::io;
use std::process::{Command, Stdio};

use crate::stage::{
    Client, Mechanism, PASSWORD, RECIPIENTS, SENDER, Security, Submission, USER, message,
};
use crate::support::peer::{missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || {
        missing_program("swaks")
            .into_iter()
            .chain(missing_tls())
            .collect()
    },
    submit,
};

fn missing_tls() -> Option<String> {
    let status = Command::new("perl")
        .args(["-MNet::SSLeay", "-e1"])
        .stderr(Stdio::null())
        .status();
    (!status.is_ok_and(|status| status.success()))
        .then(|| "libnet-ssleay-perl is not installed".to_owned())
}

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let content = message("");
    // swaks ends the last line of the file itself.
    let file = to.message_file(content.strip_suffix(b"\r\n").unwrap_or(&content))?;
    let mut command = Command::new("swaks");
    command
        .args(["--server", "localhost", "--helo", "client.example"])
        .args(["--port", &to.port.to_string(), "--timeout", "30"])
        .arg(match to.security {
            Security::Implicit => "--tls-on-connect",
            Security::StartTls => "--tls",
        })
        .arg("--tls-verify")
        .arg("--tls-ca-path")
        .arg(to.authority)
        .args(["--auth", to.mechanism.name()])
        .args(["--auth-user", USER, "--auth-password", PASSWORD])
        .args(["--from", SENDER, "--to", &RECIPIENTS.join(",")])
        .arg("--suppress-data")
        .arg("--data")
        .arg(format!("@{}", file.display()));
    run_client(&mut command, to.directory)?;
    Ok(content)
}
