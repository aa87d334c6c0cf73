//! The memory engine behind a disk that panics or takes long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use posthouse::body::Body;
use posthouse::clock::{Clock, Timestamp};
use posthouse::identity::Route;
use posthouse::mail::{Priority, QueueId};
use posthouse::spool::memory::MemorySpool;
use posthouse::spool::{
    Backlog, Claim, Draft, Lease, Message, Pressure, Settlement, Spool, SpoolError,
};
use tokio::sync::Semaphore;

/// Mail from here makes the spool panic.
pub(crate) const PANICS_STORE: &str = "store.panics@shop.example";

/// What it says then.
pub(crate) const SAID: &str = "the spool panics, as a test wants it";

pub(crate) struct OddSpool {
    inner: MemorySpool,
    /// One permit for each write that the disk may do.
    disk: Semaphore,
    waiting: AtomicUsize,
    fault: Mutex<Option<fn() -> SpoolError>>,
}

/// As fast as a disk can be.
const FAST: usize = usize::MAX >> 4;

impl OddSpool {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: MemorySpool::new(clock),
            disk: Semaphore::new(FAST),
            waiting: AtomicUsize::new(0),
            fault: Mutex::new(None),
        }
    }

    /// Lets every message be refused by the disk so, until it is told otherwise.
    pub(crate) fn fail(&self, fault: Option<fn() -> SpoolError>) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Lets no write end from now on.
    pub(crate) fn stick(&self) {
        self.disk.forget_permits(FAST);
    }

    /// Lets so many writes end.
    pub(crate) fn go_on(&self, writes: usize) {
        self.disk.add_permits(writes);
    }

    /// Returns how many messages wait for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn engine(&self) -> &MemorySpool {
        &self.inner
    }

    async fn write(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        self.disk.acquire().await.unwrap().forget();
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Spool for OddSpool {
    async fn draft(&self) -> Result<Box<dyn Draft>, SpoolError> {
        self.inner.draft().await
    }

    async fn commit(&self, draft: Box<dyn Draft>, message: Message) -> Result<QueueId, SpoolError> {
        let from = message.envelope.reverse_path.to_string();
        assert!(!from.contains(PANICS_STORE), "{SAID}");
        self.write().await;
        let fault = *self.fault.lock().unwrap();
        if let Some(fault) = fault {
            return Err(fault());
        }
        self.inner.commit(draft, message).await
    }

    async fn commit_all(
        &self,
        messages: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError> {
        self.write().await;
        self.inner.commit_all(messages).await
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Lease>, SpoolError> {
        self.inner.claim(claim).await
    }

    async fn extend(&self, lease: &mut Lease, until: Timestamp) -> Result<(), SpoolError> {
        self.inner.extend(lease, until).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Vec<QueueId>, SpoolError> {
        self.disk.acquire().await.unwrap().forget();
        self.inner.settle(settlement).await
    }

    async fn give_back(&self, lease: Lease) {
        self.inner.give_back(lease).await;
    }

    async fn body(&self, id: QueueId) -> Result<Box<dyn Body>, SpoolError> {
        self.inner.body(id).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, SpoolError> {
        self.inner.backlog().await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    fn take_moves(&self) -> Vec<(Route, Route)> {
        self.inner.take_moves()
    }

    fn pressure(&self, priority: Priority) -> Option<Pressure> {
        self.inner.pressure(priority)
    }
}
