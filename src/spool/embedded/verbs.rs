//! The verbs of submission and relay on the embedded engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::{Body, InMemory};
use crate::clock::Timestamp;
use crate::identity::Route;
use crate::mail::{Priority, QueueId};
use crate::spool::index::{Claimed, Moment};
use crate::spool::standing::Standing;
use crate::spool::times::Times;
use crate::spool::{
    Backlog, Claim, Draft, Lease, Message, Pressure, Settlement, Spool, SpoolError, foreign_draft,
    with_route,
};

use super::cache::Cached;
use super::change;
use super::draft::{BodyFile, Complete, Counted, EmbeddedDraft};
use super::engine::EmbeddedSpool;
use super::fields::Fields;
use super::message::{self, BodyPlace, Summary};
use super::queue::{Effect, Newcomer};
use super::read::{FileBody, ReadError, read_anywhere};
use super::record::{FRAME, Kind, Record};
use super::segments::Place;
use super::shared::Shared;

#[async_trait]
impl Spool for EmbeddedSpool {
    async fn draft(&self) -> Result<Box<dyn Draft>, SpoolError> {
        // Its priority is not known yet.
        self.check_room(Priority::VeryHigh)?;
        Ok(Box::new(EmbeddedDraft::new(Arc::clone(&self.shared))))
    }

    async fn commit(&self, draft: Box<dyn Draft>, message: Message) -> Result<QueueId, SpoolError> {
        self.check_room(message.priority)?;
        let Ok(draft) = draft.into_any().downcast::<EmbeddedDraft>() else {
            return Err(foreign_draft());
        };
        // The octets stay in memory, and counted, until they are written.
        let ((id, size), complete, _counted) = draft.complete().await?;
        let (octets, file) = match complete {
            Complete::File(file) => (None, Some(file)),
            Complete::Memory(octets) => (Some(octets), None),
        };
        let body = match (&octets, &file) {
            (Some(octets), _) => inline(octets, 0),
            (None, Some(file)) => file.place(),
            (None, None) => inline(&Bytes::new(), 0),
        };
        let mut fields = Fields::behind(FRAME);
        message::write(&mut fields, (id, size), &body, &message);
        let crc = match &body {
            BodyPlace::File { .. } => 0,
            BodyPlace::Inline { crc, .. } => *crc,
        };
        let pieces = octets.iter().filter(|octets| !octets.is_empty());
        let pieces = pieces.cloned().collect();
        let record = Record::seal(self.shared.mark, Kind::Message, fields, pieces, crc);
        let newcomer = newcomer((id, size), message, octets);
        let slot = self.shared.queue.slot().await?;
        if let Some(file) = file {
            file.keep();
        }
        self.push(slot, record, Effect::Arrive(newcomer)).await?;
        Ok(id)
    }

