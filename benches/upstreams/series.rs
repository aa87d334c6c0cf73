//! posthouse, as a process of its own, with its sink; messages are numbered through all runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::common::configuration::{BY_ADDRESS, PLAIN, account, base, upstream};
use crate::common::generator::{Flow, Load, Reuse, Security};
use crate::common::ledger::Ledger;
use crate::common::run;
use crate::common::run::Measurement;
use crate::common::server::{Server, temporary};
use crate::common::sink::{Manner, Sink};
use crate::options::Shape;
use crate::support::process::write_file;

/// A relay in front of a sink.
pub(crate) struct Series {
    ledger: Arc<Ledger>,
    sink: Sink,
    server: Server,
    next: u64,
    pub(crate) runs: Vec<Measurement>,
}

impl Series {
    /// Starts both. `keys` are more of the upstream's table and tables behind it; `DIRECTORY` in them stands for that of the
    /// run, where the sink's certificate is `sink.pem`.
    pub(crate) fn start(shape: &Shape, is_encrypted: bool, keys: &str) -> io::Result<Self> {
        let directory = temporary(&shape.place)?;
        let ledger = Arc::new(Ledger::new(shape.all()));
        let (config, _) = certificate(directory.path())?;
        let manner = Manner {
            tls: is_encrypted.then_some(config),
            ..Manner::default()
        };
        let sink = Sink::start_as(Arc::clone(&ledger), manner)?;
        let keys = format!("connections = {}\n{keys}", shape.connections);
        let config = [
            base("connections_per_address = 10000", "sink"),
            PLAIN.to_owned(),
            upstream("sink", sink.address(), &keys),
        ];
        let accounts = account("load", BY_ADDRESS);
        Ok(Self {
            ledger,
            server: Server::start_in(directory, &shape.place, &config.concat(), &accounts)?,
            sink,
            next: 0,
            runs: Vec::new(),
        })
    }

    /// Runs so many messages; returns what that showed.
    pub(crate) fn run(&mut self, shape: &Shape, count: u64) -> io::Result<Measurement> {
        let load = Load {
            address: self.server.listener("plain")?,
            sessions: shape.sessions,
            count,
            first: self.next,
            size: shape.size,
            flow: Flow::Envelope,
            security: Security::Plain,
            login: None,
            reuse: Reuse::Keep,
            pace: None,
            priority: None,
            limit: shape.place.limit(),
        };
        self.next += count;
        let measured = run::measure(&load, &self.ledger, Some(self.server.id()));
        measured.map_err(|error| self.server.explain(&error))
    }

    /// Returns how many connections the relay has made so far.
    pub(crate) fn connections(&self) -> usize {
        self.sink.traffic().connections()
    }

    /// Stops the relay first, so that a late copy is still counted, then compares.
    pub(crate) fn finish(self) -> io::Result<Vec<Measurement>> {
        self.server.stop()?;
        self.sink.stop()?;
        run::check(self.ledger.balance(), true)?;
        Ok(self.runs)
    }
}

/// Makes the sink's certificate, and writes it to `sink.pem`.
fn certificate(directory: &Path) -> io::Result<(Arc<ServerConfig>, PathBuf)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    let path = directory.join("sink.pem");
    write_file(&path, certificate.pem().as_bytes())?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok((Arc::new(config), path))
}
