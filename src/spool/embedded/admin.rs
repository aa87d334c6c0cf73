//! The operators' verbs on the embedded engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;

use crate::identity::{AccountName, Route};
use crate::mail::QueueId;
use crate::spool::index::{Listed, Moment, Outcome, Verb};
use crate::spool::{Entry, Message, SpoolAdmin, SpoolError, Stats, VerbError, with_route};

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
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<Entry>, SpoolError> {
        let listed = self.shared.state().index.list(after, limit);
        self.entries(listed).await
    }

    async fn show(&self, id: QueueId) -> Result<Option<Entry>, SpoolError> {
        let listed = self.shared.state().index.show(id);
        let mut entries = self.entries(listed.into_iter().collect()).await?;
        Ok(entries.pop())
    }

    async fn retry(&self, id: QueueId) -> Result<(), VerbError> {
        self.change(id, Verb::Retry).await
    }

    async fn hold(&self, id: QueueId) -> Result<(), VerbError> {
        self.change(id, Verb::Hold).await
    }

    async fn release(&self, id: QueueId) -> Result<(), VerbError> {
        self.change(id, Verb::Release).await
    }

    async fn delete(&self, id: QueueId) -> Result<(), VerbError> {
        self.change(id, Verb::Delete).await
    }

    async fn reroute(
        &self,
        route_of: &(dyn for<'a> Fn(&'a AccountName) -> Option<Route> + Send + Sync),
    ) {
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
        }
        self.shared.changed.notify_one();
    }

    async fn stats(&self) -> Stats {
        Stats {
            damaged: self.shared.gauge.damaged.load(Ordering::Relaxed),
            ..self.shared.state().index.stats()
        }
    }
}

impl EmbeddedSpool {
    async fn change(&self, id: QueueId, verb: Verb) -> Result<(), VerbError> {
        let slot = self.shared.queue.slot().await.map_err(VerbError::Spool)?;
        let now = Moment::of(&*self.shared.clock);
        // From here to the push nothing waits: a dropped call leaves no message half-changed.
        let begun = self.shared.state().index.begin_change(id, verb, now)?;
        let standing = match begun {
            Outcome::Nothing => return Ok(()),
            Outcome::Gone => None,
            Outcome::Stands(standing) => Some(standing),
        };
        let kind = match verb {
            Verb::Delete => Kind::Delete,
            Verb::Hold => Kind::Hold,
            Verb::Release => Kind::Release,
            Verb::Retry => Kind::Retry,
        };
        let mut fields = Fields::behind(FRAME);
        change::write(&mut fields, id, standing.as_ref());
        let record = Record::bare(self.shared.mark, kind, fields);
        let done = self.push(slot, record, Effect::Change { id, standing });
        done.await.map_err(VerbError::Spool)
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
