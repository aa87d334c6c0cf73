//! Which alerts there have been, and when whom to tell what. Pure: it takes the time and gives values.
//!
//! Of one kind about one account (or upstream, tenant, or the server) people are told at most once an hour; what happens
//! meanwhile is counted and told with the next time, which comes by itself. Whatever is told at the same time is told
//! together. So under a flood there are at most some 60 rounds in an hour, and at most [`MAX_STORED`] alerts and
//! [`MAX_ERRANDS`] errands are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::raised::{Alert, Kind};
use super::settings::{Delivery, Settings};
use super::stored::{Errand, Item, Key, Line, Stored, Target};
use crate::clock::Timestamp;

/// How many alerts are stored.
pub const MAX_STORED: usize = 10_000;

/// How many errands there may be at once.
pub const MAX_ERRANDS: usize = 1000;

/// How many items an errand tells of; more are counted.
const MAX_ITEMS: usize = 100;

/// How long alerts of one kind about the same are one.
const FOLD: Duration = Duration::from_hours(1);

/// The pause after a round is as many times this as there were rounds in the last hour.
const PAUSE: Duration = Duration::from_secs(2);

/// How long rounds count.
const HOUR: Duration = Duration::from_hours(1);

/// The pauses between the tries of an errand: 8 tries in about seven hours.
const RETRIES: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(4),
];

/// What came of a try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// It has been told.
    Done,
    /// It has not; another try may help.
    Failed,
    /// There is nobody any more to tell.
    Gone,
}

/// What follows from a try that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It is tried again.
    Again(Timestamp),
    /// Nothing is left to be done.
    Ended,
    /// It has been tried too often.
    GivenUp,
}

/// What a round has made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Round {
    /// Errands that were made.
    pub made: usize,
    /// Errands that were dropped since there are too many.
    pub dropped: usize,
}

/// What is known of alerts.
#[derive(Debug, Default)]
pub struct Ledger {
    stored: BTreeMap<u64, Stored>,
    errands: BTreeMap<u64, Errand>,
    /// Errands that are being run.
    running: BTreeSet<u64>,
    next_id: u64,
    /// The last alert of each.
    newest: HashMap<Key, u64>,
    told_at: HashMap<Key, Timestamp>,
    /// Alerts with something to tell.
    untold: BTreeSet<u64>,
    rounds: VecDeque<Timestamp>,
    late_until: Timestamp,
    /// What is to be written: alerts that have changed, and lines of other things.
    changed: BTreeSet<u64>,
    lines: Vec<Line>,
}

impl Ledger {
    /// Takes over what was stored.
    pub fn restore(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut ledger = Self::default();
        for line in lines {
            match line {
                Line::Alert(stored) => ledger.put(stored),
                Line::Done(id) => {
                    ledger.next_id = ledger.next_id.max(id.saturating_add(1));
                    ledger.errands.remove(&id);
                }
                Line::Errand(errand) => {
                    ledger.next_id = ledger.next_id.max(errand.id.saturating_add(1));
                    ledger.errands.insert(errand.id, errand);
                }
                Line::LateUntil(time) => ledger.late_until = time,
            }
        }
        ledger.changed.clear();
        ledger
    }

    /// Notes that something has happened. Where nobody is told of it by these settings it is only stored.
    pub fn note(&mut self, alert: Alert, settings: &Settings, now: Timestamp) {
        let fresh = Stored::new(self.next_id, alert, now);
        let key = fresh.key();
        let newest = self
            .newest
            .get(&key)
            .and_then(|id| self.stored.get(id))
            .filter(|newest| newest.first <= now && now < newest.first.after(FOLD));
        let is_owed = !settings.targets(&fresh).is_empty();
        let mut noted = if let Some(newest) = newest {
            Stored {
                count: newest.count.saturating_add(1),
                last: now,
                text: fresh.text,
                tenant: newest.tenant.clone().or(fresh.tenant),
                upstream: newest.upstream.clone().or(fresh.upstream),
                untold_since: newest.untold_since.or(Some(now)),
                ..newest.clone()
            }
        } else {
            fresh
        };
        if !is_owed {
            noted.settle();
        }
        self.put(noted);
        self.trim(settings, now);
    }

    /// Puts an alert in its place.
    fn put(&mut self, stored: Stored) {
        let (id, key) = (stored.id, stored.key());
        self.next_id = self.next_id.max(id.saturating_add(1));
        if let Some(at) = stored.told_at {
            let told = self.told_at.entry(key.clone()).or_insert(at);
            *told = (*told).max(at);
        }
        let newest = self.newest.entry(key).or_insert(id);
        *newest = (*newest).max(id);
        if stored.untold() > 0 {
            self.untold.insert(id);
        } else {
            self.untold.remove(&id);
        }
        self.changed.insert(id);
        self.stored.insert(id, stored);
    }

