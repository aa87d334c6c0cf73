//! The embedded engine on a simulated disk, worked by hand, for tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::mail::{Failure, QueueId, RecipientIndex};
use crate::spool::conformance::{Engine, START, message_to, next_of, relayed, settlement};
use crate::spool::{EntryState, Lease, Message, Settlement, Spool, SpoolAdmin, SpoolError};

use super::committer::Committer;
use super::disk::Disk;
use super::engine::{start, without_thread};
use super::layout::LayoutError;
use super::queue::Work;
use super::simulated::{SimulatedDisk, Trouble};
use super::{EmbeddedSpool, Settings};

/// A spool on a simulated disk whose committer works when it is told to.
pub(super) struct Rig {
    pub(super) spool: EmbeddedSpool,
    pub(super) committer: Committer,
}

impl Rig {
    pub(super) fn open(
        disk: &SimulatedDisk,
        clock: &Arc<ManualClock>,
    ) -> Result<Self, LayoutError> {
        let settings = Settings {
            segment_size: 4096,
            memory_budget: 2000,
            min_free: 1,
            ..Settings::default()
        };
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let (shared, committer) = start(Arc::new(disk.clone()), settings, clock, None)?;
        Ok(Self {
            spool: without_thread(shared),
            committer,
        })
    }

    /// Does what the thread would do with what waits.
    pub(super) fn work(&mut self) {
        let work = self.spool.shared.queue.take(Duration::ZERO);
        if let Some(work) = work.filter(|work| !work.is_empty()) {
            self.committer.step(work);
        }
    }
}

/// Waits for a call on the rig's spool, doing the committer's work meanwhile.
pub(super) async fn drive<T>(committer: &mut Committer, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    std::future::poll_fn(|context| {
        loop {
            if let Poll::Ready(done) = call.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            let work = committer.shared.queue.take(Duration::ZERO);
            match work.filter(|work| !work.is_empty()) {
                Some(work) => committer.step(work),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// All that can be known of a message from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) message: Arc<Message>,
    pub(super) octets: Vec<u8>,
    pub(super) is_held: bool,
    pub(super) attempts: u32,
    pub(super) due: Timestamp,
    pub(super) pending: Vec<(RecipientIndex, Option<Failure>)>,
}

pub(super) type Snapshot = BTreeMap<QueueId, Seen>;

pub(super) async fn snapshot(spool: &dyn Engine) -> Snapshot {
    let mut seen = Snapshot::new();
    for entry in spool.list(None, usize::MAX).await.unwrap() {
        let id = entry.id;
        let mut body = spool.body(entry.id).await.unwrap();
        let mut octets = Vec::new();
        while let Some(piece) = body.next().await.unwrap() {
            octets.extend_from_slice(&piece);
        }
        assert_eq!(octets.len() as u64, entry.size);
        let entry = Seen {
            message: entry.message,
            octets,
            is_held: entry.state == EntryState::Held,
            attempts: entry.attempts,
            due: entry.due,
            pending: entry.pending,
        };
        seen.insert(id, entry);
    }
    seen
}

/// A rig with its disk and clock.
pub(super) struct Bench {
    pub(super) disk: SimulatedDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) rig: Rig,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_chance(1)
    }

    pub(super) fn with_chance(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let clock = Arc::new(ManualClock::new(START));
        let rig = Rig::open(&disk, &clock).unwrap();
        Self { disk, clock, rig }
    }

    /// Cuts the power and starts again.
    pub(super) fn restart(&mut self) {
        self.disk.restart();
        self.rig = Rig::open(&self.disk, &self.clock).unwrap();
    }

    pub(super) async fn try_commit(&mut self, octets: &[u8]) -> Result<QueueId, SpoolError> {
        let octets = Bytes::copy_from_slice(octets);
        let spool = &self.rig.spool;
        let commit = async {
            let mut draft = spool.draft().await?;
            draft.write(octets).await?;
            spool.commit(draft, message_to(&["a@a.example"])).await
        };
        drive(&mut self.rig.committer, commit).await
    }

    pub(super) async fn commit(&mut self, octets: &[u8]) -> QueueId {
        self.try_commit(octets).await.unwrap()
    }

    pub(super) async fn claim(&mut self) -> Option<Lease> {
        let now = self.clock.now();
        let routes = [message_to(&[]).route];
        let claim = next_of(&routes, 1, now, now.after(Duration::from_mins(1)));
        let claim = self.rig.spool.claim(claim);
        drive(&mut self.rig.committer, claim).await.unwrap().pop()
    }

    pub(super) async fn settle(&mut self, settlement: Settlement) -> Result<(), SpoolError> {
        let settle = self.rig.spool.settle(settlement);
        drive(&mut self.rig.committer, settle).await.map(drop)
    }

    pub(super) async fn relay_one(&mut self) -> QueueId {
        let lease = self.claim().await.unwrap();
        let id = lease.id;
        self.settle(settlement(lease, &[(0, relayed())]))
            .await
            .unwrap();
        id
    }

    /// Lets a second pass, and the committer look around.
    pub(super) fn tick(&mut self) {
        self.clock.advance(Duration::from_secs(2));
        self.rig.committer.step(Work::default());
    }

    pub(super) async fn seen(&self) -> Snapshot {
        snapshot(&self.rig.spool).await
    }

    pub(super) async fn ids(&self) -> Vec<QueueId> {
        self.seen().await.into_keys().collect()
    }

    pub(super) fn next_fails(&self, after: u64, trouble: Trouble) {
        self.disk.plan(self.disk.operations() + after, trouble);
    }
}

/// The octets of a message that has a file of its own.
pub(super) static LARGE: [u8; 300_000] = [7; 300_000];

/// The operations of a commit into a segment that has room.
pub(super) const WRITE: u64 = 0;
pub(super) const SYNC: u64 = 1;

impl Bench {
    pub(super) fn bodies(&self) -> Vec<String> {
        self.disk.list("bodies").unwrap()
    }

    pub(super) fn segments(&self) -> Vec<String> {
        self.disk.list("segments").unwrap()
    }

    pub(super) fn damaged(&self) -> Vec<String> {
        self.disk.list("damaged").unwrap()
    }

    /// Returns where in the first segment these octets are.
    pub(super) fn find(&self, octets: &[u8]) -> usize {
        let segment = self.disk.octets("segments/00000001.log");
        memchr::memmem::find(&segment, octets).unwrap()
    }

    pub(super) async fn damage_count(&self) -> u64 {
        self.rig.spool.stats().await.damaged
    }
}

impl Bench {
    pub(super) fn tick_with_work(&mut self) {
        let work = self.rig.spool.shared.queue.take(Duration::ZERO);
        self.rig.committer.step(work.unwrap_or_default());
    }
}

impl Bench {
    /// Lets many messages pass, of which every nth stays.
    pub(super) async fn traffic(&mut self, rounds: usize, stays: usize, octets: &[u8]) {
        for round in 0..rounds {
            if round % stays == 0 {
                let id = self.commit(octets).await;
                self.hold(id).await;
            } else {
                self.commit(&[1; 1000]).await;
                self.relay_one().await;
            }
        }
        for _ in 0..20 {
            self.tick_with_work();
        }
    }

    pub(super) async fn hold(&mut self, id: QueueId) {
        let hold = self.rig.spool.hold(id);
        drive(&mut self.rig.committer, hold).await.unwrap();
    }
}
