//! What is measured: a relay between generator and sink, as a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

use crate::common::command_line::Place;
use crate::common::configuration::{BY_ADDRESS, IMPLICIT, LOGIN, PLAIN, account, base, upstream};
use crate::common::server::{Server, temporary};
use crate::options::Encryption;
use crate::support::postfix;
use crate::support::postfix::Postfix;
use crate::support::process::write_file;

/// A running relay.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    plain: SocketAddr,
    implicit: SocketAddr,
    process: Process,
}

enum Process {
    // The directory is removed last.
    Postfix(Postfix, TempDir),
    Posthouse(Server),
}

impl Target {
    /// Starts posthouse with one upstream: the sink.
    pub(crate) fn posthouse(
        place: &Place,
        sink: SocketAddr,
        connections: usize,
    ) -> io::Result<Self> {
        let keys = format!("tls = \"disabled\"\nconnections = {connections}");
        let config = [
            base("connections_per_address = 10000", "sink"),
            PLAIN.to_owned(),
            IMPLICIT.to_owned(),
            upstream("sink", sink, &keys),
        ];
        let posthouse = Server::start(place, &config.concat(), &account("load", BY_ADDRESS))?;
        Ok(Self {
            name: "posthouse",
            id: posthouse.id(),
            plain: posthouse.listener("plain")?,
            implicit: posthouse.listener("implicit")?,
            process: Process::Posthouse(posthouse),
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
            process: Process::Postfix(postfix, directory),
        })
    }

    /// Where sessions of this kind connect.
    pub(crate) fn address(&self, encryption: Encryption) -> SocketAddr {
        match encryption {
            Encryption::Implicit => self.implicit,
            Encryption::Off | Encryption::Starttls => self.plain,
        }
    }

    /// Adds the end of its log to an error.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        match &self.process {
            Process::Postfix(postfix, _) => {
                io::Error::other(format!("{error}\n{}", postfix.log_tail()))
            }
            Process::Posthouse(posthouse) => posthouse.explain(error),
        }
    }

    /// Ends it in good order.
    pub(crate) fn stop(self) -> io::Result<()> {
        match self.process {
            Process::Postfix(postfix, directory) => {
                drop(postfix);
                drop(directory);
                Ok(())
            }
            Process::Posthouse(posthouse) => posthouse.stop(),
        }
    }
}

fn self_signed(directory: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let made = generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
    write_file(&certificate, made.cert.pem().as_bytes())?;
    write_file(&key, made.signing_key.serialize_pem().as_bytes())?;
    Ok((certificate, key))
}
