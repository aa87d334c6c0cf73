//! What is measured: a relay that sends nothing on, as a process of its own.

use std::io;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::options::Place;
use crate::support::process::{Posthouse, write_configuration};

/// User name and password of the good clients.
pub(crate) const LOGIN: (&str, &str) = ("load", "correct horse battery staple");

/// A running relay.
pub(crate) struct Server {
    pub(crate) plain: SocketAddr,
    pub(crate) implicit: SocketAddr,
    process: Posthouse,
    // Removed last.
    _directory: TempDir,
}

impl Server {
    /// Starts it with a self-signed certificate (P-256).
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(place: &Place) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("posthouse-bench-")
            .tempdir_in(&place.directory)?;
        write_configuration(directory.path(), CONFIGURATION, ACCOUNTS)?;
        let process = Posthouse::start(&place.binary, directory.path())?;
        Ok(Self {
            plain: process.listener("plain")?,
            implicit: process.listener("implicit")?,
            process,
            _directory: directory,
        })
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Adds the end of its log to an error.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{error}\n{}", self.process.log_tail()))
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.process.stop()
    }
}

/// Idle connections must not be ended while they are counted.
const CONFIGURATION: &str = r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"
connections = 1000000
connections_per_address = 1000000
connections_per_prefix = 1000000

[log]
level = "info"

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

[session.timeouts]
before_auth = "10m"
command = "10m"

[tls.self_signed]

[relay]
upstream = ["nobody"]

[upstream.nobody.smtp]
host = "127.0.0.1"
port = 9
tls = "disabled"

[accounts]
file = "accounts.toml"
"#;

const ACCOUNTS: &str = r#"[account.load]
password = "$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM"
active = true
"#;

/// `median (least–most)`.
pub(crate) fn spread(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    format!(
        "{:.0} ({:.0}–{:.0})",
        at(values.len() / 2),
        at(0),
        at(values.len().saturating_sub(1))
    )
}
