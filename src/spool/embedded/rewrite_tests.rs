//! Segments go when they can, and take nothing along.

use std::time::Duration;

use bytes::Bytes;

use crate::spool::conformance::{START, failure, message_to, settlement};
use crate::spool::{Fate, Report, Settlement};

use super::rig::{Bench, LARGE};
use super::simulated::Trouble;

#[tokio::test]
async fn segments_go_when_nothing_in_them_is_needed() {
    let mut bench = Bench::new();
    for _ in 0..40 {
        bench.commit(&[1; 1000]).await;
        bench.relay_one().await;
    }
    bench.tick();
    assert!(bench.segments().len() <= 2, "{:?}", bench.segments());
}

#[tokio::test]
async fn old_segments_with_few_messages_are_rewritten() {
    let mut bench = Bench::new();
    bench.traffic(200, 5, b"stays").await;
    // Without rewriting there would be more than 60.
    assert!(bench.segments().len() <= 20, "{:?}", bench.segments());
    let before = bench.seen().await;
    assert_eq!(before.len(), 40);
    bench.restart();
    assert_eq!(bench.seen().await, before);
    assert_eq!(bench.damage_count().await, 0);
}

#[tokio::test]
async fn reports_survive_the_rewriting_of_their_settlement() {
    let mut bench = Bench::new();
    bench.commit(&[1; 2400]).await;
    let lease = bench.claim().await.unwrap();
    let reports = [&b"small"[..], &LARGE].map(|octets| Report {
        message: message_to(&["s@example.com"]),
        octets: Bytes::copy_from_slice(octets),
    });
    let settled = bench.settle(Settlement {
        reports: reports.into(),
        ..settlement(lease, &[(0, Fate::Bounce(failure("no")))])
    });
    settled.await.unwrap();
    for id in bench.ids().await {
        bench.hold(id).await;
    }
    let before = bench.seen().await;
    bench.commit(&[2; 3000]).await;
    bench.rig.committer.begin_to_rewrite(1);
    bench.tick();
    assert!(!bench.segments().contains(&"00000001.log".to_owned()));
    for _ in 0..2 {
        let mut seen = bench.seen().await;
        seen.retain(|id, _| before.contains_key(id));
        assert_eq!(seen, before);
        bench.restart();
    }
}

#[tokio::test]
async fn a_deferral_survives_the_rewriting_of_its_segment() {
    let mut bench = Bench::new();
    bench.commit(&[1; 3000]).await;
    bench.commit(&[1; 3000]).await;
    let lease = bench.claim().await.unwrap();
    let later = Fate::Retry {
        due: START.after(Duration::from_hours(1)),
        reason: failure("later"),
    };
    bench
        .settle(settlement(lease, &[(0, later)]))
        .await
        .unwrap();
    bench.relay_one().await;
    bench.commit(&[1; 3000]).await;
    let before = bench.seen().await;
    bench.rig.committer.begin_to_rewrite(2);
    bench.tick();
    assert_eq!(bench.segments(), ["00000001.log", "00000003.log"]);
    bench.restart();
    assert_eq!(bench.seen().await, before);
}

#[tokio::test]
async fn a_message_damaged_where_nobody_looked_is_set_aside_when_its_segment_is_rewritten() {
    let mut bench = Bench::new();
    let lost = bench.commit(&[b'?'; 500]).await;
    bench.hold(lost).await;
    bench.commit(&[1; 2000]).await;
    bench.relay_one().await;
    let at = bench.find(&[b'?'; 500]);
    bench.disk.damage("segments/00000001.log", at + 100);
    bench.commit(&[2; 3000]).await;
    bench.rig.committer.begin_to_rewrite(1);
    bench.tick();
    assert!(!bench.segments().contains(&"00000001.log".to_owned()));
    assert!(!bench.ids().await.contains(&lost));
    assert_eq!((bench.damage_count().await, bench.damaged().len()), (1, 1));
}

#[tokio::test]
async fn a_message_stays_done_whose_first_record_outlives_the_segment_that_says_so() {
    let mut bench = Bench::new();
    bench.commit(&[1; 1500]).await;
    let moved = bench.commit(&[2; 1500]).await;
    bench.relay_one().await;
    bench.commit(&[3; 1000]).await;
    bench.rig.committer.begin_to_rewrite(1);
    // The copies are written and synced; the segment cannot be removed.
    bench.next_fails(2, Trouble::Broken);
    bench.tick();
    assert_eq!(bench.segments(), ["00000001.log", "00000002.log"]);
    assert_eq!(bench.relay_one().await, moved);
    let last = bench.commit(&[4; 3000]).await;
    bench.rig.committer.begin_to_rewrite(2);
    bench.tick();
    assert!(!bench.segments().contains(&"00000002.log".to_owned()));
    assert!(bench.segments().contains(&"00000001.log".to_owned()));
    bench.restart();
    let ids = bench.ids().await;
    assert!(ids.contains(&last) && !ids.contains(&moved), "{ids:?}");
}
