//! The operators' verbs on the embedded engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use crate::mail::QueueId;
use crate::spool::index::{Listed, Moment, Outcome};
use crate::spool::{
    Census, Change, Entry, Message, Page, RouteOf, Selection, SpoolAdmin, SpoolError, Stats,
    VerbError, gather, with_route,
};

use super::change;
use super::engine::EmbeddedSpool;
use super::fields::Fields;
use super::queue::Effect;
use super::read::{ReadError, read_anywhere};
use super::record::{FRAME, Kind, Record};
use super::segments::Place;

/// How many messages are given a new route before others may have the lock.
const REROUTE_PORTION: usize = 1000;

#[async_trait]
impl SpoolAdmin for EmbeddedSpool {
    async fn select(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Result<Page<Entry>, SpoolError> {
        let portion = |after, limit| self.shared.state().index.select(after, limit, selection);
        let Page { items, next } = gather(after, limit, portion).await;
        let items = self.entries(items).await?;
        Ok(Page { items, next })
    }

    async fn ids(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Page<QueueId> {
        let index = |after, limit| {
            self.shared
                .state()
                .index
                .select_ids(after, limit, selection)
        };
        gather(after, limit, index).await
    }

    async fn show(&self, id: QueueId) -> Result<Option<Entry>, SpoolError> {
        let listed = self.shared.state().index.show(id);
        let mut entries = self.entries(listed.into_iter().collect()).await?;
        Ok(entries.pop())
    }

    async fn change(&self, ids: &[QueueId], change: &Change) -> Vec<Result<(), VerbError>> {
        // All are begun before the first is awaited, so that they share the syncs of the log.
        let mut begun = Vec::with_capacity(ids.len());
        for id in ids {
            begun.push(self.begin(*id, change).await);
        }
        let mut results = Vec::with_capacity(begun.len());
        for begun in begun {
            results.push(match begun {
                Ok(Some(done)) => done.await.map_err(VerbError::Spool),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            });
        }
        results
    }

    async fn reroute(&self, route_of: &RouteOf<'_>) {
        let now = self.shared.clock.now();
        let mut after = None;
        loop {
            let last = {
                let mut state = self.shared.state();
                let index = &mut state.index;
                index.reroute(after, REROUTE_PORTION, route_of, now)
            };
            if last.is_none() {
                break;
            }
            after = last;
            tokio::task::yield_now().await;
        }
        self.shared.changed.notify_one();
    }

    async fn reroute_some(&self, ids: &[QueueId], route_of: &RouteOf<'_>) {
        let now = self.shared.clock.now();
        for id in ids {
            let mut state = self.shared.state();
            state.index.reroute_one(*id, route_of, now);
        }
        self.shared.changed.notify_one();
    }

    async fn census(&self) -> Census {
        let (mut census, mut after) = (Census::default(), None);
        loop {
            after = self.shared.state().index.count(after, &mut census);
            if after.is_none() {
                return census;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn stats(&self) -> Stats {
        Stats {
            damaged: self.shared.gauge.damaged.load(Ordering::Relaxed),
            ..self.shared.state().index.stats()
        }
    }
}

impl EmbeddedSpool {
    /// Begins a change; returns what waits until it is durable, or nothing where there is nothing to do.
    async fn begin(
        &self,
        id: QueueId,
        change: &Change,
    ) -> Result<Option<impl Future<Output = Result<(), SpoolError>> + use<'_>>, VerbError> {
        let slot = self.shared.queue.slot().await.map_err(VerbError::Spool)?;
        let now = Moment::of(&*self.shared.clock);
        // From here to the push nothing waits: a dropped call leaves no message half-changed.
        let begun = self.shared.state().index.begin(id, change, now)?;
        let standing = match begun {
            Outcome::Nothing => return Ok(None),
            Outcome::Gone => None,
            Outcome::Stands(standing) => Some(standing),
        };
        let kind = match change {
            Change::Delete => Kind::Delete,
            Change::Hold => Kind::Hold,
            Change::Release => Kind::Release,
            Change::Retry => Kind::Retry,
            Change::Route(_) | Change::RouteOfAccount => Kind::Standing,
        };
        let mut fields = Fields::behind(FRAME);
        change::write(&mut fields, id, standing.as_ref());
        let record = Record::bare(self.shared.mark, kind, fields);
        Ok(Some(self.push(
            slot,
            record,
            Effect::Change { id, standing },
        )))
    }

    async fn entries(&self, listed: Vec<Listed<Place>>) -> Result<Vec<Entry>, SpoolError> {
        let known = {
            let state = self.shared.state();
            let cached = listed.into_iter().map(|listed| {
                let cached = state.cache.get(listed.id);
                let message = cached.map(|cached| Arc::clone(&cached.message));
                (listed, message)
            });
            cached.collect::<Vec<_>>()
        };
        let shared = Arc::clone(&self.shared);
        let entries = self.shared.blocking(move || {
            let mut entries = Vec::new();
            for (listed, message) in known {
                let message = match message {
                    Some(message) => message,
                    None => match read_anywhere(&shared, listed.id, listed.place) {
                        Ok(read) => Arc::new(read.stored.message),
                        Err(ReadError::Io(error)) => return Err(error),
                        Err(ReadError::Damaged) => {
                            shared.report_damage(listed.id);
                            continue;
                        }
                    },
                };
                entries.push(entry(&listed, &message));
            }
            Ok(entries)
        });
        entries.await.map_err(SpoolError::Unavailable)
    }
}

fn entry(listed: &Listed<Place>, message: &Arc<Message>) -> Entry {
    Entry {
        id: listed.id,
        message: with_route(message, &listed.route),
        size: listed.size,
        state: listed.state,
        attempts: listed.standing.attempts(),
        due: listed.standing.due(),
        pending: listed.standing.reasons(),
    }
}
