//! The dispatcher: gives due messages to free connections, and ends orderly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::identity::{Route, UpstreamName};
use crate::journal::Journal;
use crate::mail::{Domain, Mailbox, QueueId};
use crate::schedule::{Chance, RetryPlan};
use crate::spool::{Claim, Lease, Spool};
use crate::telemetry;

use super::attempt::Recorded;
use super::board::{Board, Lane, UpstreamStanding, Use, Wake, Work};

/// How long a lease lasts unless it is extended; it is extended at half of it.
pub(super) const LEASE: Duration = Duration::from_mins(10);

/// How often idle connections are looked after and overdue messages looked for.
const TICK: Duration = Duration::from_secs(1);

/// How many overdue messages are settled in one go.
const OVERDUE_AT_ONCE: usize = 100;

/// What the relay is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this host, in reports.
    pub hostname: Domain,
    /// `From:` of reports.
    pub sender: Mailbox,
    /// The name shown with it.
    pub sender_name: String,
    /// How long running attempts may go on after a stop.
    pub grace: Duration,
}

/// Hands messages of the spool to upstreams, until it is stopped.
///
/// Each connection that an upstream allows is worked by a task of its own, which goes on as long as there is mail
/// for it; the dispatcher starts such tasks, waits for what the spool, the clock and the tasks report, and owns them.
pub struct Relay {
    pub(super) spool: Arc<dyn Spool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) chance: Mutex<Chance>,
    pub(super) journal: Arc<Journal>,
    board: Mutex<Board>,
    pub(super) changed: Notify,
    has_orphans: AtomicBool,
}

