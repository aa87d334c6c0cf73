//! Perl's `Net::SMTP`, which scripts of many years send with.

use std::io;
use std::process::{Command, Stdio};

use crate::stage::{Client, Mechanism, Security, Submission};
use crate::support::peer::missing_program;

submits_in_every_way!(CLIENT);

pub(crate) const CLIENT: Client = Client {
    missing: || {
        let program = missing_program("perl").into_iter();
        program.chain(missing_libraries()).collect()
    },
    submit,
};

fn missing_libraries() -> Option<String> {
    let status = Command::new("perl")
        .args(["-MAuthen::SASL", "-MIO::Socket::SSL", "-e1"])
        .stderr(Stdio::null())
        .status();
    (!status.is_ok_and(|status| status.success()))
        .then(|| "libauthen-sasl-perl or libio-socket-ssl-perl is not installed".to_owned())
}

fn submit(to: &Submission<'_>) -> io::Result<Vec<u8>> {
    to.by_script("perl", "submit.pl")
}
