//! curl.

use std::io;
use std::process::Command;

use crate::stage::{
    Client, Mechanism, PASSWORD, RECIPIENTS, SENDER, Security, Submission, USER, message,
};
use crate::support::peer::{missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || missing_program("curl").into_iter().collect(),
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let content =
        message("Date: Sat, 21 Nov 2026 07:00:00 +0100\nMessage-ID: <curl.1@sender.example>\n");
    let file = to.message_file(&content)?;
    let scheme = match to.security {
        Security::Implicit => "smtps",
        Security::StartTls => "smtp",
    };
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--ssl-reqd"])
        .arg("--cacert")
        .arg(to.authority)
        .args(["--user", &format!("{USER}:{PASSWORD}")])
        .args(["--login-options", &format!("AUTH={}", to.mechanism.name())])
        .args(["--mail-from", SENDER]);
    for recipient in RECIPIENTS {
        command.args(["--mail-rcpt", recipient]);
    }
    command
        .arg("--upload-file")
        .arg(file)
        .arg(format!("{scheme}://localhost:{}/client.example", to.port));
    run_client(&mut command, to.directory)?;
    Ok(content)
}
