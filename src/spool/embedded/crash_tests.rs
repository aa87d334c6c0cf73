//! Random histories on the simulated disk, with a crash at every operation.
//!
//! The memory engine goes through the same history beside it and says what must be there: after the crash either the
//! state before the operation that was under way or the one after it, whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::mail::Priority;
use crate::spool::conformance::{
    Engine, START, failure, full_message, message_to, next_of, relayed, settlement,
};
use crate::spool::index::Verb;
use crate::spool::memory::MemorySpool;
use crate::spool::{Claim, Fate, Message, Report, Settlement, SpoolAdmin, SpoolError, VerbError};

use super::rig::{Rig, Seen, Snapshot, drive, snapshot};
use super::simulated::{Chance, SimulatedDisk, Trouble};

fn claim_of(routes: &[crate::identity::Route], now: Timestamp) -> Claim<'_> {
    next_of(routes, 1, now, now.after(Duration::from_mins(1)))
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Message, Bytes)>),
    /// As one transaction whose recipients have different routes.
    CommitTogether(Vec<(Message, Bytes)>),
    Drop(Bytes),
    /// Claim one message and settle it; the numbers choose what becomes of it.
    Settle {
        fates: u64,
        counts: bool,
        reports: Vec<Bytes>,
    },
    GiveBack,
    Change(Verb, usize),
    Wait(u64),
}

fn step(chance: &mut Chance) -> Step {
    match chance.below(22) {
        0..=6 | 20 | 21 => {
            let (count, is_one) = (1 + chance.below(3), chance.below(3) == 0);
            let messages = (0..count)
                .map(|_| (any_message(chance), octets(chance)))
                .collect();
            if is_one {
                Step::CommitTogether(messages)
            } else {
                Step::Commit(messages)
            }
        }
        7 => Step::Drop(octets(chance)),
        8..=13 => {
            let count = chance.below(3).saturating_sub(chance.below(2));
            Step::Settle {
                fates: chance.below(u64::MAX),
                counts: chance.coin(),
                reports: (0..count).map(|_| octets(chance)).collect(),
            }
        }
        14 => Step::GiveBack,
        15 => Step::Change(Verb::Hold, any_number(chance)),
        16 => Step::Change(Verb::Release, any_number(chance)),
        17 => Step::Change(Verb::Retry, any_number(chance)),
        18 => Step::Change(Verb::Delete, any_number(chance)),
        _ => Step::Wait(chance.below(90)),
    }
}

fn any_number(chance: &mut Chance) -> usize {
    usize::try_from(chance.below(1000)).unwrap()
}

fn any_message(chance: &mut Chance) -> Message {
    let mut message = match chance.below(3) {
        0 => full_message(),
        1 => message_to(&["a@a.example"]),
        _ => message_to(&["a@a.example", "b@b.example", "c@c.example"]),
    };
    message.route = message_to(&[]).route;
    message.priority = Priority::ALL[any_number(chance) % 5];
    message
}

fn octets(chance: &mut Chance) -> Bytes {
    let length = match chance.below(40) {
        0 => 300_000,
        1 => 0,
        _ => chance.below(2500),
    };
    let first = chance.below(256);
    (first..first + length)
        .map(|n| n.to_le_bytes()[0])
        .collect()
}

fn fate(number: u64, now: Timestamp) -> Option<Fate> {
    match number % 5 {
        0 | 1 => Some(relayed()),
        2 => Some(Fate::Retry {
            due: now.after(Duration::from_secs(number % 100)),
            reason: failure("later"),
        }),
        3 => Some(Fate::Bounce(failure("never"))),
        _ => None,
    }
}

/// Takes a step on any engine. `Ok` where it was recorded or there was nothing to record.
async fn take(spool: &dyn Engine, step: &Step, now: Timestamp) -> Result<(), SpoolError> {
    match step {
        Step::Commit(messages) => commit_all(spool, messages).await,
        Step::CommitTogether(messages) => commit_together(spool, messages).await,
        Step::Drop(octets) => {
            let mut draft = spool.draft().await?;
            draft.write(octets.clone()).await
        }
        Step::Settle {
            fates,
            counts,
            reports,
        } => settle_one(spool, now, (*fates, *counts, reports)).await,
        Step::GiveBack => {
            let routes = [message_to(&[]).route];
            if let Some(lease) = spool.claim(claim_of(&routes, now)).await?.pop() {
                spool.give_back(lease).await;
            }
            Ok(())
        }
        Step::Change(verb, number) => change(spool, *verb, *number).await,
        Step::Wait(_) => Ok(()),
    }
}