    async fn commit_all(
        &self,
        messages: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError> {
        let mut drafts = Vec::with_capacity(messages.len());
        for (draft, message) in messages {
            self.check_room(message.priority)?;
            let Ok(draft) = draft.into_any().downcast::<EmbeddedDraft>() else {
                return Err(foreign_draft());
            };
            drafts.push((draft, message));
        }
        let mut together = Together::default();
        for (draft, message) in drafts {
            // Files of those before are removed where this one fails.
            let (key, complete, counted) = draft.complete().await?;
            together.add(key, complete, message);
            together.counted.push(counted);
        }
        let Together {
            fields,
            pieces,
            crc,
            newcomers,
            files,
            counted: _counted,
            ..
        } = together;
        let record = Record::seal(self.shared.mark, Kind::Messages, fields, pieces, crc);
        let slot = self.shared.queue.slot().await?;
        let ids = newcomers.iter().map(|message| message.summary.id).collect();
        files.into_iter().for_each(BodyFile::keep);
        self.push(slot, record, Effect::ArriveTogether(newcomers))
            .await?;
        Ok(ids)
    }

    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Lease>, SpoolError> {
        if self.shared.gauge.owed.load(Ordering::Relaxed) > 0 {
            return Ok(Vec::new());
        }
        let (mut known, mut unknown, mut order) = (Vec::new(), Vec::new(), Vec::new());
        let instant = self.shared.clock.instant();
        {
            let mut state = self.shared.state();
            for claimed in state.index.claim(&claim, instant) {
                let standing = state.index.standing(claimed.id);
                order.push(claimed.id);
                match state.cache.get(claimed.id) {
                    Some(cached) => {
                        known.push(lease(&claimed, &cached.message, standing, claim.until));
                    }
                    None => unknown.push(claimed),
                }
            }
        }
        if !unknown.is_empty() {
            let unused = Unused::new(&self.shared, &known, &unknown);
            let read = self.read_back(unknown, claim.until).await?;
            unused.are_used();
            known.extend(read);
            let places: HashMap<_, _> = order.into_iter().zip(0..).collect();
            known.sort_by_key(|lease| places.get(&lease.id).copied().unwrap_or(usize::MAX));
        }
        Ok(known)
    }

    async fn extend(&self, lease: &mut Lease, until: Timestamp) -> Result<(), SpoolError> {
        let now = Moment::of(&*self.shared.clock);
        let key = (lease.id, lease.token);
        self.shared.state().index.extend(key, until, now)?;
        lease.until = until;
        Ok(())
    }

    async fn settle(&self, settlement: Settlement) -> Result<Vec<QueueId>, SpoolError> {
        let slot = self.shared.queue.slot().await;
        let id = settlement.lease.id;
        // From here to the push nothing waits: a dropped call leaves no message half-settled.
        let begun = self.shared.state().index.begin_settlement(&settlement);
        let standing = begun?;
        // Without a slot nothing is recorded any more. The message stays as it is now: nobody attempts it again here.
        let slot = slot?;
        let mut fields = Fields::behind(FRAME);
        change::write(&mut fields, id, standing.as_ref());
        let (mut pieces, mut newcomers) = (Vec::new(), Vec::new());
        let (mut offset, mut crc) = (0, 0);
        for report in settlement.reports {
            let key = (self.shared.next_id(), report.octets.len() as u64);
            let body = inline(&report.octets, offset);
            change::write_report(&mut fields, |fields| {
                message::write(fields, key, &body, &report.message);
            });
            offset += report.octets.len();
            crc = crc32c::crc32c_append(crc, &report.octets);
            pieces.push(report.octets.clone());
            newcomers.push(newcomer(key, report.message, Some(report.octets)));
        }
        let record = Record::seal(self.shared.mark, Kind::Settlement, fields, pieces, crc);
        let ids = newcomers.iter().map(|report| report.summary.id).collect();
        let effect = Effect::Settle {
            id,
            standing,
            reports: newcomers,
        };
        self.push(slot, record, effect).await?;
        Ok(ids)
    }

    async fn give_back(&self, lease: Lease) {
        let was_leased = {
            let mut state = self.shared.state();
            state.index.give_back(lease.id, lease.token)
        };
        if was_leased {
            self.shared.changed.notify_one();
        }
    }

    async fn body(&self, id: QueueId) -> Result<Box<dyn Body>, SpoolError> {
        let place = {
            let state = self.shared.state();
            if let Some(octets) = state.cache.get(id).and_then(|cached| cached.body.clone()) {
                return Ok(Box::new(InMemory::new(octets)));
            }
            state.index.place(id).copied()
        };
        let place = place.ok_or(SpoolError::LeaseLost(id))?;
        let shared = Arc::clone(&self.shared);
        let opened = self
            .shared
            .blocking(move || Ok(open_body(&shared, id, place)));
        match opened.await.map_err(SpoolError::Unavailable)? {
            Ok(body) => Ok(body),
            Err(ReadError::Io(error)) => Err(SpoolError::Unavailable(error)),
            Err(ReadError::Damaged) => {
                self.shared.report_damage(id);
                Err(SpoolError::Corrupt(id))
            }
        }
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, SpoolError> {
        let now = Moment::of(&*self.shared.clock);
        Ok(self.shared.state().index.backlog(now))
    }

    async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    fn take_moves(&self) -> Vec<(Route, Route)> {
        self.shared.state().index.take_moves()
    }

    fn pressure(&self, priority: Priority) -> Option<Pressure> {
        self.shared.pressure(priority)
    }
}

impl EmbeddedSpool {
    fn check_room(&self, priority: Priority) -> Result<(), SpoolError> {
        self.shared
            .pressure(priority)
            .map_or(Ok(()), |_| Err(SpoolError::Full))
    }

    /// Reads the envelopes of leased messages, and what octets come with them.
    async fn read_back(
        &self,
        claimed: Vec<Claimed<Place>>,
        until: Timestamp,
    ) -> Result<Vec<Lease>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        let read = self.shared.blocking(move || {
            let read = claimed.into_iter().map(|claimed| {
                let read = read_anywhere(&shared, claimed.id, claimed.place);
                (claimed, read)
            });
            Ok(read.collect::<Vec<_>>())
        });
        let mut leases = Vec::new();
        for (claimed, read) in read.await.map_err(SpoolError::Unavailable)? {
            match read {
                Ok(read) => {
                    let cached = read.into_cached();
                    let mut state = self.shared.state();
                    let standing = state.index.standing(claimed.id);
                    leases.push(lease(&claimed, &cached.message, standing, until));
                    state.cache.put(claimed.id, cached);
                }
                Err(ReadError::Damaged) => self.shared.report_damage(claimed.id),
                // It stays leased, which keeps it from being tried again at once.
                Err(ReadError::Io(error)) => {
                    tracing::error!(queue_id = %claimed.id, %error, "message not readable now");
                }
            }
        }
        Ok(leases)
    }
}

/// The record of messages that come together, in the making.
struct Together {
    fields: Fields,
    pieces: Vec<Bytes>,
    /// The octets of `pieces`, and their checksum.
    offset: usize,
    crc: u32,
    newcomers: Vec<Newcomer>,
    files: Vec<BodyFile>,
    counted: Vec<Counted>,
}

impl Default for Together {
    fn default() -> Self {
        Self {
            fields: Fields::behind(FRAME),
            pieces: Vec::new(),
            offset: 0,
            crc: 0,
            newcomers: Vec::new(),
            files: Vec::new(),
            counted: Vec::new(),
        }
    }
}

impl Together {
    fn add(&mut self, key: (QueueId, u64), complete: Complete, message: Message) {
        let (body, octets) = match complete {
            Complete::File(file) => {
                let place = file.place();
                self.files.push(file);
                (place, None)
            }
            Complete::Memory(octets) => (inline(&octets, self.offset), Some(octets)),
        };
        change::write_report(&mut self.fields, |fields| {
            message::write(fields, key, &body, &message);
        });
        if let Some(octets) = octets.as_ref().filter(|octets| !octets.is_empty()) {
            self.offset += octets.len();
            self.crc = crc32c::crc32c_append(self.crc, octets);
            self.pieces.push(octets.clone());
        }
        self.newcomers.push(newcomer(key, message, octets));
    }
}

/// Leases that nobody has been given yet; dropped, they end at once.
struct Unused<'a> {
    shared: &'a Shared,
    leases: Vec<(QueueId, u64)>,
}

