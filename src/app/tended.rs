//! The parts of the server that work beside the mail. Each begins anew where it breaks off; mail goes on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, Uses};
use crate::control::server::{Operator, Server};
use crate::durable;
use crate::journal::Journal;
use crate::mta_sts::Policies;
use crate::quota;
use crate::spool::SpoolAdmin;

use super::alerts;
use super::faults::tend;
use super::reload::Reloader;

/// Takes in alerts, stores and tells them.
pub(super) async fn alerts(keeper: alerts::Keeper, stop: CancellationToken) {
    let keeper = Mutex::new(keeper);
    let work = || {
        let (keeper, stop) = (&keeper, stop.clone());
        async move { keeper.lock().await.run(stop).await }
    };
    tend("alerts", stop.clone(), work).await;
}

/// Keeps the counts of quotas on the disk.
pub(super) async fn counts(keeper: quota::Keeper, stop: CancellationToken) {
    let keeper = Mutex::new(keeper);
    let work = || {
        let (keeper, stop) = (&keeper, stop.clone());
        async move { keeper.lock().await.run(stop).await }
    };
    tend("counts of quotas", stop.clone(), work).await;
}

/// Keeps the policies of domains fresh.
pub(super) async fn policies(policies: Arc<Policies>, stop: CancellationToken) {
    let work = || Arc::clone(&policies).keep_fresh(stop.clone());
    tend("policies of domains", stop.clone(), work).await;
}

/// Keeps on the disk when application passwords were used last.
pub(super) async fn uses(uses: Arc<Uses>, file: PathBuf, stop: CancellationToken) {
    let work = || Arc::clone(&uses).keep(file.clone(), stop.clone());
    tend("uses of application passwords", stop.clone(), work).await;
}

/// Keeps on the disk who has logged in from where.
pub(super) async fn clients(
    authenticator: Arc<Authenticator>,
    file: PathBuf,
    stop: CancellationToken,
) {
    let work = || {
        let (authenticator, file) = (Arc::clone(&authenticator), file.clone());
        let write = move || authenticator.write_clients(&file);
        durable::keep_written("known clients", CLIENTS_EVERY, stop.clone(), write)
    };
    tend("known clients", stop.clone(), work).await;
}

/// How often they are written at most.
const CLIENTS_EVERY: Duration = Duration::from_secs(30);

/// Gets certificates.
pub(super) async fn certificates(reloader: Arc<Reloader>, stop: CancellationToken) {
    let work = || {
        let (reloader, stop) = (&reloader, stop.clone());
        async move { reloader.keeper.run(&**reloader, stop).await }
    };
    tend("certificates", stop.clone(), work).await;
}

/// Answers the command line.
pub(super) async fn control(
    server: Server,
    stores: (Arc<dyn SpoolAdmin>, Arc<Journal>),
    operator: Arc<dyn Operator>,
    stop: CancellationToken,
) {
    let work = || {
        let (spool, journal) = (Arc::clone(&stores.0), Arc::clone(&stores.1));
        server.run((spool, journal), Arc::clone(&operator), stop.clone())
    };
    tend("control socket", stop.clone(), work).await;
}
