//! Python's smtplib.

use std::io;
use std::process::Command;

use crate::stage::{Client, Mechanism, Security, Submission};
use crate::support::peer::{content_of_dialogue, missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || missing_program("python3").into_iter().collect(),
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients/submit.py");
    let mut command = Command::new("python3");
    to.environment(command.arg(script));
    run_client(&mut command, to.directory)?;
    Ok(content_of_dialogue(&to.written()?))
}
