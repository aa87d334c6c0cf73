//! What is measured: posthouse, as a process of its own, in front of the sink.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::options::Place;
use crate::support::process::{Posthouse, write_configuration};

/// A running posthouse. Its accounts are [`BULK`], [`OTHER`] and [`STORED`].
pub(crate) struct Relay {
    posthouse: Posthouse,
    binary: std::path::PathBuf,
    // Removed last.
    directory: TempDir,
}

/// An account whose mail goes to the sink; who does not log in has it.
pub(crate) const BULK: &str = "bulk";

/// Another one.
pub(crate) const OTHER: &str = "other";

/// An account whose mail waits: its upstream cannot be reached.
pub(crate) const STORED: &str = "stored";

/// The password of all of them.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The ports that it needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstreams {
    /// The sink.
    pub(crate) sink: SocketAddr,
    /// Where nobody listens.
    pub(crate) nowhere: SocketAddr,
}

impl Relay {
    /// Starts it with an empty spool. `keys` are more of the sink's `[upstream.sink.smtp]`.
    pub(crate) fn start(place: &Place, upstreams: Upstreams, keys: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("posthouse-bench-")
            .tempdir_in(&place.directory)?;
        let config = configuration(upstreams, keys);
        write_configuration(directory.path(), &config, &accounts())?;
        Ok(Self {
            posthouse: Posthouse::start(&place.binary, directory.path())?,
            binary: place.binary.clone(),
            directory,
        })
    }

    /// Ends it in good order, does something to its spool, and starts it again.
    pub(crate) fn restart(
        self,
        meanwhile: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Self> {
        let Self {
            posthouse,
            binary,
            directory,
        } = self;
        posthouse.stop()?;
        meanwhile(&directory.path().join("data/spool"))?;
        let posthouse = Posthouse::start(&binary, directory.path())?;
        Ok(Self {
            posthouse,
            binary,
            directory,
        })
    }

    /// Where clients submit.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.posthouse.listener("plain")
    }

    /// The process.
    pub(crate) fn posthouse(&self) -> &Posthouse {
        &self.posthouse
    }

    /// Runs a subcommand against it; returns what it prints.
    pub(crate) fn ask(&self, arguments: &[&str]) -> io::Result<String> {
        let output = Command::new(&self.binary)
            .args(arguments)
            .arg("--config")
            .arg(self.directory.path().join("posthouse.toml"))
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{arguments:?}: {text}")));
        }
        String::from_utf8(output.stdout).map_err(io::Error::other)
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.posthouse.stop()
    }

    /// Adds the end of its log to an error.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{error}\n{}", self.posthouse.log_tail()))
    }
}

fn configuration(upstreams: Upstreams, keys: &str) -> String {
    let Upstreams { sink, nowhere } = upstreams;
    format!(
        r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"
connections_per_address = 10000
shutdown_grace = "1s"

[[listener]]
name = "plain"
address = ["127.0.0.1"]
ports = ["0"]
tls = "starttls"
auth = "always"

[tls.self_signed]

[relay]
enabled = true
upstream = ["sink"]

[upstream.sink.smtp]
host = "{}"
port = {}
tls = "disabled"
{keys}

[upstream.nowhere.smtp]
host = "{}"
port = {}
tls = "disabled"

[spool]
max_messages = 20000000
max_memory = "16 GiB"

[accounts]
file = "accounts.toml"
"#,
        sink.ip(),
        sink.port(),
        nowhere.ip(),
        nowhere.port(),
    )
}

fn accounts() -> String {
    let accounts = [
        (BULK, "sink", "networks = [\"127.0.0.0/8\"]\n"),
        (OTHER, "sink", ""),
        (STORED, "nowhere", ""),
    ];
    let account = |(name, upstream, more): (&str, &str, &str)| {
        format!(
            "[account.{name}]\npassword = \"{HASH}\"\nactive = true\nupstream = [\"{upstream}\"]\n{more}\n"
        )
    };
    accounts.map(account).concat()
}

/// [`PASSWORD`].
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM";
