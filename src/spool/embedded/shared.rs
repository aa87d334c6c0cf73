//! What submitters, readers and the committer of one spool share.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use crate::clock::Clock;
use crate::mail::{Priority, QueueId};
use crate::spool::Pressure;
use crate::spool::index::Index;

use super::cache::Cache;
use super::disk::Disk;
use super::gauge::Gauge;
use super::queue::{Chore, Queue};
use super::record::Mark;
use super::segments::Place;
use super::settings::Settings;

/// How many reads and writes of message files go on at once.
const CONCURRENT_IO: usize = 32;

pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) mark: Mark,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queue: Queue,
    pub(super) changed: Notify,
    pub(super) gauge: Gauge,
    state: Mutex<State>,
    last_id: Mutex<QueueId>,
    /// Turns for what blocks.
    pub(super) io: Semaphore,
}

/// What is in memory of the messages.
pub(super) struct State {
    pub(super) index: Index<Place>,
    pub(super) cache: Cache,
}

/// What a spool is put together from.
pub(super) struct Parts {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) mark: Mark,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) index: Index<Place>,
    pub(super) last_id: QueueId,
    pub(super) damaged: u64,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let gauge = Gauge::default();
        gauge.set(&parts.index, &parts.settings);
        gauge.damaged.store(parts.damaged, Ordering::Relaxed);
        Self {
            disk: parts.disk,
            mark: parts.mark,
            clock: parts.clock,
            queue: Queue::new(),
            changed: Notify::new(),
            gauge,
            state: Mutex::new(State {
                index: parts.index,
                cache: Cache::new(parts.settings.memory_budget),
            }),
            last_id: Mutex::new(parts.last_id),
            io: Semaphore::new(CONCURRENT_IO),
            settings: parts.settings,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the id for a message that arrives now.
    pub(super) fn next_id(&self) -> QueueId {
        let now = self.clock.now();
        let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
        *last = last.following(now);
        *last
    }

    pub(super) fn pressure(&self, priority: Priority) -> Option<Pressure> {
        self.gauge.pressure(priority)
    }

    /// Does work that blocks, off the runtime's own threads. When the call is dropped, the work goes on to its end.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let _turn = self.io.acquire().await.map_err(io::Error::other)?;
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Takes a message out of circulation because what is stored of it is damaged.
    pub(super) fn report_damage(&self, id: QueueId) {
        let mut state = self.state();
        state.cache.remove(id);
        if state.index.withdraw(id) {
            self.queue.leave(Chore::SetAside(id));
        }
    }
}