impl<'a> Unused<'a> {
    fn new(shared: &'a Shared, known: &[Lease], unknown: &[Claimed<Place>]) -> Self {
        let known = known.iter().map(|lease| (lease.id, lease.token));
        let unknown = unknown.iter().map(|claimed| (claimed.id, claimed.token));
        Self {
            shared,
            leases: known.chain(unknown).collect(),
        }
    }

    fn are_used(mut self) {
        self.leases.clear();
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        for (id, token) in &self.leases {
            state.index.give_back(*id, *token);
        }
        drop(state);
        self.shared.changed.notify_one();
    }
}

fn inline(octets: &Bytes, offset: usize) -> BodyPlace {
    BodyPlace::Inline {
        // Past 4 GiB the record cannot be sealed, so the offset is never used.
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        crc: crc32c::crc32c(octets),
    }
}

fn newcomer((id, size): (QueueId, u64), message: Message, octets: Option<Bytes>) -> Newcomer {
    Newcomer {
        summary: Summary {
            id,
            size,
            has_file: octets.is_none(),
            priority: message.priority,
            route: message.route.clone(),
            account: message.account.clone(),
            tenant: message.tenant.clone(),
            times: Times::of(&message),
            standing: Standing::of(&message),
        },
        cached: Cached {
            message: Arc::new(message),
            body: octets,
        },
    }
}

fn lease(
    claimed: &Claimed<Place>,
    message: &Arc<Message>,
    standing: Option<&Standing>,
    until: Timestamp,
) -> Lease {
    Lease {
        id: claimed.id,
        message: with_route(message, &claimed.route),
        size: claimed.size,
        pending: claimed.pending.clone(),
        attempts: claimed.attempts,
        deferred: standing.map(Standing::deferred).unwrap_or_default(),
        has_more: claimed.has_more,
        warned: standing.map(|standing| standing.warned).unwrap_or_default(),
        untold: standing
            .map(|standing| standing.untold.to_vec())
            .unwrap_or_default(),
        until,
        token: claimed.token,
    }
}

fn open_body(shared: &Arc<Shared>, id: QueueId, place: Place) -> Result<Box<dyn Body>, ReadError> {
    let read = read_anywhere(shared, id, place)?;
    match read.body {
        Some(octets) => Ok(Box::new(InMemory::new(octets))),
        None => Ok(Box::new(FileBody::open(Arc::clone(shared), &read.stored)?)),
    }
}
