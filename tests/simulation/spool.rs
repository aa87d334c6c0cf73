//! The spool of a simulated process: the memory engine, with crashes and faults at any operation, and rules checked at
//! each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use posthouse::body::Body;
use posthouse::clock::{Clock as _, Timestamp};
use posthouse::identity::{AccountName, Route};
use posthouse::mail::{Priority, QueueId, ReversePath};
use posthouse::spool::memory::MemorySpool;
use posthouse::spool::{
    Backlog, Claim, Draft, Entry, EntryState, Fate, Lease, Message, Pressure, Settlement, Spool,
    SpoolAdmin as _, SpoolError, Wanted,
};
use tokio_util::sync::CancellationToken;

use crate::chance::Dice;
use crate::clock::SimulatedClock;
use crate::ledger::Ledger;
use crate::parked::Observer;
use crate::rules::{Fairness, check_order};

/// What outlives a process.
pub(crate) struct Machine {
    pub(crate) disk: MemorySpool,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) ledger: Mutex<Ledger>,
    /// Present in worlds where all mail takes one route, so that the whole of it is one queue.
    pub(crate) fairness: Option<Mutex<Fairness>>,
    pub(crate) has_ageing: bool,
    pub(crate) observer: Mutex<Observer>,
    /// Whether events are written down.
    pub(crate) is_told: bool,
}

impl Machine {
    /// Writes an event down, in worlds whose events somebody wants to read.
    pub(crate) fn note(&self, event: impl FnOnce() -> String) {
        if self.is_told {
            let at = self.clock.elapsed().as_secs_f64();
            let event = format!("{at:>9.3} {}", event());
            self.ledger.lock().unwrap().events.push(event);
        }
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.disk.list(None, usize::MAX).await.unwrap()
    }

    pub(crate) async fn waiting(&self) -> usize {
        let entries = self.entries().await;
        let waits = |entry: &&Entry| entry.state != EntryState::Held;
        entries.iter().filter(waits).count()
    }
}

/// When a process crashes and what fails before.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The operation at which it crashes, counted from its start.
    pub(crate) crash_at: Option<u64>,
    /// One operation in so many fails; 0 for none.
    pub(crate) fault_in: u64,
}

/// The spool as one process has it.
pub(crate) struct ProcessSpool {
    pub(crate) machine: Arc<Machine>,
    plan: Plan,
    dice: Mutex<Dice>,
    operations: AtomicU64,
    is_dead: AtomicBool,
    /// Cancelled by a crash.
    pub(crate) crashed: CancellationToken,
}

/// Whether an operation takes place before the crash that it runs into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Course {
    Fails,
    GoesOn,
    HappensAndCrashes,
}

impl ProcessSpool {
    pub(crate) fn new(machine: Arc<Machine>, plan: Plan, dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            machine,
            plan,
            dice: Mutex::new(dice),
            operations: AtomicU64::new(0),
            is_dead: AtomicBool::new(false),
            crashed: CancellationToken::new(),
        })
    }

    /// Begins an operation. A dead process does nothing more.
    async fn begin(&self, what: &str) -> Course {
        if self.is_dead.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let operation = self.operations.fetch_add(1, Ordering::Relaxed);
        let (happens, fails) = {
            let mut dice = self.dice.lock().unwrap();
            let fault_in = self.plan.fault_in;
            (dice.once_in(2), fault_in > 0 && dice.once_in(fault_in))
        };
        if self.plan.crash_at == Some(operation) {
            self.machine
                .note(|| format!("crash at {what}, it happens: {happens}"));
            if happens {
                return Course::HappensAndCrashes;
            }
            self.die().await;
        }
        if fails {
            self.machine.note(|| format!("fault at {what}"));
            return Course::Fails;
        }
        Course::GoesOn
    }

    async fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.crashed.cancel();
        std::future::pending::<()>().await;
    }

    async fn end(&self, course: Course) {
        if course == Course::HappensAndCrashes {
            self.die().await;
        }
    }
}

fn fault() -> SpoolError {
    SpoolError::Unavailable(std::io::Error::other("simulated"))
}

#[async_trait]
impl Spool for ProcessSpool {
    async fn draft(&self) -> Result<Box<dyn Draft>, SpoolError> {
        self.machine.disk.draft().await
    }

