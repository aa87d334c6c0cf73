//! What is measured: a relay between generator and sink, as a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

use crate::options::{Encryption, Place};
use crate::support::postfix;
use crate::support::postfix::Postfix;
use crate::support::process::{Posthouse, write_configuration, write_file};

/// A running relay.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    plain: SocketAddr,
    implicit: SocketAddr,
    process: Process,
    // Removed last.
    _directory: TempDir,
}

enum Process {
    Postfix(Postfix),
    Posthouse(Posthouse),
}

/// User name and password of loads that log in.
pub(crate) const LOGIN: (&str, &str) = ("load", "correct horse battery staple");

impl Target {
    /// Starts posthouse with one upstream: the sink.
    pub(crate) fn posthouse(
        place: &Place,
        sink: SocketAddr,
        connections: usize,
    ) -> io::Result<Self> {
        let directory = temporary(place)?;
        let config = configuration(sink, connections);
        write_configuration(directory.path(), &config, ACCOUNTS)?;
        let posthouse = Posthouse::start(&place.binary, directory.path())?;
        Ok(Self {
            name: "posthouse",
            id: posthouse.id(),
            plain: posthouse.listener("plain")?,
            implicit: posthouse.listener("implicit")?,
            process: Process::Posthouse(posthouse),
            _directory: directory,
        })
    }

    /// Starts Postfix with one next hop: the sink.
    pub(crate) fn postfix(
        place: &Place,
        sink: SocketAddr,
        connections: usize,
        login: bool,
    ) -> io::Result<Self> {
        let directory = temporary(place)?;
        let (certificate, key) = self_signed(directory.path())?;
        let postfix = Postfix::start(
            directory.path(),
            &postfix::Settings {
                next_hop: sink,
                connections,
                certificate: Some((&certificate, &key)),
                login: login.then_some(LOGIN),
                client: None,
            },
        )?;
        Ok(Self {
            name: "Postfix",
            id: postfix.id()?,
            plain: postfix.plain(),
            implicit: postfix.implicit(),
            process: Process::Postfix(postfix),
            _directory: directory,
        })
    }

    /// Where sessions of this kind connect.
    pub(crate) fn address(&self, encryption: Encryption) -> SocketAddr {
        match encryption {
            Encryption::Implicit => self.implicit,
            Encryption::Off | Encryption::Starttls => self.plain,
        }
    }

    /// The end of its log, for a run that failed.
    pub(crate) fn log_tail(&self) -> String {
        match &self.process {
            Process::Postfix(postfix) => postfix.log_tail(),
            Process::Posthouse(posthouse) => posthouse.log_tail(),
        }
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) -> io::Result<()> {
        match self.process {
            Process::Postfix(postfix) => {
                drop(postfix);
                Ok(())
            }
            Process::Posthouse(posthouse) => posthouse.stop(),
        }
    }
}

/// A directory of this run only.
pub(crate) fn temporary(place: &Place) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("posthouse-bench-")
        .tempdir_in(&place.directory)
}

fn configuration(sink: SocketAddr, connections: usize) -> String {
    format!(
        r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"
connections_per_address = 10000

[[listener]]
name = "plain"
address = ["127.0.0.1"]
ports = ["0"]
tls = "starttls"
auth = "always"

[[listener]]
name = "implicit"
address = ["127.0.0.1"]
ports = ["0"]
tls = "implicit"

[tls.self_signed]

[relay]
enabled = true
upstream = ["sink"]

[upstream.sink.smtp]
host = "{}"
port = {}
tls = "disabled"
connections = {connections}

[accounts]
file = "accounts.toml"
"#,
        sink.ip(),
        sink.port()
    )
}

fn self_signed(directory: &Path) -> io::Result<(std::path::PathBuf, std::path::PathBuf)> {
    let made = generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
    write_file(&certificate, made.cert.pem().as_bytes())?;
    write_file(&key, made.signing_key.serialize_pem().as_bytes())?;
    Ok((certificate, key))
}

/// The account of every load: known by its address, or by the password of [`LOGIN`].
const ACCOUNTS: &str = r#"[account.load]
password = "$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM"
active = true
networks = ["127.0.0.0/8"]
"#;
