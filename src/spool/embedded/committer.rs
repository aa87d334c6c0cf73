//! The one writer of the log. It takes whatever waits, writes it at once, syncs once, and only then lets anybody know.
//!
//! All it does is in [`Committer::step`], which the thread calls in a loop and the crash tests call by hand.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::mail::QueueId;

use super::cache::{Cache, Cached};
use super::damage::{self, Kept, Region};
use super::fields::Fields;
use super::gauge::Told;
use super::ledger::{Ledger, Position};
use super::lock::Lock;
use super::log::{AppendError, Log};
use super::message::{ID, Summary};
use super::queue::{Chore, CopyOf, Effect, Fault, Newcomer, Request, Work};
use super::read::body_path;
use super::record::{FRAME, Kind, Record};
use super::rewrite::Rewrite;
use super::segments::{Place, Segments};
use super::shared::{Shared, State};

/// How often the committer looks at the free space, and again at what it could not do.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) log: Log,
    pub(super) segments: Segments,
    /// Settlements that could not be written yet.
    owed: Vec<Request>,
    /// Files of messages that were not accepted though something of their records was written. These may be behind the end of an abandoned segment, so they
    /// go only when the next segment has said where that end is.
    condemned: Vec<String>,
    pub(super) rewrite: Option<Rewrite>,
    /// Whether a rewrite may begin: not after a failure, until the next look.
    pub(super) may_rewrite: bool,
    next_look: Option<Instant>,
    told: Told,
    /// Held as long as the committer may write.
    _lock: Option<Lock>,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Log,
        segments: Segments,
        lock: Option<Lock>,
    ) -> Self {
        Self {
            shared,
            log,
            segments,
            owed: Vec::new(),
            condemned: Vec::new(),
            rewrite: None,
            may_rewrite: true,
            next_look: None,
            told: Told::default(),
            _lock: lock,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            let patience = if self.has_more_to_do() {
                Duration::ZERO
            } else {
                LOOK
            };
            let Some(work) = self.shared.queue.take(patience) else {
                break;
            };
            self.step(work);
        }
        self.close();
    }

    fn has_more_to_do(&self) -> bool {
        self.rewrite.is_some() || self.segments.has_changed()
    }

    /// Does one round of work.
    pub(super) fn step(&mut self, work: Work) {
        self.commit(work.requests);
        for chore in work.chores {
            match chore {
                Chore::Remove(path) => self.remove_file(&path),
                Chore::SetAside(id) => self.set_aside(id),
            }
        }
        self.look();
        self.tidy();
    }

    /// Writes what is owed, and that the end is an orderly one.
    pub(super) fn close(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.commit(owed);
        if let Err(error) = self.log.close() {
            tracing::warn!(%error, "log not closed in order");
        }
    }

    /// Makes records durable and lets those know who wait for them.
    pub(super) fn commit(&mut self, mut requests: Vec<Request>) {
        while !requests.is_empty() {
            let lengths = requests.iter().map(|request| request.record.length());
            let later = requests.split_off(self.log.room_for(lengths).min(requests.len()));
            self.commit_at_once(requests);
            requests = later;
        }
    }

    fn commit_at_once(&mut self, requests: Vec<Request>) {
        let records: Vec<&Record> = requests.iter().map(|request| &request.record).collect();
        match self.log.append(&records, &mut self.segments) {
            Ok(positions) => {
                self.apply(requests, &positions);
                for path in std::mem::take(&mut self.condemned) {
                    self.remove_file(&path);
                }
            }
            Err(error) => self.refuse(requests, &error),
        }
    }

    fn apply(&mut self, requests: Vec<Request>, positions: &[Position]) {
        let now = self.shared.clock.now();
        let mut replies = Vec::with_capacity(requests.len());
        let mut left = Left::default();
        let mut state = self.shared.state();
        let State { index, cache } = &mut *state;
        let mut ledger = Ledger {
            index,
            segments: &mut self.segments,
            now,
        };
        for (request, position) in requests.into_iter().zip(positions) {
            replies.extend(request.reply);
            match request.effect {
                Effect::Arrive(newcomer) => arrive(&mut ledger, cache, newcomer, (position, 0)),
                Effect::ArriveTogether(newcomers) => {
                    for (part, newcomer) in (1..).zip(newcomers) {
                        arrive(&mut ledger, cache, newcomer, (position, part));
                    }
                }
                Effect::Change { id, standing } => {
                    left.cached.extend(cache.remove(id));
                    left.note(id, ledger.stand(id, standing, *position));
                }
                Effect::Copy(id, CopyOf::Message { has_file }) => {
                    ledger.relocate(id, position.place(0, has_file));
                }
                Effect::Copy(id, CopyOf::Standing) => ledger.restate(id, *position),
                Effect::Gone(of, ids) => {
                    for id in ids {
                        ledger.segments.repeat(position.segment, of, id);
                    }
                }
                Effect::Settle {
                    id,
                    standing,
                    reports,
                } => {
                    left.cached.extend(cache.remove(id));
                    left.note(id, ledger.stand(id, standing, *position));
                    for (part, report) in (1..).zip(reports) {
                        let (id, has_file) = (report.summary.id, report.summary.has_file);
                        ledger.arrive(report.summary, position.place(part, has_file));
                        cache.put(id, report.cached);
                    }
                }
            }
        }
        self.shared.gauge.set(&state.index, &self.shared.settings);
        drop(state);
        // Before the replies, so that who has its reply knows that the dispatcher has been woken.
        self.shared.changed.notify_one();
        for reply in replies {
            // Nobody may be there any more to hear it.
            let _ = reply.send(Ok(()));
        }
        for path in left.files {
            self.remove_file(&path);
        }
    }

    fn refuse(&mut self, requests: Vec<Request>, error: &AppendError) {
        let fault = Fault::from(&error.error);
        let now = self.shared.clock.now();
        for mut request in requests {
            let reply = request.reply.take();
            match &request.effect {
                Effect::Arrive(newcomer) => self.turn_away(&newcomer.summary, error),
                Effect::ArriveTogether(newcomers) => {
                    for newcomer in newcomers {
                        self.turn_away(&newcomer.summary, error);
                    }
                }
                Effect::Change { id, .. } => self.shared.state().index.undo(*id, now),
                Effect::Copy(..) | Effect::Gone(..) => {
                    self.rewrite = None;
                    self.may_rewrite = false;
                }
                Effect::Settle { .. } => {
                    self.owed.push(request);
                    // Before the reply, since the next claim follows it.
                    self.note_owed();
                }
            }
            if let Some(reply) = reply {
                let _ = reply.send(Err(fault));
            }
        }
        self.shared.changed.notify_one();
    }

    /// Removes the file of a message that was not accepted, now or when it is certain that no record names it.
    fn turn_away(&mut self, newcomer: &Summary, error: &AppendError) {
        let path = body_path(newcomer.id);
        if newcomer.has_file && error.may_be_there {
            self.condemned.push(path);
        } else if newcomer.has_file {
            self.remove_file(&path);
        }
    }

    /// Lets claims know whether something is owed: nothing more is sent while what becomes of it cannot be recorded.
    fn note_owed(&self) {
        let gauge = &self.shared.gauge;
        let before = gauge.owed.swap(self.owed.len(), Ordering::Relaxed);
        if before > 0 && self.owed.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    /// Looks at the free space, and tries again what could not be done, once a second.
    fn look(&mut self) {
        let now = self.shared.clock.instant();
        if self.next_look.is_some_and(|next| now < next) {
            return;
        }
        self.next_look = now.checked_add(LOOK);
        self.may_rewrite = true;
        match self.shared.disk.free_space() {
            Ok(free) => self
                .shared
                .gauge
                .set_free_space(free, &self.shared.settings),
            Err(error) => tracing::warn!(%error, "free space not known"),
        }
        self.told.tell(&self.shared.gauge, &self.shared.settings);
        let owed = std::mem::take(&mut self.owed);
        self.commit(owed);
        self.note_owed();
    }

    fn tidy(&mut self) {
        if self.segments.has_changed() {
            let dead = self.segments.dead(self.log.current());
            self.remove_segments(&dead);
            self.begin_rewrite();
        }
        self.go_on_rewriting();
    }

    /// Removes segments that nothing needs. What depends on their being gone waits until that is durable.
    pub(super) fn remove_segments(&mut self, numbers: &[u32]) {
        if numbers.is_empty() {
            return;
        }
        let disk = &self.shared.disk;
        let removed: Vec<_> = numbers
            .iter()
            .copied()
            .filter(|number| match disk.remove(&super::log::path_of(*number)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(segment = number, %error, "segment not removed");
                    false
                }
                Ok(()) | Err(_) => true,
            })
            .collect();
        let synced = disk.sync_dir(super::log::DIRECTORY);
        if let Err(error) = &synced {
            tracing::warn!(%error, "removal of segments not synced");
        }
        for number in numbers {
            if synced.is_ok() && removed.contains(number) {
                self.segments.remove(*number);
            } else {
                self.segments.give_up(*number);
            }
        }
    }

    fn remove_file(&self, path: &str) {
        match self.shared.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path, %error, "file not removed, the next start will");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Sets a damaged message aside that has been withdrawn from circulation.
    pub(super) fn set_aside(&mut self, id: QueueId) {
        let place = self.shared.state().index.place(id).copied();
        let Some(place) = place else {
            return;
        };
        let kept = damage::set_aside(&*self.shared.disk, region_of(&place), Some(id));
        if kept == Kept::Failed {
            self.segments.give_up(place.segment);
        }
        if place.has_file {
            damage::set_body_aside(&*self.shared.disk, id);
        }
        self.shared.gauge.count_damage();
        let mut fields = Fields::behind(FRAME);
        fields.number(ID, id.number());
        let record = Record::bare(self.shared.mark, Kind::SetAside, fields);
        self.commit(record.map_or_else(Vec::new, |record| {
            vec![Request {
                record,
                effect: Effect::Settle {
                    id,
                    standing: None,
                    reports: Vec::new(),
                },
                reply: None,
            }]
        }));
    }
}

impl Drop for Committer {
    /// Whoever still waits hears that the spool is closed, even where a panic ended the committer.
    fn drop(&mut self) {
        self.shared.queue.abandon();
    }
}

/// A message is there that nobody has seen before.
fn arrive(
    ledger: &mut Ledger<'_>,
    cache: &mut Cache,
    newcomer: Newcomer,
    (position, part): (&Position, u16),
) {
    let is_due = newcomer.summary.standing.due() <= ledger.now;
    let (id, has_file) = (newcomer.summary.id, newcomer.summary.has_file);
    ledger.arrive(newcomer.summary, position.place(part, has_file));
    if is_due {
        cache.put(id, newcomer.cached);
    }
}

fn region_of(place: &Place) -> Region {
    Region {
        segment: place.segment,
        from: u64::from(place.offset),
        to: u64::from(place.offset) + u64::from(place.length),
    }
}

/// What messages leave behind that are done.
#[derive(Default)]
struct Left {
    files: Vec<String>,
    /// Dropped without the lock.
    cached: Vec<Cached>,
}

impl Left {
    fn note(&mut self, id: QueueId, place: Option<Place>) {
        if place.is_some_and(|place| place.has_file) {
            self.files.push(body_path(id));
        }
    }
}
