//! The dispatcher: gives due messages to free connections, and ends orderly.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alert::{Alert, Alerts, Kind};
use crate::clock::{Clock, Steady};
use crate::identity::{Route, UpstreamName};
use crate::journal::Journal;
use crate::mail::{Domain, Mailbox, Priority};
use crate::route::Table;
use crate::schedule::{Allowance, Chance, Taken};
use crate::spool::{Claim, Lease, Spool, Wanted};
use crate::telemetry;

use super::board::{Arrangement, Board, Now, Wake, Work};
use super::neglect::{Neglect, Neglected};

/// How long a lease lasts unless it is extended; it is extended at half of it.
pub(super) const LEASE: Duration = Duration::from_mins(10);

/// How often idle connections and neglected messages are looked after.
const TICK: Duration = Duration::from_secs(1);

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
    /// Where it is raised what a person should look at.
    pub alerts: Alerts,
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
    /// Where reports go: by the rules for any other mail of the account.
    routes: Mutex<Arc<Table>>,
    pub(super) neglect: Mutex<Neglect>,
    steady: Steady,
    pub(super) changed: Notify,
    pub(super) parkings_changed: Notify,
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
            steady: Steady::of(&*clock),
            clock,
            settings,
            chance: Mutex::new(chance),
            journal,
            board: Mutex::new(Board::default()),
            routes: Mutex::new(Arc::new(Table::default())),
            neglect: Mutex::default(),
            changed: Notify::new(),
            parkings_changed: Notify::new(),
            has_orphans: AtomicBool::new(false),
        })
    }

    /// Gives the relay another arrangement. Running attempts end with the upstream they began with.
    pub fn replace(&self, arrangement: Arrangement) {
        self.board().replace(arrangement, self.now());
        self.parkings_changed.notify_one();
        self.changed.notify_one();
    }

    /// Says which routes new reports take.
    pub fn set_routes(&self, routes: Table) {
        let mut current = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(routes);
    }

    pub(super) fn routes(&self) -> Arc<Table> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&routes)
    }

    /// Keeps these upstreams from being given anything, and no others; what runs there ends. Their mail takes the next
    /// upstream of its route, or waits.
    pub fn drain(&self, names: BTreeSet<UpstreamName>) {
        self.board().drain(names);
        self.changed.notify_one();
    }

    /// Returns whether due messages have a route to no upstream that exists: they were accepted while a reload took
    /// theirs away, and want [`SpoolAdmin::reroute`](crate::spool::SpoolAdmin::reroute).
    pub fn has_orphans(&self) -> bool {
        self.has_orphans.load(Ordering::Relaxed)
    }

    /// Relays until `stop`, then lets running attempts end within the grace time and breaks off the rest, which the
    /// next start attempts again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let (mut attempts, mut chores) = (JoinSet::new(), JoinSet::new());
        let mut next_tick = self.clock.instant() + TICK;
        while !stop.is_cancelled() {
            let work = self.dispatch(&mut attempts, &stop).await;
            if self.clock.instant() >= next_tick {
                let (waiting, stranded) = (work.waiting, work.stranded);
                self.tick(&mut chores, Neglected { waiting, stranded }, &stop);
                next_tick = self.clock.instant() + TICK;
            }
            let until = self.next_look(work.wake, next_tick);
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(ended) = attempts.join_next() => Self::report_panic(&ended),
                () = self.changed.notified() => {}
                () = self.spool.changed() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
            while let Some(ended) = attempts.try_join_next() {
                Self::report_panic(&ended);
            }
        }
        self.wind_up(attempts).await;
        chores.shutdown().await;
    }

    /// Lets running attempts end within the grace time.
    async fn wind_up(&self, mut attempts: JoinSet<()>) {
        if !attempts.is_empty() {
            tracing::info!(
                attempts = attempts.len(),
                grace_s = self.settings.grace.as_secs(),
                "no attempt is begun any more; those that run may end"
            );
        }
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
                let error = telemetry::chain(&error);
                tracing::error!(
                    alert = FAULT,
                    error,
                    "cannot ask the spool for due messages"
                );
                self.raise_fault("cannot ask the spool for due messages", &error);
                return Work::default();
            }
        };
        let mut work = self.board().work(&backlog, self.now());
        self.has_orphans.store(work.has_orphans, Ordering::Relaxed);
        for (name, routes) in std::mem::take(&mut work.claims) {
            for (connection, lease) in self.leases_for(&name, &routes, usize::MAX).await {
                attempts.spawn(Arc::clone(self).work(connection, lease, stop.clone()));
            }
            work.wake.at(self.board().next_look(&name, self.now()));
        }
        work
    }

    /// Works one connection of an upstream as long as there is mail for it.
    async fn work(self: Arc<Self>, connection: Connection, first: Lease, stop: CancellationToken) {
        let mut next = Some((connection, first));
        while let Some((connection, lease)) = next {
            let Some(lane) = self.board().lane(&connection.upstream) else {
                return self.spool.give_back(lease).await;
            };
            self.attempt(&lane, lease).await;
            // Free before the next message is chosen: the most urgent of all gets it, whatever this one was.
            connection.pass_on();
            next = if stop.is_cancelled() {
                None
            } else {
                self.next_for(lane.upstream.name()).await
            };
        }
        self.changed.notify_one();
    }

    async fn next_for(self: &Arc<Self>, name: &UpstreamName) -> Option<(Connection, Lease)> {
        let routes = self.board().routes_to(name, self.now());
        if routes.is_empty() {
            return None;
        }
        self.leases_for(name, &routes, 1).await.pop()
    }

    /// Claims what is next for an upstream, as much as it can take, `at_most` messages.
    async fn leases_for(
        self: &Arc<Self>,
        name: &UpstreamName,
        routes: &[Route],
        at_most: usize,
    ) -> Vec<(Connection, Lease)> {
        let mut found = Vec::new();
        while found.len() < at_most {
            let allowed = self.board().allow(name, at_most - found.len(), self.now());
            let Some(allowance) = allowed else { break };
            let mut unused = Unused {
                relay: self,
                name,
                allowance: Some(allowance),
            };
            let (asked, leases) = unused.claim(routes).await;
            let is_all = leases.len() < asked;
            for lease in leases {
                match unused.begin(lease.message.priority) {
                    Some(connection) => found.push((connection, lease)),
                    None => self.spool.give_back(lease).await,
                }
            }
            if is_all {
                break;
            }
        }
        found
    }

    pub(super) async fn claim_as(&self, claim: Claim<'_>) -> Vec<Lease> {
        match self.spool.claim(claim).await {
            Ok(leases) => leases,
            Err(error) => {
                let error = telemetry::chain(&error);
                tracing::error!(alert = FAULT, error, "cannot claim messages");
                self.raise_fault("cannot claim messages", &error);
                Vec::new()
            }
        }
    }

    /// Looks after idle connections and neglected messages, beside the work: what does not answer holds nothing up.
    fn tick(
        self: &Arc<Self>,
        chores: &mut JoinSet<()>,
        neglected: Neglected,
        stop: &CancellationToken,
    ) {
        // The clock may have been set back behind the beginning of a parking.
        self.board().note_parkings(self.clock.now());
        while let Some(ended) = chores.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "looking after idle connections or neglected messages failed");
            }
        }
        if !chores.is_empty() {
            return;
        }
        let now = self.clock.instant();
        for lane in self.board().lanes() {
            chores.spawn(async move { lane.upstream.tidy(now).await });
        }
        chores.spawn(Arc::clone(self).look_after(neglected, stop.clone()));
    }

    /// Makes a claim for a lease of the usual length, with all recipients.
    pub(super) fn claim_of<'a>(
        &self,
        routes: &'a [Route],
        wanted: Wanted<'a>,
        at_most: usize,
    ) -> Claim<'a> {
        let now = self.clock.now();
        Claim {
            routes,
            wanted,
            at_most,
            recipients: usize::MAX,
            now,
            until: now.after(LEASE),
        }
    }

    pub(super) fn now(&self) -> Now {
        let instant = self.clock.instant();
        Now {
            civil: self.clock.now(),
            steady: self.steady.at(instant),
            instant,
        }
    }

    fn next_look(&self, wake: Wake, next_tick: Instant) -> Instant {
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
    /// `None` once it is free.
    taken: Option<Taken>,
}

