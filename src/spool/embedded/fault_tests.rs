//! What the engine does when the disk fails, fills up, or gives back something else than was written.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::mail::{Priority, QueueId};
use crate::spool::conformance::{message_to, next_of, relayed, settlement};
use crate::spool::{Pressure, Report, Settlement, Spool, SpoolAdmin, SpoolError, VerbError};

use super::queue::{Effect, REQUESTS};
use super::rig::{Bench, LARGE, Rig, SYNC, Snapshot, WRITE, drive, snapshot};
use super::simulated::{Chance, Trouble};

#[tokio::test]
async fn a_failed_sync_is_an_error_and_the_message_is_not_there() {
    for seed in 0..32 {
        let mut bench = Bench::with_chance(seed);
        let kept = bench.commit(b"kept").await;
        bench.next_fails(SYNC, Trouble::Broken);
        let refused = bench.try_commit(b"refused").await;
        assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
        let next = bench.commit(b"next").await;
        assert_eq!(bench.ids().await, [kept, next]);
        bench.restart();
        assert_eq!(bench.ids().await, [kept, next], "seed {seed}");
    }
}

#[tokio::test]
async fn the_segment_of_a_failed_sync_is_never_written_again() {
    let mut bench = Bench::new();
    bench.commit(b"kept").await;
    let before = bench.rig.committer.log.current();
    bench.next_fails(SYNC, Trouble::Broken);
    bench.try_commit(b"refused").await.unwrap_err();
    let octets = bench.disk.octets("segments/00000001.log");
    bench.commit(b"next").await;
    assert_eq!(bench.disk.octets("segments/00000001.log"), octets);
    assert!(bench.rig.committer.log.current() > before);
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_passes() {
    let mut bench = Bench::new();
    let kept = bench.commit(b"kept").await;
    bench.next_fails(WRITE, Trouble::Full);
    let refused = bench.try_commit(b"refused").await;
    assert!(matches!(refused, Err(SpoolError::Full)));
    bench.disk.set_full(true);
    assert!(matches!(
        bench.try_commit(b"refused").await,
        Err(SpoolError::Full)
    ));
    bench.disk.set_full(false);
    let next = bench.commit(b"next").await;
    assert_eq!(bench.ids().await, [kept, next]);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_pressure_until_it_is_not() {
    let mut bench = Bench::new();
    bench.commit(b"kept").await;
    assert_eq!(bench.rig.spool.pressure(Priority::VeryHigh), None);
    bench.disk.set_full(true);
    bench.tick();
    assert_eq!(
        bench.rig.spool.pressure(Priority::VeryHigh),
        Some(Pressure::Disk)
    );
    assert!(matches!(
        bench.rig.spool.draft().await,
        Err(SpoolError::Full)
    ));
    bench.disk.set_full(false);
    bench.tick();
    assert_eq!(bench.rig.spool.pressure(Priority::VeryHigh), None);
}

#[tokio::test]
async fn a_settlement_that_could_not_be_written_is_written_later_and_nobody_sends_again() {
    let mut bench = Bench::new();
    bench.commit(b"once").await;
    let lease = bench.claim().await.unwrap();
    bench.disk.set_full(true);
    let owed = bench.settle(settlement(lease, &[(0, relayed())])).await;
    assert!(matches!(owed, Err(SpoolError::Full)));
    bench.clock.advance(Duration::from_hours(1));
    assert!(bench.claim().await.is_none());
    bench.disk.set_full(false);
    bench.tick();
    assert!(bench.ids().await.is_empty());
    bench.restart();
    assert!(bench.ids().await.is_empty());
}

#[tokio::test]
async fn a_claim_that_fails_leaves_nothing_leased() {
    let mut bench = Bench::new();
    bench.commit(b"kept").await;
    bench.restart();
    bench.rig.spool.shared.io.close();
    let now = bench.clock.now();
    let routes = [message_to(&[]).route];
    let claim = next_of(&routes, 1, now, now.after(Duration::from_mins(1)));
    bench.rig.spool.claim(claim).await.unwrap_err();
    assert_eq!(bench.rig.spool.stats().await.leased, 0);
}

#[tokio::test]
async fn nothing_more_is_sent_while_a_settlement_is_owed() {
    let mut bench = Bench::new();
    bench.commit(b"once").await;
    let next = bench.commit(b"next").await;
    let lease = bench.claim().await.unwrap();
    bench.disk.set_full(true);
    let settlement = settlement(lease, &[(0, relayed())]);
    bench.settle(settlement).await.unwrap_err();
    bench.rig.spool.changed().await;
    assert!(bench.claim().await.is_none());
    bench.tick();
    assert!(bench.claim().await.is_none());
    bench.rig.spool.changed().await;
    bench.disk.set_full(false);
    bench.tick();
    bench.rig.spool.changed().await;
    assert_eq!(bench.claim().await.unwrap().id, next);
}

#[tokio::test]
async fn a_settlement_with_a_large_report_is_owed_too_where_there_is_no_room() {
    let mut bench = Bench::new();
    bench.commit(b"once").await;
    let lease = bench.claim().await.unwrap();
    bench.disk.set_full(true);
    let report = Report {
        message: message_to(&["s@example.com"]),
        octets: Bytes::from_static(&LARGE),
    };
    let settlement = Settlement {
        reports: vec![report],
        ..settlement(lease, &[(0, relayed())])
    };
    bench.settle(settlement).await.unwrap_err();
    bench.clock.advance(Duration::from_hours(1));
    assert!(bench.claim().await.is_none());
    bench.disk.set_full(false);
    bench.tick();
    let seen = bench.seen().await;
    let octets = seen.values().map(|seen| &seen.octets[..]);
    assert!(octets.eq([&LARGE[..]]));
}

#[tokio::test]
async fn what_could_not_be_settled_because_the_spool_has_ended_is_not_attempted_again() {
    let mut bench = Bench::new();
    bench.commit(b"once").await;
    let lease = bench.claim().await.unwrap();
    bench.rig.spool.shared.queue.close();
    let refused = bench.settle(settlement(lease, &[(0, relayed())])).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
    bench.clock.advance(Duration::from_hours(1));
    assert!(bench.claim().await.is_none());
}

#[tokio::test]
async fn a_settlement_that_no_record_can_hold_does_not_make_its_message_due_again() {
    let mut bench = Bench::new();
    let id = bench.commit(b"once").await;
    let settlement = settlement(bench.claim().await.unwrap(), &[(0, relayed())]);
    let shared = Arc::clone(&bench.rig.spool.shared);
    let begun = shared.state().index.begin_settlement(&settlement);
    let effect = Effect::Settle {
        id,
        standing: begun.unwrap(),
        reports: Vec::new(),
    };
    let slot = shared.queue.slot().await.unwrap();
    let pushed = bench.rig.spool.push(slot, None, effect).await;
    assert!(matches!(pushed, Err(SpoolError::Unavailable(_))));
    bench.clock.advance(Duration::from_hours(1));
    assert!(bench.claim().await.is_none());
}

#[tokio::test]
async fn the_spool_has_ended_once_its_committer_is_gone_however_it_went() {
    let Rig { spool, committer } = Bench::new().rig;
    let is_over = || timeout(Duration::ZERO, spool.ended());
    assert!(is_over().await.is_err());
    drop(committer);
    assert!(is_over().await.is_ok());
}

#[tokio::test]
async fn a_hold_that_could_not_be_written_has_not_happened() {
    let mut bench = Bench::new();
    let id = bench.commit(b"x").await;
    bench.next_fails(SYNC, Trouble::Broken);
    let hold = bench.rig.spool.hold(id);
    let refused = drive(&mut bench.rig.committer, hold).await;
    assert!(matches!(refused, Err(VerbError::Spool(_))));
    assert_eq!(bench.claim().await.unwrap().id, id);
}

#[tokio::test]
async fn a_large_message_whose_record_fails_leaves_no_file_for_long() {
    let mut bench = Bench::new();
    bench.commit(b"kept").await;
    bench.disk.set_full(false);
    // Creation, five chunks, sync, rename, sync of the folder; then the record.
    bench.next_fails(9 + SYNC, Trouble::Broken);
    bench.try_commit(&LARGE).await.unwrap_err();
    let id = bench.commit(b"next").await;
    bench.tick();
    assert!(bench.ids().await.contains(&id));
    assert!(bench.bodies().is_empty(), "{:?}", bench.bodies());
}

#[tokio::test]
async fn a_large_message_whose_record_was_not_written_leaves_no_file_at_all() {
    let mut bench = Bench::new();
    bench.commit(b"kept").await;
    bench.next_fails(SYNC, Trouble::Full);
    bench.try_commit(b"refused").await.unwrap_err();
    // The next segment cannot be made.
    bench.next_fails(9, Trouble::Full);
    bench.try_commit(&LARGE).await.unwrap_err();
    assert!(bench.bodies().is_empty(), "{:?}", bench.bodies());
}

#[tokio::test]
async fn a_large_message_whose_record_fails_is_not_half_there_after_a_crash() {
    for seed in 0..32 {
        let mut bench = Bench::with_chance(seed);
        bench.commit(b"kept").await;
        bench.next_fails(9 + SYNC, Trouble::Broken);
        bench.try_commit(&LARGE).await.unwrap_err();
        bench.restart();
        assert_eq!(bench.damage_count().await, 0, "seed {seed}");
        let seen = bench.seen().await;
        assert!(
            seen.values()
                .all(|seen| [4, 300_000].contains(&seen.octets.len()))
        );
    }
}

#[tokio::test]
async fn what_a_killed_process_had_written_is_not_lost_with_the_power_once_it_was_seen() {
    for seed in 0..32 {
        let mut bench = Bench::with_chance(seed);
        bench.commit(b"kept").await;
        bench.next_fails(SYNC, Trouble::Crash);
        bench.try_commit(&[7; 1000]).await.unwrap_err();
        bench.disk.kill();
        bench.rig = Rig::open(&bench.disk, &bench.clock).unwrap();
        let seen = bench.seen().await;
        assert_eq!(seen.len(), 2);
        bench.restart();
        assert_eq!(bench.seen().await, seen, "seed {seed}");
    }
}

#[tokio::test]
async fn segments_that_come_back_after_a_crash_bring_no_message_back() {
    for seed in 0..64 {
        let mut bench = Bench::with_chance(seed);
        for length in [1500, 1500, 3000] {
            bench.commit(&vec![1; length]).await;
        }
        // The second segment says that the first message is done, and both segments go at the same time.
        bench.relay_one().await;
        let last = bench.commit(&[1; 3000]).await;
        bench.relay_one().await;
        bench.relay_one().await;
        bench.tick_with_work();
        bench.tick_with_work();
        bench.restart();
        assert_eq!(bench.ids().await, [last], "seed {seed}");
    }
}

/// What must be there and what may be.
#[derive(Default)]
struct Books {
    there: BTreeMap<QueueId, Vec<u8>>,
    unsure: Vec<Vec<u8>>,
}

impl Books {
    async fn commit(&mut self, bench: &mut Bench, octets: Vec<u8>) {
        match bench.try_commit(&octets).await {
            Ok(id) => drop(self.there.insert(id, octets)),
            Err(_) => self.unsure.push(octets),
        }
    }

    async fn relay(&mut self, bench: &mut Bench) {
        let Some(lease) = bench.claim().await else {
            return;
        };
        let octets = self.there.remove(&lease.id);
        let settled = bench.settle(settlement(lease, &[(0, relayed())])).await;
        if settled.is_err() {
            self.unsure.extend(octets);
        }
    }

    fn check(&self, spool: &Snapshot, seed: u64) {
        for (id, octets) in &self.there {
            let found = spool.get(id).map(|found| &found.octets);
            assert!(found == Some(octets), "seed {seed}: {id} is gone");
        }
        for (id, found) in spool {
            let is_known = self.there.contains_key(id) || self.unsure.contains(&found.octets);
            assert!(is_known, "seed {seed}: {id} came back");
        }
    }
}

#[tokio::test]
async fn acknowledged_work_survives_a_disk_that_fails_now_and_then() {
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let (mut bench, mut books) = (Bench::new(), Books::default());
        for round in 0..40_u8 {
            let troubles = [Trouble::Broken, Trouble::Full];
            if chance.below(4) == 0 {
                bench.next_fails(chance.below(6), troubles[usize::from(chance.coin())]);
            }
            let is_large = chance.below(30) == 0;
            let length = if is_large {
                300_000
            } else {
                chance.below(1500)
            };
            let octets = vec![round; usize::try_from(length).unwrap()];
            books.commit(&mut bench, octets).await;
            if chance.coin() {
                books.relay(&mut bench).await;
            }
            bench.clock.advance(Duration::from_secs(chance.below(2)));
        }
        books.check(&bench.seen().await, seed);
        bench.restart();
        books.check(&bench.seen().await, seed);
        assert_eq!(bench.damage_count().await, 0, "seed {seed}");
    }
}

impl Bench {
    /// Commits messages together, a small one and a large one.
    async fn try_commit_both(&mut self) -> Result<Vec<QueueId>, SpoolError> {
        let spool = &self.rig.spool;
        let commit = async {
            let mut together = Vec::new();
            for octets in [Bytes::from_static(b"small"), Bytes::from_static(&LARGE)] {
                let mut draft = spool.draft().await?;
                draft.write(octets).await?;
                together.push((draft, message_to(&["a@a.example"])));
            }
            spool.commit_all(together).await
        };
        drive(&mut self.rig.committer, commit).await
    }
}

#[tokio::test]
async fn messages_that_come_together_are_there_together_or_not_at_all() {
    for after in 0..8 {
        for trouble in [Trouble::Broken, Trouble::Full] {
            let mut bench = Bench::with_chance(after);
            let kept = bench.commit(b"kept").await;
            bench.next_fails(after, trouble);
            let committed = bench.try_commit_both().await;
            // Another one, so that the segment of a failed write is left.
            let next = bench.commit(b"next").await;
            bench.tick_with_work();
            let mut expected = vec![kept];
            expected.extend(committed.as_ref().map_or(&[][..], Vec::as_slice));
            expected.push(next);
            assert_eq!(bench.ids().await, expected, "operation {after}");
            let files = usize::from(committed.is_ok());
            assert_eq!(bench.bodies().len(), files, "operation {after}");
            bench.restart();
            assert_eq!(
                bench.ids().await,
                expected,
                "operation {after}, after a restart"
            );
        }
    }
}

#[tokio::test]
async fn one_of_those_that_came_together_leaves_and_the_other_stays() {
    let mut bench = Bench::new();
    let ids = bench.try_commit_both().await.unwrap();
    assert_eq!(bench.relay_one().await, ids[0]);
    bench.restart();
    assert_eq!(bench.ids().await, ids[1..]);
    // Its segment is rewritten: from now on it has a record of its own.
    bench.commit(b"next").await;
    bench.rig.committer.begin_to_rewrite(1);
    for _ in 0..4 {
        bench.tick_with_work();
    }
    assert!(!bench.segments().contains(&"00000001.log".to_owned()));
    let seen = bench.seen().await;
    assert!(seen[&ids[1]].octets == LARGE);
    bench.restart();
    assert!(bench.seen().await[&ids[1]].octets == LARGE);
    assert_eq!(bench.relay_one().await, ids[1]);
    assert!(bench.bodies().is_empty());
}

#[tokio::test]
async fn only_a_record_of_messages_that_came_together_is_of_the_newer_version() {
    let mut bench = Bench::new();
    bench.commit(b"alone").await;
    bench.relay_one().await;
    let versions = |bench: &Bench| {
        let segment = bench.disk.octets("segments/00000001.log");
        let magic = &segment[..12];
        let records = memchr::memmem::find_iter(&segment, magic);
        records
            .map(|at| (segment[at + 12], segment[at + 13]))
            .collect::<Vec<_>>()
    };
    assert!(versions(&bench).iter().all(|(version, _)| *version == 1));
    bench.try_commit_both().await.unwrap();
    let newer: Vec<_> = versions(&bench)
        .into_iter()
        .filter(|(version, _)| *version == 2)
        .collect();
    assert_eq!(newer, [(2, 12)]);
}

/// A committer that is not driven is a disk on which no write ends.
#[tokio::test]
async fn what_waits_for_a_disk_that_stands_still_is_bounded_and_reading_goes_on() {
    const MORE: usize = 100;
    let mut bench = Bench::new();
    let kept = bench.commit(b"kept").await;
    let now = bench.clock.now();
    let Rig { spool, committer } = &mut bench.rig;
    let submit = || async {
        let draft = spool.draft().await?;
        spool.commit(draft, message_to(&["a@a.example"])).await
    };
    let pinned = |_| Box::pin(unconstrained(submit()));
    let mut commits: Vec<_> = (0..REQUESTS + MORE).map(pinned).collect();
    let mut ids = BTreeSet::new();
    assert_eq!(
        poll_all(&mut commits, &mut ids),
        0,
        "nobody hears that it is stored"
    );

    // The queue is full, and reading and claiming need no disk.
    let body = async { spool.body(kept).await.unwrap().next().await.unwrap() };
    let body = timeout(Duration::from_secs(9), body).await.unwrap();
    assert_eq!(body.as_deref(), Some(&b"kept"[..]));
    let routes = [message_to(&[]).route];
    let claim = spool.claim(next_of(&routes, 9, now, now.after(Duration::from_mins(1))));
    let leases = timeout(Duration::from_secs(9), claim).await.unwrap();
    assert_eq!(leases.unwrap().len(), 1, "none of those that wait");

    let work = spool.shared.queue.take(Duration::ZERO).unwrap();
    assert_eq!(work.requests.len(), REQUESTS, "no more than may");
    committer.step(work);
    assert_eq!(poll_all(&mut commits, &mut ids), REQUESTS);
    let work = spool.shared.queue.take(Duration::ZERO).unwrap();
    assert_eq!(work.requests.len(), MORE);
    committer.step(work);
    assert_eq!(
        poll_all(&mut commits, &mut ids),
        REQUESTS + MORE,
        "each has an id of its own"
    );
    drop(commits);
    assert_eq!(bench.ids().await.len(), 1 + REQUESTS + MORE, "none twice");
}

/// Polls each once; returns how many have ended so far, all well and each with an id of its own.
fn poll_all<F>(commits: &mut Vec<Pin<Box<F>>>, ids: &mut BTreeSet<QueueId>) -> usize
where
    F: Future<Output = Result<QueueId, SpoolError>>,
{
    let mut context = Context::from_waker(Waker::noop());
    commits.retain_mut(|commit| match commit.as_mut().poll(&mut context) {
        Poll::Ready(id) => !ids.insert(id.unwrap()),
        Poll::Pending => true,
    });
    ids.len()
}

#[tokio::test]
async fn a_panic_of_the_committer_is_told_to_all_who_wait_and_to_whoever_watches() {
    let mut bench = Bench::new();
    let kept = bench.commit(b"kept").await;
    bench.next_fails(WRITE, Trouble::Panic);
    let Bench { rig, disk, clock } = bench;
    let Rig { spool, committer } = rig;
    let commits = async {
        let submit = async || {
            let draft = spool.draft().await?;
            spool.commit(draft, message_to(&["a@a.example"])).await
        };
        tokio::join!(submit(), submit())
    };
    let mut commits = Box::pin(commits);
    let mut context = Context::from_waker(Waker::noop());
    assert!(commits.as_mut().poll(&mut context).is_pending());
    let ended = std::thread::spawn(move || committer.run()).join();
    assert!(ended.is_err(), "it has panicked");
    let told = timeout(Duration::from_secs(9), commits).await.unwrap();
    for told in [told.0, told.1] {
        assert!(matches!(told, Err(SpoolError::Unavailable(_))), "{told:?}");
    }
    timeout(Duration::from_secs(9), spool.ended())
        .await
        .unwrap();
    drop(spool);
    // The next process has what was acknowledged.
    disk.restart();
    let rig = Rig::open(&disk, &clock).unwrap();
    let ids: Vec<_> = snapshot(&rig.spool).await.into_keys().collect();
    assert_eq!(ids, [kept]);
}