/// Commits all at once, so that they are of one batch.
async fn commit_all(spool: &dyn Engine, messages: &[(Message, Bytes)]) -> Result<(), SpoolError> {
    let mut commits = Vec::new();
    for (message, octets) in messages {
        let mut draft = spool.draft().await?;
        draft.write(octets.clone()).await?;
        commits.push(Some(spool.commit(draft, message.clone())));
    }
    let mut outcome = Ok(());
    std::future::poll_fn(|context| {
        for place in &mut commits {
            let done = place.as_mut().map(|commit| commit.as_mut().poll(context));
            if let Some(Poll::Ready(done)) = done {
                outcome = std::mem::replace(&mut outcome, Ok(())).and(done.map(drop));
                *place = None;
            }
        }
        if commits.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outcome
}

async fn commit_together(
    spool: &dyn Engine,
    messages: &[(Message, Bytes)],
) -> Result<(), SpoolError> {
    let mut together = Vec::new();
    for (message, octets) in messages {
        let mut draft = spool.draft().await?;
        draft.write(octets.clone()).await?;
        together.push((draft, message.clone()));
    }
    spool.commit_all(together).await.map(drop)
}

async fn settle_one(
    spool: &dyn Engine,
    now: Timestamp,
    (fates, counts, reports): (u64, bool, &[Bytes]),
) -> Result<(), SpoolError> {
    let routes = [message_to(&[]).route];
    let Some(lease) = spool.claim(claim_of(&routes, now)).await?.pop() else {
        return Ok(());
    };
    let fates: Vec<_> = lease
        .pending
        .iter()
        .filter_map(|index| {
            let fate = fate(fates.rotate_left(u32::from(index.0) * 7), now)?;
            Some((index.0, fate))
        })
        .collect();
    let reports = reports.iter().map(|octets| Report {
        message: message_to(&["s@example.com"]),
        octets: octets.clone(),
    });
    spool
        .settle(Settlement {
            counts,
            reports: reports.collect(),
            ..settlement(lease, &fates)
        })
        .await
        .map(drop)
}

/// Changes any of the messages.
async fn change(spool: &dyn Engine, verb: Verb, number: usize) -> Result<(), SpoolError> {
    let entries = spool.list(None, usize::MAX).await?;
    let Some(entry) = entries.get(number % entries.len().max(1)) else {
        return Ok(());
    };
    let done = match verb {
        Verb::Delete => spool.delete(entry.id).await,
        Verb::Hold => spool.hold(entry.id).await,
        Verb::Release => spool.release(entry.id).await,
        Verb::Retry => spool.retry(entry.id).await,
    };
    match done {
        Ok(()) | Err(VerbError::Busy(_) | VerbError::Missing(_)) => Ok(()),
        Err(VerbError::Spool(error)) => Err(error),
    }
}

/// What the spool may hold after a crash: one or the other, and where several messages were committed at once any of
/// them.
struct Allowed {
    before: Snapshot,
    after: Snapshot,
    is_one: bool,
}

impl Allowed {
    fn check(&self, found: &Snapshot, context: &str) {
        if self.is_one {
            assert!(
                *found == self.before || *found == self.after,
                "{context}: neither before nor after\n{}",
                differences(found, &self.after)
            );
            return;
        }
        let known = self.before.keys().chain(self.after.keys());
        let ids: BTreeSet<_> = known.chain(found.keys()).collect();
        for id in ids {
            let seen = found.get(id);
            let is_allowed = seen == self.before.get(id) || seen == self.after.get(id);
            assert!(is_allowed, "{context}: {id} is {seen:?}");
        }
    }
}

fn differences(found: &Snapshot, wanted: &Snapshot) -> String {
    let short = |seen: Option<&Seen>| {
        seen.map(|seen| {
            let octets = seen.octets.len();
            let pending = seen.pending.clone();
            (octets, seen.is_held, seen.attempts, seen.due, pending)
        })
    };
    let ids: BTreeSet<_> = found.keys().chain(wanted.keys()).collect();
    let different = ids.into_iter().filter(|id| found.get(id) != wanted.get(id));
    different
        .map(|id| {
            let (found, wanted) = (short(found.get(id)), short(wanted.get(id)));
            format!("{id}: {found:?} instead of {wanted:?}")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Goes through a history, crashes where it is told to, and checks what is left. Returns how many operations the disk
/// has done.
async fn trial(seed: u64, crash_at: Option<u64>, steps: &[Step]) -> u64 {
    let context = format!("seed {seed}, crash at {crash_at:?}");
    let disk = SimulatedDisk::new(seed);
    let clock = Arc::new(ManualClock::new(START));
    if let Some(operation) = crash_at {
        disk.plan(operation, Trouble::Crash);
    }
    let engine_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let reference = MemorySpool::new(engine_clock);
    let mut allowed = None;
    if let Ok(mut rig) = Rig::open(&disk, &clock) {
        for step in steps {
            if let Step::Wait(seconds) = step {
                clock.advance(Duration::from_secs(*seconds));
            }
            let now = clock.now();
            let done = drive(&mut rig.committer, take(&rig.spool, step, now)).await;
            rig.work();
            if !disk.is_crashed() {
                done.unwrap();
                take(&reference, step, now).await.unwrap();
                continue;
            }
            let before = snapshot(&reference).await;
            take(&reference, step, now).await.unwrap();
            let after = snapshot(&reference).await;
            allowed = Some(Allowed {
                before: if done.is_ok() { after.clone() } else { before },
                after,
                is_one: !matches!(step, Step::Commit(_)),
            });
            break;
        }
    }
    let operations = disk.operations();
    let expected = snapshot(&reference).await;
    let allowed = allowed.unwrap_or_else(|| Allowed {
        before: expected.clone(),
        after: expected,
        is_one: true,
    });
    check_recovery(&disk, &clock, &allowed, &context).await;
    operations
}

/// Starts again, with a crash on the way, and checks what is there; then goes on and checks once more.
async fn check_recovery(
    disk: &SimulatedDisk,
    clock: &Arc<ManualClock>,
    allowed: &Allowed,
    context: &str,
) {
    disk.restart();
    disk.plan(disk.operations() + disk.operations() % 11, Trouble::Crash);
    drop(Rig::open(disk, clock));
    disk.restart();
    let mut rig = Rig::open(disk, clock).unwrap();
    assert_eq!(rig.spool.stats().await.damaged, 0, "{context}");
    let found = snapshot(&rig.spool).await;
    allowed.check(&found, context);
    for octets in [10, 5000] {
        let step = Step::Commit(vec![(full_message(), Bytes::from(vec![7; octets]))]);
        let now = clock.now();
        drive(&mut rig.committer, take(&rig.spool, &step, now))
            .await
            .unwrap();
    }
    rig.work();
    let mut wanted = snapshot(&rig.spool).await;
    assert_eq!(wanted.len(), found.len() + 2, "{context}");
    drop(rig);
    disk.restart();
    let rig = Rig::open(disk, clock).unwrap();
    assert_eq!(
        rig.spool.stats().await.damaged,
        0,
        "{context}, second start"
    );
    let again = snapshot(&rig.spool).await;
    let differences = differences(&again, &wanted);
    assert!(
        differences.is_empty(),
        "{context}, second start: {differences}"
    );
    wanted.retain(|id, _| found.contains_key(id));
    assert!(wanted == found, "{context}: changed by what came later");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

/// Tries every crash point of some histories.
fn try_all(histories: impl Iterator<Item = (u64, Vec<Step>)>) {
    let runtime = runtime();
    for (seed, steps) in histories {
        let operations = runtime.block_on(trial(seed, None, &steps));
        for operation in 0..operations {
            runtime.block_on(trial(seed, Some(operation), &steps));
        }
    }
}

#[test]
fn no_crash_loses_what_was_acknowledged_or_shows_half_of_what_was_not() {
    try_all((0..8).map(|seed| {
        let mut chance = Chance::new(seed);
        (seed, (0..30).map(|_| step(&mut chance)).collect())
    }));
}

/// A few messages stay while many pass: segments are removed and rewritten all the time.
fn traffic(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = Vec::new();
    for round in 0..14 {
        let message = message_to(&["a@a.example"]);
        let length = usize::try_from(chance.below(1500)).unwrap();
        let bulk = (message, Bytes::from(vec![b'b'; length + 1000]));
        let bulk = vec![bulk.clone(), bulk];
        steps.push(if round % 3 == 2 {
            Step::CommitTogether(bulk)
        } else {
            Step::Commit(bulk)
        });
        if round < 4 {
            steps.push(Step::Change(Verb::Hold, round));
        }
        steps.push(Step::Settle {
            fates: if chance.below(4) == 0 { 2 } else { 0 },
            counts: true,
            reports: Vec::new(),
        });
        steps.push(Step::Settle {
            fates: 0,
            counts: true,
            reports: Vec::new(),
        });
        steps.push(Step::Wait(1));
    }
    steps
}

#[test]
fn no_crash_while_segments_are_rewritten_loses_or_revives_anything() {
    try_all((100..106).map(|seed| (seed, traffic(seed))));
}
