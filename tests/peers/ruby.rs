//! Ruby's net/smtp, which Rails sends with: Redmine, GitLab, Discourse.

use std::io;
use std::process::Command;

use crate::stage::{Client, Mechanism, RECIPIENTS, SENDER, Security, Submission, message};
use crate::support::peer::{missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || missing_program("ruby").into_iter().collect(),
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let content = message("");
    let file = to.message_file(&content)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients/submit.rb");
    let mut command = Command::new("ruby");
    to.environment(command.arg(script));
    command
        .env("PEER_MESSAGE", file)
        .env("PEER_FROM", SENDER)
        .env("PEER_TO", RECIPIENTS.join(","));
    run_client(&mut command, to.directory)?;
    Ok(content)
}