    async fn commit(&self, draft: Box<dyn Draft>, message: Message) -> Result<QueueId, SpoolError> {
        let course = self.begin("commit").await;
        if course == Course::Fails {
            return Err(fault());
        }
        let committed = self.machine.disk.commit(draft, message).await;
        self.end(course).await;
        committed
    }

    async fn commit_all(
        &self,
        messages: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError> {
        let course = self.begin("commit_all").await;
        if course == Course::Fails {
            return Err(fault());
        }
        let committed = self.machine.disk.commit_all(messages).await;
        self.end(course).await;
        committed
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Lease>, SpoolError> {
        let course = self.begin("claim").await;
        if course == Course::Fails {
            return Err(fault());
        }
        let before = self.machine.entries().await;
        let leases = self.machine.disk.claim(claim).await?;
        if let Wanted::Next { lowest, .. } = claim.wanted {
            for lease in &leases {
                assert!(lease.message.priority <= lowest);
                assert!(lease.pending.len() <= claim.recipients);
                self.machine.note(|| {
                    format!(
                        "claimed {} of {:?} at {}",
                        lease.id, lease.message.account, lease.message.priority
                    )
                });
            }
            if !self.machine.has_ageing {
                check_order(&before, &claim, &leases);
                if let Some(fairness) = &self.machine.fairness {
                    let mut fairness = fairness.lock().unwrap();
                    fairness.check(&before, claim.now, &leases);
                }
            }
        }
        self.end(course).await;
        Ok(leases)
    }

    async fn extend(&self, lease: &mut Lease, until: Timestamp) -> Result<(), SpoolError> {
        self.machine.disk.extend(lease, until).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Vec<QueueId>, SpoolError> {
        let course = self.begin("settle").await;
        let (id, fates) = (settlement.lease.id, settlement.fates.clone());
        let is_report = settlement.lease.message.envelope.reverse_path == ReversePath::Null;
        if is_report {
            assert!(settlement.reports.is_empty(), "{id}: a report of a report");
        }
        for report in &settlement.reports {
            assert_eq!(report.message.envelope.reverse_path, ReversePath::Null);
        }
        if fates
            .iter()
            .any(|(_, fate)| matches!(fate, Fate::Expire(_)))
        {
            let observer = self.machine.observer.lock().unwrap();
            observer.check_expired(&settlement.lease, self.machine.clock.now());
        }
        let settled = self.machine.disk.settle(settlement).await;
        let mut told = Vec::new();
        if settled.is_ok() {
            let mut ledger = self.machine.ledger.lock().unwrap();
            for (index, fate) in fates {
                let how = match fate {
                    Fate::Relayed(..) => "relayed",
                    Fate::Bounce(_) => "bounced",
                    Fate::Expire(_) => "expired",
                    Fate::Retry { .. } => continue,
                };
                if is_report {
                    ledger.report_settled((id, index.0), how);
                } else {
                    ledger.settled((id, index.0), how);
                }
                told.push((index.0, how));
            }
        }
        for (index, how) in told {
            self.machine.note(|| format!("settled {id} {index} {how}"));
        }
        self.end(course).await;
        // The record is owed, and was made at once; whoever settled does not know that yet.
        if course == Course::Fails {
            return Err(fault());
        }
        settled
    }

    async fn give_back(&self, lease: Lease) {
        self.machine.disk.give_back(lease).await;
    }

    async fn body(&self, id: QueueId) -> Result<Box<dyn Body>, SpoolError> {
        match self.begin("body").await {
            Course::Fails => Err(fault()),
            course @ (Course::GoesOn | Course::HappensAndCrashes) => {
                self.end(course).await;
                self.machine.disk.body(id).await
            }
        }
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, SpoolError> {
        match self.begin("backlog").await {
            Course::Fails => Err(fault()),
            course @ (Course::GoesOn | Course::HappensAndCrashes) => {
                self.end(course).await;
                self.machine.disk.backlog().await
            }
        }
    }

    async fn changed(&self) {
        self.machine.disk.changed().await;
    }

    fn take_moves(&self) -> Vec<(Route, Route)> {
        self.machine.disk.take_moves()
    }

    fn pressure(&self, _priority: Priority) -> Option<Pressure> {
        None
    }
}

impl ProcessSpool {
    /// Gives every message the route of its account, as after a start and a reload.
    pub(crate) async fn reroute(
        &self,
        route_of: &(dyn for<'a> Fn(&'a AccountName) -> Option<Route> + Send + Sync),
    ) {
        self.machine.disk.reroute(route_of).await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.machine.clock.now()
    }
}