impl Relay {
    /// Makes a relay without upstreams; [`Relay::replace`] gives it some.
    pub fn new(
        spool: Arc<dyn Spool>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        chance: Chance,
        journal: Arc<Journal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            spool,
            clock,
            settings,
            chance: Mutex::new(chance),
            journal,
            board: Mutex::new(Board::default()),
            changed: Notify::new(),
            has_orphans: AtomicBool::new(false),
        })
    }

    /// Gives the relay another set of upstreams, and the plan of messages whose upstreams are gone. Running attempts
    /// end with the one they began with.
    pub fn replace(&self, lanes: Vec<Lane>, plan: RetryPlan) {
        self.board().replace(lanes, plan, self.clock.instant());
        self.changed.notify_one();
    }

    /// Returns whether due messages have a route to no upstream that exists: they were accepted while a reload took
    /// theirs away, and want [`SpoolAdmin::reroute`](crate::spool::SpoolAdmin::reroute).
    pub fn has_orphans(&self) -> bool {
        self.has_orphans.load(Ordering::Relaxed)
    }

    /// Returns how each upstream fares, sorted by name.
    pub fn upstreams(&self) -> Vec<UpstreamStanding> {
        self.board().standings()
    }

    /// Relays until `stop`, then lets running attempts end within the grace time and breaks off the rest, which the
    /// next start attempts again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut attempts, mut chores) = (JoinSet::new(), JoinSet::new());
        let mut next_tick = self.clock.instant() + TICK;
        while !stop.is_cancelled() {
            let work = self.dispatch(&mut attempts, &stop).await;
            if self.clock.instant() >= next_tick {
                self.tick(&mut chores, work.stranded, &stop);
                next_tick = self.clock.instant() + TICK;
            }
            let until = self.next_look(work.wake, next_tick);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.spool.changed() => {}
                () = self.changed.notified() => {}
                Some(ended) = attempts.join_next() => report_panic(&ended),
                () = tokio::time::sleep_until(until.into()) => {}
            }
            while let Some(ended) = attempts.try_join_next() {
                report_panic(&ended);
            }
        }
        self.wind_up(attempts).await;
        chores.shutdown().await;
    }

    /// Lets running attempts end within the grace time.
    async fn wind_up(&self, mut attempts: JoinSet<()>) {
        let all_ended = async { while attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(self.settings.grace, all_ended)
            .await
            .is_err()
        {
            tracing::warn!(
                attempts = attempts.len(),
                "attempts broken off at shutdown; they will be made again"
            );
            attempts.shutdown().await;
        }
    }

    /// Starts tasks for due messages as far as connections are free; returns what is left.
    async fn dispatch(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Work {
        let backlog = match self.spool.backlog().await {
            Ok(backlog) => backlog,
            Err(error) => {
                tracing::error!(
                    error = telemetry::chain(&error),
                    "cannot ask the spool for due messages"
                );
                return Work::default();
            }
        };
        let mut work = self
            .board()
            .work(&backlog, self.clock.now(), self.clock.instant());
        for (name, routes, free) in std::mem::take(&mut work.claims) {
            for lease in self.claim(&routes, free).await {
                let connection = Connection::take(self, &name);
                attempts.spawn(Arc::clone(self).work(connection, lease, stop.clone()));
            }
        }
        self.has_orphans.store(work.has_orphans, Ordering::Relaxed);
        work
    }

    /// Works one connection of an upstream as long as there is mail for it.
    async fn work(self: Arc<Self>, connection: Connection, first: Lease, stop: CancellationToken) {
        let mut next = Some(first);
        while let Some(lease) = next {
            let Some(lane) = self.board().lane(&connection.upstream) else {
                return self.spool.give_back(lease).await;
            };
            self.attempt(&lane, lease).await;
            next = if stop.is_cancelled() {
                None
            } else {
                self.next_for(&connection.upstream).await
            };
        }
    }

    async fn next_for(&self, upstream: &UpstreamName) -> Option<Lease> {
        if self.board().has_too_many(upstream) {
            return None;
        }
        let backlog = self.spool.backlog().await.ok()?;
        let routes =
            self.board()
                .routes_to(upstream, &backlog, self.clock.now(), self.clock.instant());
        if routes.is_empty() {
            return None;
        }
        self.claim(&routes, 1).await.pop()
    }

    async fn claim(&self, routes: &[Route], at_most: usize) -> Vec<Lease> {
        let now = self.clock.now();
        let claim = Claim {
            routes,
            at_most,
            now,
            until: now.after(LEASE),
            older_than: None,
        };
        self.claim_as(claim).await
    }

    async fn claim_as(&self, claim: Claim<'_>) -> Vec<Lease> {
        match self.spool.claim(claim).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::error!(error = telemetry::chain(&error), "cannot claim messages");
                Vec::new()
            }
        }
    }

    /// Looks after idle connections and overdue messages, beside the work: what does not answer holds nothing up.
    fn tick(
        self: &Arc<Self>,
        chores: &mut JoinSet<()>,
        stranded: Vec<Route>,
        stop: &CancellationToken,
    ) {
        while let Some(ended) = chores.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "looking after idle connections or overdue messages failed");
            }
        }
        if !chores.is_empty() {
            return;
        }
        let now = self.clock.instant();
        for lane in self.board().lanes() {
            chores.spawn(async move { lane.upstream.tidy(now).await });
        }
        if !stranded.is_empty() {
            chores.spawn(Arc::clone(self).expire_overdue(stranded, stop.clone()));
        }
    }

    /// Ends messages whose lifetime is over while their upstreams are not even tried.
    async fn expire_overdue(self: Arc<Self>, routes: Vec<Route>, stop: CancellationToken) {
        for route in routes {
            let plan = self.board().plan(&route);
            let now = self.clock.now();
            let Some(oldest) = plan.oldest_alive(now) else {
                continue;
            };
            let claim = Claim {
                routes: std::slice::from_ref(&route),
                at_most: OVERDUE_AT_ONCE,
                now,
                until: now.after(LEASE),
                older_than: Some(QueueId::first_at(oldest)),
            };
            let mut may_go_on = true;
            for lease in self.claim_as(claim).await {
                may_go_on &= !stop.is_cancelled();
                if may_go_on {
                    may_go_on = self.expire(plan, lease).await == Recorded::Yes;
                } else {
                    self.spool.give_back(lease).await;
                }
            }
            if !may_go_on {
                return;
            }
        }
    }

    fn next_look(&self, wake: Option<Wake>, next_tick: Instant) -> Instant {
        let wake = wake.unwrap_or_default();
        let due = wake
            .due
            .map(|due| self.clock.instant() + due.since(self.clock.now()));
        [due, wake.instant]
            .into_iter()
            .flatten()
            .fold(next_tick, Instant::min)
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of an upstream's connections in use; free again when dropped, also after a panic.
struct Connection {
    relay: Arc<Relay>,
    upstream: UpstreamName,
    used: Use,
}

impl Connection {
    fn take(relay: &Arc<Relay>, upstream: &UpstreamName) -> Self {
        let used = relay.board().begin(upstream, relay.clock.instant());
        Self {
            relay: Arc::clone(relay),
            upstream: upstream.clone(),
            used,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.relay.board().end(&self.upstream, self.used);
        self.relay.changed.notify_one();
    }
}

fn report_panic(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(error = %error, "an attempt panicked; its message is tried again when its lease ends");
    }
}
