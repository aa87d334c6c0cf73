//! An engine without a disk, for tests: the same states and verbs, gone with the process.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::body::{Body, InMemory};
use crate::clock::{Clock, Timestamp};
use crate::identity::Route;
use crate::mail::{Priority, QueueId};

use super::index::{Arrival, Claimed, Index, Listed, Moment, Outcome};
use super::pressure::Level;
use super::standing::Standing;
use super::times::Times;
use super::{
    Backlog, Census, Change, Claim, Draft, Entry, Lease, Message, Page, Pressure, RouteOf,
    Selection, Settlement, Spool, SpoolAdmin, SpoolError, Stats, VerbError,
};

/// How many messages are given a new route before others may have the lock.
const REROUTE_PORTION: usize = 1000;

/// A spool in memory.
pub struct MemorySpool {
    state: Mutex<State>,
    changed: Notify,
    clock: Arc<dyn Clock>,
    max_messages: Option<u64>,
}

struct State {
    index: Index<Stored>,
    last_id: QueueId,
}

#[derive(Clone)]
struct Stored {
    message: Arc<Message>,
    octets: Bytes,
}

impl MemorySpool {
    /// Makes an empty spool.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State {
                index: Index::default(),
                last_id: QueueId::from_number(0),
            }),
            changed: Notify::new(),
            clock,
            max_messages: None,
        }
    }

    /// Makes the spool full at `max_messages` messages; low priorities are refused before.
    #[must_use]
    pub fn with_room_for(self, max_messages: u64) -> Self {
        Self {
            max_messages: Some(max_messages),
            ..self
        }
    }

    /// Lets the spool go on as after a crash of the process: what was committed and settled is there, leases are not.
    pub fn restart(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let arrivals = state.index.arrivals();
        state.index = Index::default();
        for arrival in arrivals {
            state.index.insert(arrival, now);
        }
        drop(state);
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_room(&self, priority: Priority) -> Result<(), SpoolError> {
        self.pressure(priority)
            .map_or(Ok(()), |_| Err(SpoolError::Full))
    }

    fn apply(&self, id: QueueId, change: &Change) -> Result<(), VerbError> {
        let moment = Moment::of(&*self.clock);
        let now = moment.civil;
        let mut state = self.state();
        match state.index.begin(id, change, moment)? {
            Outcome::Nothing => {}
            Outcome::Gone => {
                state.index.conclude(id, None, now);
            }
            Outcome::Stands(standing) => {
                state.index.conclude(id, Some(standing), now);
            }
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }
}

impl State {
    fn insert(&mut self, id: QueueId, message: Message, octets: Bytes, now: Timestamp) {
        let arrival = Arrival {
            id,
            size: octets.len() as u64,
            priority: message.priority,
            route: message.route.clone(),
            account: message.account.clone(),
            tenant: message.tenant.clone(),
            times: Times::of(&message),
            standing: Standing::of(&message),
            place: Stored {
                message: Arc::new(message),
                octets,
            },
        };
        self.index.insert(arrival, now);
    }

    fn next_id(&mut self, now: Timestamp) -> QueueId {
        self.last_id = self.last_id.following(now);
        self.last_id
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn draft(&self) -> Result<Box<dyn Draft>, SpoolError> {
        self.check_room(Priority::VeryHigh)?;
        Ok(Box::new(MemoryDraft {
            id: self.state().next_id(self.clock.now()),
            octets: BytesMut::new(),
        }))
    }

    async fn commit(&self, draft: Box<dyn Draft>, message: Message) -> Result<QueueId, SpoolError> {
        self.check_room(message.priority)?;
        let Ok(draft) = draft.into_any().downcast::<MemoryDraft>() else {
            return Err(super::foreign_draft());
        };
        let (id, octets) = (draft.id, draft.octets.freeze());
        self.state().insert(id, message, octets, self.clock.now());
        self.changed.notify_one();
        Ok(id)
    }

    async fn commit_all(
        &self,
        messages: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError> {
        let mut drafts = Vec::with_capacity(messages.len());
        for (draft, message) in messages {
            self.check_room(message.priority)?;
            let Ok(draft) = draft.into_any().downcast::<MemoryDraft>() else {
                return Err(super::foreign_draft());
            };
            drafts.push((draft, message));
        }
        let (mut ids, now) = (Vec::with_capacity(drafts.len()), self.clock.now());
        let mut state = self.state();
        for (draft, message) in drafts {
            ids.push(draft.id);
            state.insert(draft.id, message, draft.octets.freeze(), now);
        }
        drop(state);
        self.changed.notify_one();
        Ok(ids)
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Lease>, SpoolError> {
        let mut state = self.state();
        let claimed = state.index.claim(&claim, self.clock.instant());
        let lease = |claimed: Claimed<Stored>| {
            let standing = state.index.standing(claimed.id);
            Lease {
                id: claimed.id,
                message: super::with_route(&claimed.place.message, &claimed.route),
                size: claimed.size,
                pending: claimed.pending,
                attempts: claimed.attempts,
                deferred: standing.map(Standing::deferred).unwrap_or_default(),
                has_more: claimed.has_more,
                warned: standing.map(|standing| standing.warned).unwrap_or_default(),
                untold: standing
                    .map(|standing| standing.untold.to_vec())
                    .unwrap_or_default(),
                until: claim.until,
                token: claimed.token,
            }
        };
        Ok(claimed.into_iter().map(lease).collect())
    }

    async fn extend(&self, lease: &mut Lease, until: Timestamp) -> Result<(), SpoolError> {
        let now = Moment::of(&*self.clock);
        let key = (lease.id, lease.token);
        self.state().index.extend(key, until, now)?;
        lease.until = until;
        Ok(())
    }

    async fn settle(&self, settlement: Settlement) -> Result<Vec<QueueId>, SpoolError> {
        let now = self.clock.now();
        let mut state = self.state();
        let standing = state.index.begin_settlement(&settlement)?;
        state.index.conclude(settlement.lease.id, standing, now);
        let mut reports = Vec::new();
        for report in settlement.reports {
            let id = state.next_id(now);
            reports.push(id);
            state.insert(id, report.message, report.octets, now);
        }
        drop(state);
        self.changed.notify_one();
        Ok(reports)
    }

    async fn give_back(&self, lease: Lease) {
        if self.state().index.give_back(lease.id, lease.token) {
            self.changed.notify_one();
        }
    }

    async fn body(&self, id: QueueId) -> Result<Box<dyn Body>, SpoolError> {
        let state = self.state();
        let stored = state.index.place(id).ok_or(SpoolError::LeaseLost(id))?;
        Ok(Box::new(InMemory::new(stored.octets.clone())))
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, SpoolError> {
        Ok(self.state().index.backlog(Moment::of(&*self.clock)))
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn take_moves(&self) -> Vec<(Route, Route)> {
        self.state().index.take_moves()
    }

    fn pressure(&self, priority: Priority) -> Option<Pressure> {
        let messages = self.state().index.stats().messages;
        let level = Level::of_use(messages, self.max_messages?, Level::Free);
        level.refuses(priority).then_some(Pressure::Messages)
    }
}

#[async_trait]
impl SpoolAdmin for MemorySpool {
    async fn select(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Result<Page<Entry>, SpoolError> {
        let portion = |after, limit| self.state().index.select(after, limit, selection);
        let Page { items, next } = super::gather(after, limit, portion).await;
        let items = items.iter().map(entry).collect();
        Ok(Page { items, next })
    }

    async fn ids(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Page<QueueId> {
        let portion = |after, limit| self.state().index.select_ids(after, limit, selection);
        super::gather(after, limit, portion).await
    }

    async fn show(&self, id: QueueId) -> Result<Option<Entry>, SpoolError> {
        Ok(self.state().index.show(id).as_ref().map(entry))
    }

    async fn change(&self, ids: &[QueueId], change: &Change) -> Vec<Result<(), VerbError>> {
        ids.iter().map(|id| self.apply(*id, change)).collect()
    }

    async fn reroute(&self, route_of: &RouteOf<'_>) {
        let now = self.clock.now();
        let mut after = None;
        loop {
            let last = self
                .state()
                .index
                .reroute(after, REROUTE_PORTION, route_of, now);
            if last.is_none() {
                break;
            }
            after = last;
        }
        self.changed.notify_one();
    }

    async fn reroute_some(&self, ids: &[QueueId], route_of: &RouteOf<'_>) {
        let now = self.clock.now();
        for id in ids {
            let mut state = self.state();
            state.index.reroute_one(*id, route_of, now);
        }
        self.changed.notify_one();
    }

    async fn census(&self) -> Census {
        let (mut census, mut after) = (Census::default(), None);
        loop {
            after = self.state().index.count(after, &mut census);
            if after.is_none() {
                return census;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn stats(&self) -> Stats {
        self.state().index.stats()
    }
}

fn entry(listed: &Listed<Stored>) -> Entry {
    Entry {
        id: listed.id,
        message: super::with_route(&listed.place.message, &listed.route),
        size: listed.size,
        state: listed.state,
        attempts: listed.standing.attempts(),
        due: listed.standing.due(),
        pending: listed.standing.reasons(),
    }
}

struct MemoryDraft {
    id: QueueId,
    octets: BytesMut,
}

#[async_trait]
impl Draft for MemoryDraft {
    fn id(&self) -> QueueId {
        self.id
    }

    fn size(&self) -> u64 {
        self.octets.len() as u64
    }

    async fn write(&mut self, octets: Bytes) -> Result<(), SpoolError> {
        self.octets.extend_from_slice(&octets);
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}
