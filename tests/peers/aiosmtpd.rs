//! aiosmtpd as the upstream: it offers neither PIPELINING nor CHUNKING.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::curl;
use crate::stage::{Mechanism, Security, Stage, UPSTREAM_LOGIN, check, upstream_at};
use crate::support::peer::{installed, is_ready, missing_file};
use crate::support::process::wait_for;
use crate::support::recorder::Mail;

#[test]
fn relays_to_aiosmtpd_in_plain_text() {
    relay_to_aiosmtpd("plain", "tls = \"disabled\"");
}

#[test]
fn relays_to_aiosmtpd_with_starttls() {
    relay_to_aiosmtpd("starttls", "tls = \"required\"\nca_file = \"AUTHORITY\"");
}

#[test]
fn relays_to_aiosmtpd_with_a_login() {
    let (user, _) = UPSTREAM_LOGIN;
    let more = format!(
        "tls = \"required\"\nca_file = \"AUTHORITY\"\nusername = \"{user}\"\n\
         password = {{ file = \"DIRECTORY/upstream.secret\" }}"
    );
    relay_to_aiosmtpd("login", &more);
}

/// curl, posthouse, aiosmtpd.
#[track_caller]
fn relay_to_aiosmtpd(mode: &str, upstream: &str) {
    if !is_ready(missing().into_iter().chain((curl::CLIENT.missing)())) {
        return;
    }
    let stage = Stage::new().expect("the stage stands");
    let aiosmtpd = Aiosmtpd::start(&stage, mode).expect("aiosmtpd starts");
    let posthouse = stage
        .posthouse(&upstream_at(aiosmtpd.address, upstream))
        .expect("posthouse starts");
    let address = posthouse.listener("submission").expect("it is bound");
    let sent = stage
        .submit(&curl::CLIENT, address, Security::StartTls, Mechanism::Plain)
        .unwrap_or_else(|error| panic!("{error}\n{}", posthouse.log_tail()));
    let arrival = aiosmtpd.arrival().expect("the folder can be read");
    let Some(mail) = arrival else {
        panic!("nothing arrived: {}", posthouse.log_tail());
    };
    check(&sent, &mail);
    posthouse.stop().expect("posthouse stops in good order");
}

fn missing() -> Option<String> {
    missing_file(&installed("venv/bin/aiosmtpd"))
}

struct Aiosmtpd {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Aiosmtpd {
    fn start(stage: &Stage, mode: &str) -> io::Result<Self> {
        let folder = stage.directory.path().join("aiosmtpd");
        std::fs::create_dir(&folder)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/clients/take.py");
        let child = Command::new(installed("venv/bin/python"))
            .arg(script)
            .arg(&folder)
            .arg(&stage.certificates.certificate)
            .arg(&stage.certificates.key)
            .arg(mode)
            .stdin(Stdio::null())
            .spawn()?;
        let mut aiosmtpd = Self {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder,
        };
        let port = wait_for(Duration::from_secs(20), || {
            Ok(read(&aiosmtpd.folder.join("port")))
        })?;
        let port = port.ok_or_else(|| io::Error::other("aiosmtpd did not start"))?;
        let port = port.parse().map_err(io::Error::other)?;
        aiosmtpd.address.set_port(port);
        Ok(aiosmtpd)
    }

    /// Waits for the first message.
    fn arrival(&self) -> io::Result<Option<Mail>> {
        let envelope = wait_for(Duration::from_secs(30), || {
            Ok(read(&self.folder.join("1.envelope")))
        })?;
        let Some(envelope) = envelope else {
            return Ok(None);
        };
        let mut lines = envelope.lines().map(str::to_owned);
        Ok(Some(Mail {
            reverse_path: lines.next().unwrap_or_default(),
            recipients: lines.collect(),
            content: std::fs::read(self.folder.join("1.eml"))?,
        }))
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
