//! Messages that wait and are not attempted, because their upstreams are paused, drained or gone, or because others come
//! before them: their lifetime ends all the same, their senders are warned, their deadlines pass.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::identity::Route;
use crate::mail::QueueId;
use crate::spool::{Claim, Lease, Wanted, Which};

use super::attempt::Recorded;
use super::dispatcher::Relay;

/// How many messages are looked after in one go.
const AT_ONCE: usize = 100;

/// How often all messages of a route are looked through from the beginning for senders to warn: those that were being
/// attempted, or were not due, when they were passed.
const FROM_THE_BEGINNING: Duration = Duration::from_hours(1);

/// The routes with messages to look after.
#[derive(Debug, Default)]
pub(super) struct Neglected {
    /// Those on which messages are due.
    pub(super) waiting: Vec<Route>,
    /// Those of them with no upstream that may be tried now.
    pub(super) stranded: Vec<Route>,
}

/// How far each route has been looked through for senders to warn.
#[derive(Debug, Default)]
pub(super) struct Neglect {
    seen: HashMap<Route, Seen>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    /// The first id that has not been seen.
    next: QueueId,
}

impl Neglect {
    /// Returns where to go on.
    fn next(&mut self, route: &Route, now: Instant) -> QueueId {
        let first = QueueId::from_number(0);
        match self.seen.get(route) {
            Some(seen) if now < seen.since + FROM_THE_BEGINNING => seen.next,
            Some(_) | None => {
                let seen = Seen {
                    since: now,
                    next: first,
                };
                self.seen.insert(route.clone(), seen);
                first
            }
        }
    }

    /// Notes that everything before this id has been seen.
    fn saw(&mut self, route: &Route, next: QueueId) {
        if let Some(seen) = self.seen.get_mut(route) {
            seen.next = next;
        }
    }

    /// Forgets routes on which nothing waits.
    fn retain(&mut self, routes: &[Route]) {
        self.seen.retain(|route, _| routes.contains(route));
    }
}

/// Whether there may be more to look after, or no sense in it now.
type Progress = Result<(), Interrupted>;

/// The relay stops, or what is done cannot be recorded.
struct Interrupted;

impl Relay {
    /// Ends what is over, and warns of what is late. A part of it at a time: it is called again soon.
    pub(super) async fn look_after(self: Arc<Self>, neglected: Neglected, stop: CancellationToken) {
        self.neglect().retain(&neglected.waiting);
        // Whatever was left is looked after the next time.
        let _interrupted = self.look_after_all(&neglected, &stop).await;
    }

    async fn look_after_all(&self, neglected: &Neglected, stop: &CancellationToken) -> Progress {
        let late = self.claim_of(&[], Wanted::Late, AT_ONCE);
        self.attend_to(late, stop).await?;
        for route in &neglected.stranded {
            self.end_overdue(route, stop).await?;
        }
        for route in &neglected.waiting {
            self.warn_of_delay(route, stop).await?;
        }
        Ok(())
    }

    /// Ends messages whose lifetime is over while their upstreams are not even tried.
    async fn end_overdue(&self, route: &Route, stop: &CancellationToken) -> Progress {
        self.note_moves();
        let before = {
            let board = self.board();
            let standstill = board.standstill(route, self.clock.now());
            // So none is looked at, each second again, whose lifetime only seems to be over.
            standstill.began(board.plan(route).lifetime())
        };
        let Some(before) = before else {
            return Ok(());
        };
        let (from, which) = (QueueId::from_number(0), Which::Any);
        self.attend_to_aged(route, (from, before), which, stop)
            .await?;
        Ok(())
    }

    /// Warns the senders of messages that have waited for long.
    async fn warn_of_delay(&self, route: &Route, stop: &CancellationToken) -> Progress {
        let plan = self.board().plan(route);
        let Some(before) = plan.oldest_in_time(self.clock.now()) else {
            return Ok(());
        };
        let from = self.neglect().next(route, self.clock.instant());
        let which = Which::Unwarned;
        let last = self
            .attend_to_aged(route, (from, before), which, stop)
            .await?;
        // Nobody whose id is larger has begun to wait before that time.
        let next = last.unwrap_or(QueueId::first_at(before));
        self.neglect().saw(route, next.max(from));
        Ok(())
    }

    /// Looks after messages of a route; returns the id behind the last one where there may be more.
    async fn attend_to_aged(
        &self,
        route: &Route,
        (from, before): (QueueId, Timestamp),
        which: Which,
        stop: &CancellationToken,
    ) -> Result<Option<QueueId>, Interrupted> {
        let wanted = Wanted::Aged {
            from,
            before,
            which,
        };
        let claim = self.claim_of(std::slice::from_ref(route), wanted, AT_ONCE);
        let ids = self.attend_to(claim, stop).await?;
        let last = ids.last().filter(|_| ids.len() == AT_ONCE);
        Ok(last.map(|id| QueueId::from_number(id.number().saturating_add(1))))
    }

    /// Looks after what a claim gives; returns whom.
    async fn attend_to(
        &self,
        claim: Claim<'_>,
        stop: &CancellationToken,
    ) -> Result<Vec<QueueId>, Interrupted> {
        let leases = self.claim_as(claim).await;
        let ids = leases.iter().map(|lease| lease.id).collect();
        let mut progress = Ok(());
        for lease in leases {
            progress = match progress {
                Ok(()) if !stop.is_cancelled() => self.attend_or_stop(lease).await,
                Ok(()) | Err(Interrupted) => {
                    self.spool.give_back(lease).await;
                    Err(Interrupted)
                }
            };
        }
        progress.map(|()| ids)
    }

    async fn attend_or_stop(&self, lease: Lease) -> Progress {
        let plan = self.board().plan(&lease.message.route);
        match self.attend(plan, lease).await {
            Recorded::Yes => Ok(()),
            Recorded::No => Err(Interrupted),
        }
    }

    fn neglect(&self) -> MutexGuard<'_, Neglect> {
        self.neglect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
