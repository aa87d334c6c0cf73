//! `PHPMailer`, which `WordPress` and much else sends with.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::stage::{Client, Mechanism, SENDER, Security, Stage, Submission};
use crate::support::peer::{
    content_of_dialogue, is_ready, missing_file, missing_program, run_client,
};

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

/// A web site whose forms send as their visitors: what is not the site's is replaced, and visitors are answered.
#[test]
fn its_sender_is_rewritten() {
    const ACCOUNT: &str = "authorized_domains = \"site.example\"\n\
                           on_unauthorized = \"rewrite\"\ndefault_sender = \"web@site.example\"\n";
    if !is_ready((CLIENT.missing)()) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let posthouse = stage.posthouse_for(&stage.recorder_as_upstream(), ACCOUNT);
    let posthouse = posthouse.expect("posthouse starts");
    let address = posthouse
        .listener("submission")
        .expect("the listener is bound");
    let submitted = stage.submit(&CLIENT, address, Security::StartTls, Mechanism::Login);
    submitted.unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let Some(mail) = stage.arrival() else {
        panic!("nothing arrived: {}", posthouse.log_tail());
    };
    assert_eq!(mail.reverse_path, "web@site.example");
    let text = String::from_utf8_lossy(&mail.content).into_owned();
    let (header, _) = text.split_once("\r\n\r\n").expect("there is a header");
    let field = |name: &str| {
        let found = header
            .split("\r\n")
            .find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("{name} {header}"))
            .trim()
            .to_owned()
    };
    let (from, reply_to) = (field("From:"), field("Reply-To:"));
    let name = from.strip_suffix("<web@site.example>");
    let name = name.unwrap_or_else(|| panic!("{from}")).trim_end();
    assert!(
        name.starts_with("=?"),
        "the name stays as it was written: {name}"
    );
    assert_eq!(reply_to, format!("{name} <{SENDER}>"));
    posthouse.stop().expect("posthouse stops in good order");
}
