//! Symfony Mailer, which Magento, Laravel and much else in PHP send with. It chooses the mechanism itself.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::stage::{Client, Mechanism, Security, Submission, submit_through_posthouse};
use crate::support::peer::{is_ready, missing_file, missing_program, run_client};
use crate::trial::Trial;

pub(crate) const CLIENT: Client = Client {
    missing: || {
        let library = Path::new("/usr/share/php/Symfony/Component/Mailer/autoload.php");
        let program = missing_program("php").into_iter();
        program.chain(missing_file(library)).collect()
    },
    submit,
};

fn php() -> Command {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/peers/clients/submit_symfony.php"
    );
    let mut command = Command::new("php");
    command.arg(script);
    command
}

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    let mut command = php();
    to.environment(&mut command);
    run_client(&mut command, to.directory)?;
    to.written()
}

#[test]
fn starttls() {
    submit_through_posthouse(&CLIENT, Security::StartTls, Mechanism::Login);
}

#[test]
fn implicit_tls() {
    submit_through_posthouse(&CLIENT, Security::Implicit, Mechanism::Login);
}

#[test]
fn refusals_are_told_in_words() {
    if !is_ready((CLIENT.missing)()) {
        return;
    }
    let trial = Trial::start();
    for (setting, words) in [
        (
            ("PEER_FROM", "boss@elsewhere.example"),
            "550 5.7.1 sender not authorized: boss@elsewhere.example in MAIL FROM is not allowed; this account may send as sender.example",
        ),
        (
            ("PEER_PASSWORD", "wrong"),
            "535 5.7.8 authentication failed: wrong user name or password",
        ),
    ] {
        let mut command = php();
        trial.settings(&mut command, "submission");
        let ended = Trial::run(command.env(setting.0, setting.1));
        assert!(!ended.is_success, "{}", ended.printed);
        assert!(ended.printed.contains(words), "{}", ended.printed);
    }
    trial.end();
}