impl Connection {
    /// Frees the connection for whoever gives the next message to it; the dispatcher need not know.
    fn pass_on(mut self) {
        self.end();
    }

    fn end(&mut self) -> bool {
        let taken = self.taken.take();
        let was_taken = taken.is_some();
        if let Some(taken) = taken {
            self.relay.board().end(&self.upstream, taken);
        }
        was_taken
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.end() {
            self.relay.changed.notify_one();
        }
    }
}

/// What an upstream can take and has not been given; given back when dropped, also when the claim is.
struct Unused<'a> {
    relay: &'a Arc<Relay>,
    name: &'a UpstreamName,
    allowance: Option<Allowance>,
}

impl Unused<'_> {
    /// Claims messages as the allowance says; returns how many were asked for, and them.
    async fn claim(&self, routes: &[Route]) -> (usize, Vec<Lease>) {
        let terms = self.relay.board().terms(self.name);
        let Some((terms, allowance)) = terms.zip(self.allowance.as_ref()) else {
            return (0, Vec::new());
        };
        let wanted = Wanted::Next {
            upstream: self.name,
            lowest: allowance.lowest,
            ageing: terms.ageing,
        };
        let claim = Claim {
            recipients: terms.recipients,
            ..self.relay.claim_of(routes, wanted, allowance.at_most)
        };
        (allowance.at_most, self.relay.claim_as(claim).await)
    }

    fn begin(&mut self, priority: Priority) -> Option<Connection> {
        let allowance = self.allowance.as_mut()?;
        let taken = self.relay.board().begin(self.name, allowance, priority)?;
        Some(Connection {
            relay: Arc::clone(self.relay),
            upstream: self.name.clone(),
            taken: Some(taken),
        })
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(allowance) = self.allowance.take()
            && allowance.at_most > 0
        {
            self.relay.board().give_back(self.name, allowance);
        }
    }
}

impl Relay {
    /// Tells of a panic that is not the upstream's: those are put off in [`Relay::attempt`]. The hook has raised the alert.
    fn report_panic(ended: &Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(alert = FAULT, error = %error, "an attempt panicked; its message is tried again when its lease ends");
        }
    }

    /// Raises an alert where the spool does not do what is asked of it.
    pub(super) fn raise_fault(&self, what: &'static str, error: &str) {
        let text = format!("The relay {what}: {error}. Mail waits until that is over.");
        self.settings
            .alerts
            .raise(Alert::new(Kind::SystemError, text));
    }
}

/// What the field `alert` says of a line that tells of a fault.
pub(super) const FAULT: &str = Kind::SystemError.as_str();
