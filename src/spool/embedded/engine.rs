//! The embedded spool as a whole: how it starts, takes records and ends.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::spool::SpoolError;

use super::committer::Committer;
use super::disk::{Disk, RealDisk};
use super::layout::{self, LayoutError};
use super::lock::Lock;
use super::log::{self, Log};
use super::queue::{Effect, Fault, Request, Slot, closed};
use super::record::{Mark, Record, VERSION};
use super::recovery;
use super::settings::{OpenError, Settings};
use super::shared::{Parts, Shared};

/// The durable spool of one machine. See the module's documentation and `docs/spool.md`.
///
/// Call [`EmbeddedSpool::close`] before dropping it; dropping waits for the committer on the spot.
pub struct EmbeddedSpool {
    pub(super) shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedSpool {
    /// Opens the spool, or makes it where there is none. Blocks while all segments are read; call it before serving.
    ///
    /// # Errors
    /// [`OpenError`]. Nothing is changed where another process uses the spool or a newer posthouse has written it.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let settings = settings.within_range();
        let directory = settings.directory.clone();
        let lock = Lock::take(&directory)?;
        let disk = Arc::new(RealDisk::new(&directory));
        let started = start(disk, settings, clock, Some(lock));
        let (shared, committer) = started.map_err(|error| match error {
            LayoutError::Io(action, path, source) => OpenError::Io {
                action,
                path: directory.join(path),
                source,
            },
            LayoutError::Version(path, found) => OpenError::Version {
                path: directory.join(path),
                found,
                known: u32::from(VERSION),
            },
        })?;
        let thread = std::thread::Builder::new().name("spool".to_owned());
        let thread = thread.spawn(|| committer.run());
        let thread = thread.map_err(OpenError::io("start the committer of", directory))?;
        Ok(Self {
            shared,
            committer: Mutex::new(Some(thread)),
        })
    }

    /// Ends the spool: what has been asked for is still recorded, later calls fail. Returns when the last record is
    /// durable and another process may open the spool.
    pub async fn close(&self) {
        self.shared.queue.close();
        if let Some(committer) = self.take_committer() {
            // A panic of the committer has been reported by the panic hook; here it only means that it has ended.
            let _ = tokio::task::spawn_blocking(move || committer.join()).await;
        }
    }

    /// Waits until nothing is recorded any more: after [`EmbeddedSpool::close`], or because the committer has panicked.
    /// All verbs that record something fail from then on, so a process that has not closed the spool should end.
    /// Returns at once where that has happened already. Cancel safe.
    pub async fn ended(&self) {
        self.shared.queue.ended().await;
    }

    fn take_committer(&self) -> Option<JoinHandle<()>> {
        let committer = self.committer.lock();
        committer.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for EmbeddedSpool {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(committer) = self.take_committer() {
            let _ = committer.join();
        }
    }
}

/// Reads what is there and makes the parts of a spool on any disk.
pub(super) fn start(
    disk: Arc<dyn Disk>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    lock: Option<Lock>,
) -> Result<(Arc<Shared>, Committer), LayoutError> {
    let mut fresh = [0; 8];
    getrandom::fill(&mut fresh)
        .map_err(|error| LayoutError::io("make a mark in", "")(io::Error::other(error)))?;
    let mark = layout::prepare(&*disk, Mark(fresh))?;
    let recovered = recovery::recover(&disk, mark, clock.now())?;
    if let Some(last) = recovered.segments.last() {
        // After a crash of the process alone, what was read may not be on the disk yet.
        let path = log::path_of(last);
        let synced = disk.open(&path).and_then(|file| file.sync());
        synced.map_err(LayoutError::io("sync", &path))?;
    }
    let log = Log::new(
        Arc::clone(&disk),
        mark,
        settings.segment_size,
        recovered.next_segment,
    );
    let shared = Arc::new(Shared::new(Parts {
        disk,
        mark,
        settings,
        clock,
        index: recovered.index,
        last_id: recovered.last_id,
        damaged: recovered.damaged,
    }));
    let committer = Committer::new(Arc::clone(&shared), log, recovered.segments, lock);
    Ok((shared, committer))
}

/// A spool without a thread, for tests that do the committer's work by hand.
#[cfg(test)]
pub(super) fn without_thread(shared: Arc<Shared>) -> EmbeddedSpool {
    EmbeddedSpool {
        shared,
        committer: Mutex::new(None),
    }
}

impl EmbeddedSpool {
    /// Hands a record to the committer, at once, and returns what waits until it is durable. `None` is a record that is
    /// too large for the format: an operator's change does not happen then, and a message whose settlement it is stays
    /// as it is until the next start, since its recipients may have it already.
    pub(super) fn push<'a>(
        &self,
        slot: Slot<'a>,
        record: Option<Record>,
        effect: Effect,
    ) -> impl Future<Output = Result<(), SpoolError>> + use<'a> {
        let (reply, answer) = oneshot::channel();
        if let Some(record) = record {
            let reply = Some(reply);
            let request = Request {
                record,
                effect,
                reply,
            };
            self.shared.queue.push(slot, request);
        } else {
            match &effect {
                Effect::Change { id, .. } => {
                    let now = self.shared.clock.now();
                    self.shared.state().index.undo(*id, now);
                }
                Effect::Settle { id, .. } => {
                    tracing::error!(queue_id = %id, "settlement too large to be recorded");
                }
                Effect::Arrive(_)
                | Effect::ArriveTogether(_)
                | Effect::Copy(..)
                | Effect::Gone(..) => {}
            }
            // The receiver is below.
            let _ = reply.send(Err(Fault::Kind(io::ErrorKind::FileTooLarge)));
        }
        async move {
            answer
                .await
                .map_or_else(|_| Err(closed()), |done| Ok(done?))
        }
    }
}

impl std::fmt::Debug for EmbeddedSpool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedSpool")
            .field("directory", &self.shared.settings.directory)
            .field(
                "damaged",
                &self.shared.gauge.damaged.load(Ordering::Relaxed),
            )
            .finish_non_exhaustive()
    }
}