    /// Forgets what is too old, and the oldest where there are too many.
    fn trim(&mut self, settings: &Settings, now: Timestamp) {
        let oldest = now.before(settings.keep);
        while let Some(first) = self.stored.first_entry() {
            let is_old = first.get().last < oldest;
            if !is_old && self.stored.len() <= MAX_STORED {
                break;
            }
            let Some((id, gone)) = self.stored.pop_first() else {
                break;
            };
            self.untold.remove(&id);
            self.changed.remove(&id);
            let key = gone.key();
            if self.newest.get(&key) == Some(&id) {
                self.newest.remove(&key);
                self.told_at.remove(&key);
            }
        }
    }

    /// Returns when the next round is due, if anything is untold.
    pub fn next_round(&self, settings: &Settings, now: Timestamp) -> Option<Timestamp> {
        let times = self.untold.iter().filter_map(|id| self.stored.get(id));
        let first = times.map(|stored| self.due(stored, settings, now)).min()?;
        let recent = self.rounds.iter().filter(|at| is_recent(**at, now)).count();
        let recent = u32::try_from(recent).unwrap_or(u32::MAX);
        let pause = PAUSE.saturating_mul(recent);
        let last = self.rounds.back().filter(|at| is_recent(**at, now));
        let open = last.map_or(first, |last| last.after(pause));
        Some(first.max(open))
    }

    /// Returns when people may be told of an alert.
    fn due(&self, stored: &Stored, settings: &Settings, now: Timestamp) -> Timestamp {
        let since = stored.untold_since.unwrap_or(stored.first).min(now);
        let gathered = match settings.delivery {
            Delivery::Digest { every } if stored.kind != Kind::Test => since.after(every),
            Delivery::AtOnce | Delivery::Digest { .. } => since,
        };
        gathered.max(self.rested(stored, now).unwrap_or_default())
    }

    /// Returns until when people are not told of the same again, where they have been told lately.
    fn rested(&self, stored: &Stored, now: Timestamp) -> Option<Timestamp> {
        let told = self.told_at.get(&stored.key())?;
        // The clock may have been set back.
        (*told <= now).then(|| told.after(stored.kind.rest()))
    }

    /// Makes errands of what is due, if a round is.
    pub fn round(&mut self, settings: &Settings, now: Timestamp) -> Round {
        if self.next_round(settings, now).is_none_or(|due| due > now) {
            return Round::default();
        }
        let mut told: BTreeMap<Target, Vec<Item>> = BTreeMap::new();
        for (key, ids) in self.due_now(settings, now) {
            let Some((item, targets)) = self.tell(&ids, settings, now) else {
                continue;
            };
            if targets.is_empty() {
                continue;
            }
            self.told_at.insert(key, now);
            for target in targets {
                told.entry(target).or_default().push(item.clone());
            }
        }
        let made = told.len();
        for (target, items) in told {
            self.send(target, items, now);
        }
        self.rounds.retain(|at| is_recent(*at, now));
        self.rounds.push_back(now);
        Round {
            made,
            dropped: self.drop_errands(),
        }
    }

