//! Nodemailer.

use std::io;
use std::process::Command;

use crate::stage::{Client, Mechanism, Security, Submission};
use crate::support::peer::{installed, missing_file, missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || {
        missing_program("node")
            .into_iter()
            .chain(missing_file(&installed("node_modules/nodemailer")))
            .collect()
    },
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients/submit.js");
    let mut command = Command::new("node");
    to.environment(command.arg(script));
    command.env("PEER_LIBRARY", installed("node_modules/nodemailer"));
    run_client(&mut command, to.directory)?;
    Ok(as_lines(&to.written()?))
}

/// What the connection does to the content, behind the place where the script listens: each line ends in CRLF.
fn as_lines(written: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(written.len());
    for line in written.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        content.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        content.extend_from_slice(b"\r\n");
    }
    content
}
