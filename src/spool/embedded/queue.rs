//! What waits for the committer.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::mail::QueueId;
use crate::spool::SpoolError;
use crate::spool::standing::Standing;

use super::cache::Cached;
use super::message::Summary;
use super::record::Record;

/// How many requests may wait; more submitters wait for room.
pub(super) const REQUESTS: usize = 4096;

/// A record that somebody wants to be durable.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) record: Record,
    pub(super) effect: Effect,
    /// Who waits; nobody where the engine itself asks.
    pub(super) reply: Option<oneshot::Sender<Result<(), Fault>>>,
}

/// What a record does once it is durable.
#[derive(Debug)]
pub(super) enum Effect {
    /// A message is there.
    Arrive(Newcomer),
    /// Messages are there that came together.
    ArriveTogether(Vec<Newcomer>),
    /// An operator's change; nothing happens where it cannot be recorded.
    Change {
        id: QueueId,
        standing: Option<Standing>,
    },
    /// The record of a message has been copied. The engine's own.
    Copy(QueueId, CopyOf),
    /// The word that messages of a segment are done has been copied. The engine's own.
    Gone(u32, Vec<QueueId>),
    /// A lease ends; where that cannot be recorded now, it is recorded as soon as it can be, and the message is not
    /// attempted again before.
    Settle {
        id: QueueId,
        standing: Option<Standing>,
        reports: Vec<Newcomer>,
    },
}

/// What of a message has been copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum CopyOf {
    /// Its record; the flag says whether its octets are in a file of their own.
    Message { has_file: bool },
    /// Its standing.
    Standing,
}

/// A message that is new in the spool.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) summary: Summary,
    pub(super) cached: Cached,
}

/// Why a record is not durable. A copy of the error for each who waits for the same write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Full,
    Kind(io::ErrorKind),
    System(i32),
}

impl From<&io::Error> for Fault {
    fn from(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Self::Full,
            (_, Some(code)) => Self::System(code),
            (kind, None) => Self::Kind(kind),
        }
    }
}

impl From<Fault> for SpoolError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::Kind(kind) => Self::Unavailable(kind.into()),
            Fault::System(code) => Self::Unavailable(io::Error::from_raw_os_error(code)),
        }
    }
}

/// What the committer does beside writing records.
#[derive(Debug)]
pub(super) enum Chore {
    /// Remove a file.
    Remove(String),
    /// Set a damaged message aside that has been withdrawn from circulation.
    SetAside(QueueId),
}

/// What the committer takes from the queue at once.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) requests: Vec<Request>,
    pub(super) chores: Vec<Chore>,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.chores.is_empty()
    }
}

/// The queue: bounded, many in, one out.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
    room: Semaphore,
    /// Cancelled when nobody takes from the queue any more.
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    work: Work,
    is_closed: bool,
    is_committer_asleep: bool,
}

/// The right to put one request into the queue.
pub(super) struct Slot<'a>(SemaphorePermit<'a>);

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            arrived: Condvar::new(),
            room: Semaphore::new(REQUESTS),
            ended: CancellationToken::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. Cancel safe.
    pub(super) async fn slot(&self) -> Result<Slot<'_>, SpoolError> {
        let permit = self.room.acquire().await;
        permit.map(Slot).map_err(|_| closed())
    }

    /// Puts a request into the queue, unless it is closed: the request's reply ends then without an answer.
    pub(super) fn push(&self, slot: Slot<'_>, request: Request) {
        let mut inner = self.inner();
        if inner.is_closed {
            return;
        }
        slot.0.forget();
        inner.work.requests.push(request);
        self.wake(inner);
    }

    /// Leaves something for the committer to do in its own time.
    pub(super) fn leave(&self, chore: Chore) {
        let mut inner = self.inner();
        if !inner.is_closed {
            inner.work.chores.push(chore);
        }
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner>) {
        let is_asleep = std::mem::take(&mut inner.is_committer_asleep);
        drop(inner);
        if is_asleep {
            self.arrived.notify_one();
        }
    }

    /// Takes what waits; waits for something, but not longer than `patience`. `None` once the queue is closed and
    /// empty.
    pub(super) fn take(&self, patience: Duration) -> Option<Work> {
        let mut inner = self.inner();
        if inner.work.is_empty() && !inner.is_closed && !patience.is_zero() {
            inner.is_committer_asleep = true;
            let waited = self.arrived.wait_timeout(inner, patience);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            inner.is_committer_asleep = false;
        }
        let work = std::mem::take(&mut inner.work);
        if work.is_empty() && inner.is_closed {
            return None;
        }
        drop(inner);
        self.room.add_permits(work.requests.len());
        Some(work)
    }

    /// Lets nothing more in. What is in is still done.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.is_closed = true;
        self.room.close();
        self.wake(inner);
    }
}

impl Queue {
    /// Closes the queue and drops what is in it: nobody will do it.
    pub(super) fn abandon(&self) {
        self.close();
        let work = std::mem::take(&mut self.inner().work);
        drop(work);
        self.ended.cancel();
    }

    /// Waits until the queue has been abandoned. Cancel safe.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Returns the error of a spool that is closed.
pub(super) fn closed() -> SpoolError {
    let kind = io::ErrorKind::BrokenPipe;
    SpoolError::Unavailable(io::Error::new(kind, "the spool is closed"))
}
