//! `PHPMailer`, which `WordPress` and much else sends with.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::stage::{Client, Mechanism, Security, Submission};
use crate::support::peer::{content_of_dialogue, missing_file, missing_program, run_client};

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || {
        let library = Path::new("/usr/share/php/libphp-phpmailer/src/PHPMailer.php");
        missing_program("php")
            .into_iter()
            .chain(missing_file(library))
            .collect()
    },
    submit,
};

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/clients/submit.php"
    );
    let mut command = Command::new("php");
    to.environment(command.arg(script));
    run_client(&mut command, to.directory)?;
    Ok(content_of_dialogue(&to.written()?))
}