    /// Returns the alerts to tell of, those of one kind about the same together.
    fn due_now(&self, settings: &Settings, now: Timestamp) -> Vec<(Key, Vec<u64>)> {
        let all = self.untold.iter().filter_map(|id| self.stored.get(id));
        let all: Vec<_> = all.collect();
        let is_due = |stored: &&Stored| self.due(stored, settings, now) <= now;
        // A digest takes along what has just come; a test does not take the digest along.
        let mut due = all.iter().copied().filter(is_due);
        let takes_all = due.any(|stored| stored.kind != Kind::Test);
        let may = |stored: &&Stored| self.rested(stored, now).is_none_or(|until| until <= now);
        let mut groups: Vec<(Key, Vec<u64>)> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for stored in all {
            if !may(&stored) || !(takes_all || is_due(&stored)) {
                continue;
            }
            let key = stored.key();
            let place = *places.entry(key.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, ids)) => ids.push(stored.id),
                None => groups.push((key, vec![stored.id])),
            }
        }
        groups
    }

    /// Makes one item of these alerts and notes that they are told; returns with whom.
    fn tell(
        &mut self,
        ids: &[u64],
        settings: &Settings,
        now: Timestamp,
    ) -> Option<(Item, BTreeSet<Target>)> {
        let last = self.stored.get(ids.last()?)?.clone();
        let targets = settings.targets(&last);
        let mut item = Item {
            id: last.id,
            kind: last.kind,
            account: last.account,
            tenant: last.tenant,
            upstream: last.upstream,
            text: last.text,
            first: last.last,
            last: last.last,
            count: 0,
        };
        for id in ids {
            let Some(stored) = self.stored.get_mut(id) else {
                continue;
            };
            item.count += stored.untold();
            item.first = item.first.min(stored.untold_since.unwrap_or(stored.first));
            stored.settle();
            if !targets.is_empty() {
                stored.told_at = Some(now);
            }
            self.changed.insert(*id);
            self.untold.remove(id);
        }
        Some((item, targets))
    }

    fn send(&mut self, target: Target, mut items: Vec<Item>, now: Timestamp) {
        let left_out = items.len().saturating_sub(MAX_ITEMS);
        items.truncate(MAX_ITEMS);
        let errand = Errand {
            id: self.next_id,
            target,
            made: now,
            items,
            left_out: left_out as u64,
            tries: 0,
            next: now,
        };
        self.next_id += 1;
        self.lines.push(Line::Errand(errand.clone()));
        self.errands.insert(errand.id, errand);
    }

    /// Drops the oldest errands where there are too many; returns how many.
    fn drop_errands(&mut self) -> usize {
        let mut dropped = 0;
        while self.errands.len() > MAX_ERRANDS {
            let idle = |id: &&u64| !self.running.contains(*id);
            let Some(id) = self.errands.keys().find(idle).copied() else {
                break;
            };
            self.errands.remove(&id);
            self.lines.push(Line::Done(id));
            dropped += 1;
        }
        dropped
    }

    /// Gives out errands to be run now, so that at most so many run at once. Each comes back with [`Ledger::tried`].
    pub fn take_errands(&mut self, at_most: usize, now: Timestamp) -> Vec<Errand> {
        let room = at_most.saturating_sub(self.running.len());
        let idle = self.errands.values();
        let is_due = |errand: &&Errand| due_at(errand, now) <= now;
        let idle = idle.filter(|errand| !self.running.contains(&errand.id));
        let idle = idle.filter(is_due);
        let taken: Vec<_> = idle.take(room).cloned().collect();
        self.running.extend(taken.iter().map(|errand| errand.id));
        taken
    }

    /// Returns when the next errand is to be run that does not run.
    pub fn next_errand(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.errands.values();
        let idle = idle.filter(|errand| !self.running.contains(&errand.id));
        idle.map(|errand| due_at(errand, now)).min()
    }

    /// Notes what came of an errand.
    pub fn tried(&mut self, id: u64, tried: Tried, now: Timestamp) -> Fate {
        self.running.remove(&id);
        let Some(errand) = self.errands.get_mut(&id) else {
            return Fate::Ended;
        };
        errand.tries = errand.tries.saturating_add(1);
        let before = usize::try_from(errand.tries - 1).unwrap_or(usize::MAX);
        let fate = match (tried, RETRIES.get(before)) {
            (Tried::Done | Tried::Gone, _) => Fate::Ended,
            (Tried::Failed, Some(pause)) => Fate::Again(now.after(*pause)),
            (Tried::Failed, None) => Fate::GivenUp,
        };
        match fate {
            Fate::Again(next) => {
                errand.next = next;
                self.lines.push(Line::Errand(errand.clone()));
            }
            Fate::Ended | Fate::GivenUp => {
                self.errands.remove(&id);
                self.lines.push(Line::Done(id));
            }
        }
        fate
    }

    /// Returns up to when messages have been looked at that began to wait then.
    pub const fn late_until(&self) -> Timestamp {
        self.late_until
    }

    /// Notes that messages have been looked at that began to wait up to this time.
    pub fn note_late_until(&mut self, time: Timestamp) {
        self.late_until = time;
        self.lines.push(Line::LateUntil(time));
    }

    /// Returns the stored alerts, the oldest first.
    pub fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.stored.values()
    }

    /// Returns how many errands there are.
    pub fn errands(&self) -> usize {
        self.errands.len()
    }

    /// Returns what is new since the last call, to be added to the file.
    pub fn take_changes(&mut self) -> Vec<Line> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let changed = changed.filter_map(|id| self.stored.get(&id).cloned());
        let mut lines: Vec<_> = changed.map(Line::Alert).collect();
        lines.append(&mut self.lines);
        lines
    }

    /// Returns all there is, in the place of everything in the file.
    pub fn whole(&self) -> Vec<Line> {
        let stored = self.stored.values().cloned().map(Line::Alert);
        let errands = self.errands.values().cloned().map(Line::Errand);
        let late = [Line::LateUntil(self.late_until)];
        late.into_iter().chain(stored).chain(errands).collect()
    }
}

/// Returns when an errand is to be run: at once, where the clock has been set back since that was decided.
fn due_at(errand: &Errand, now: Timestamp) -> Timestamp {
    let longest = RETRIES.last().copied().unwrap_or_default();
    if errand.next > now.after(longest) {
        now
    } else {
        errand.next
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    // The clock may have been set back.
    at <= now && now < at.after(HOUR)
}

#[cfg(test)]
mod tests;
