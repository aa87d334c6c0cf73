//! What is measured: posthouse, as a process of its own in a directory of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::command_line::Place;
use crate::support::process::{Posthouse, write_configuration, write_file};

/// A running relay.
pub(crate) struct Server {
    process: Posthouse,
    binary: PathBuf,
    // Removed last.
    directory: TempDir,
}

impl Server {
    /// Starts it with an empty spool. `DIRECTORY` in the configuration stands for its directory.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(place: &Place, config: &str, accounts: &str) -> io::Result<Self> {
        Self::start_in(temporary(place)?, place, config, accounts)
    }

    /// Starts it in a directory of [`temporary`] where something has been put already.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start_in(
        directory: TempDir,
        place: &Place,
        config: &str,
        accounts: &str,
    ) -> io::Result<Self> {
        write_configuration(directory.path(), config, accounts)?;
        Ok(Self {
            process: Posthouse::start(&place.binary, directory.path())?,
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
            process,
            binary,
            directory,
        } = self;
        process.stop()?;
        meanwhile(&directory.path().join("data/spool"))?;
        let process = Posthouse::start(&binary, directory.path())?;
        Ok(Self {
            process,
            binary,
            directory,
        })
    }

    /// Returns where a listener is bound.
    pub(crate) fn listener(&self, name: &str) -> io::Result<SocketAddr> {
        self.process.listener(name)
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process.
    pub(crate) fn process(&self) -> &Posthouse {
        &self.process
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

    /// Puts other accounts in force.
    pub(crate) fn replace_accounts(&self, accounts: &str) -> io::Result<()> {
        let path = self.directory.path().join("accounts.toml");
        write_file(&path, accounts.as_bytes())?;
        self.ask(&["reload"]).map(drop)
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

/// A directory of this run only.
pub(crate) fn temporary(place: &Place) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("posthouse-bench-")
        .tempdir_in(&place.directory)
}
