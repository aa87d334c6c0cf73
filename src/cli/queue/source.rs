//! Where the queue is asked: the running server, or the spool itself.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{self, Runtime};

use crate::app::{Register, placement, reroute};
use crate::clock::SystemClock;
use crate::config::{Checked, SpoolLimits};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{QueueRequest, Request, Response};
use crate::control::queue::{self, Configured, Desk};
use crate::control::trace;
use crate::control::view::Id;
use crate::identity::{Route, UpstreamName};
use crate::journal::Journal;
use crate::route::Table;
use crate::spool::Entry;
use crate::spool::embedded::{EmbeddedSpool, OpenError, Settings};

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};

/// Where the queue is asked.
pub(in crate::cli) enum Source {
    Server(Client),
    Spool(Box<Offline>),
}

/// A spool whose server does not run. Closed when it is dropped.
pub(in crate::cli) struct Offline {
    runtime: Runtime,
    spool: EmbeddedSpool,
    journal: Arc<Journal>,
    configured: OfflineConfiguration,
}

/// What a server would go by.
struct OfflineConfiguration {
    routes: Table,
    upstreams: Vec<UpstreamName>,
}

impl Configured for OfflineConfiguration {
    fn route_of(&self, entry: &Entry) -> Option<Route> {
        let placement = placement(&self.routes, entry)?;
        Some(placement.route)
    }

    fn upstreams(&self) -> Vec<UpstreamName> {
        self.upstreams.clone()
    }
}

impl Source {
    pub(in crate::cli) fn open(configuration: &ConfigurationOption) -> Result<Self, Failure> {
        match Client::connect(&configuration.data_dir()?) {
            Ok(client) => Ok(Self::Server(client)),
            Err(ClientError::NotRunning { .. }) => {
                let offline = Offline::open(configuration.load()?)?;
                Ok(Self::Spool(Box::new(offline)))
            }
            Err(
                error @ (ClientError::Denied { .. }
                | ClientError::Io { .. }
                | ClientError::Protocol { .. }),
            ) => Err(error.into()),
        }
    }

    /// Asks; what has been changed is durable.
    pub(super) fn ask(&mut self, request: QueueRequest) -> Result<Response, Failure> {
        match self {
            Self::Server(client) => Ok(client.call(Request::Queue(request))?),
            Self::Spool(offline) => {
                let desk = offline.desk();
                Ok(offline.runtime.block_on(queue::answer(&desk, request)))
            }
        }
    }

    /// Asks for the life of a message.
    pub(in crate::cli) fn trace(&mut self, id: Id) -> Result<Response, Failure> {
        match self {
            Self::Server(client) => Ok(client.call(Request::Trace { id })?),
            Self::Spool(offline) => {
                let desk = offline.desk();
                Ok(offline.runtime.block_on(trace::answer(&desk, id.0)))
            }
        }
    }
}

impl Offline {
    fn open(config: Checked) -> Result<Self, Failure> {
        let directory = &config.spool.directory;
        check_owner(directory)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of(Code::Unavailable, &error))?;
        let opened = {
            let _inside = runtime.enter();
            EmbeddedSpool::open(settings(&config.spool), Arc::new(SystemClock))
        };
        let spool = opened.map_err(|error| failed(&error))?;
        let journal = Journal::open(config.journal, Arc::new(SystemClock));
        let journal = journal.map_err(|error| Failure::of(Code::Unavailable, &error))?;
        let register = Register::load(&config.server.data_dir);
        let stand_ins = register.map(|register| register.stand_ins());
        let configured = OfflineConfiguration {
            // A server that cannot read which upstreams are drained drains none.
            routes: config.routes.with_stand_ins(&stand_ins.unwrap_or_default()),
            upstreams: config.upstreams.into_keys().collect(),
        };
        let rerouted = runtime.block_on(reroute(&spool, &configured.routes));
        rerouted.map_err(|error| Failure::of(Code::Unavailable, &error))?;
        Ok(Self {
            runtime,
            spool,
            journal: Arc::new(journal),
            configured,
        })
    }

    fn desk(&self) -> Desk<'_> {
        Desk {
            spool: &self.spool,
            journal: &self.journal,
            configured: &self.configured,
            by: "command line".to_owned(),
        }
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        self.runtime.block_on(self.spool.close());
        self.journal.close();
    }
}

/// Refuses names of upstreams that are not configured.
pub(in crate::cli) fn exists(config: &Checked, name: &UpstreamName) -> Result<(), Failure> {
    if config.upstreams.contains_key(name) {
        return Ok(());
    }
    let known: Vec<_> = config.upstreams.keys().cloned().collect();
    let message = queue::unknown_upstream(&known, name.as_str());
    Err(Failure::new(Code::NoInput, message))
}

/// Refuses to make files that the server could not write afterwards.
pub(in crate::cli) fn check_owner(directory: &Path) -> Result<(), Failure> {
    let owner = match fs::metadata(directory) {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!(
                "no server runs, and there is no spool {}",
                directory.display()
            );
            return Err(Failure::new(Code::NoInput, message)
                .with_hint("--config names the configuration of the server you mean"));
        }
        Err(error) => return Err(Failure::file(Code::NoInput, "read", directory, &error)),
    };
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let message = format!(
        "no server runs, and the spool {} is another user's",
        directory.display()
    );
    Err(Failure::new(Code::NoPermission, message).with_hint(format!(
        "become that user: sudo -u '#{owner}' posthouse queue …"
    )))
}

fn settings(limits: &SpoolLimits) -> Settings {
    Settings {
        segment_size: limits.segment_size,
        min_free: 0,
        ..Settings::new(&limits.directory)
    }
}

fn failed(error: &OpenError) -> Failure {
    let failure = Failure::of(Code::Unavailable, error);
    match error {
        OpenError::Locked { .. } => failure.with_hint(
            "a server runs, but does not answer on its control socket yet; try again in a moment",
        ),
        OpenError::Io { .. } | OpenError::Version { .. } => failure,
    }
}
