//! What the engine does when the disk gives back something else than was written.

use std::sync::Arc;
use std::time::Duration;

use crate::spool::conformance::START;
use crate::spool::{Spool, SpoolError};

use super::disk::Disk;
use super::layout::LayoutError;
use super::record::{FRAME, VERSION};
use super::recovery;
use super::rig::{Bench, LARGE, Rig, drive};
use super::simulated::Trouble;

#[tokio::test]
async fn a_damaged_head_costs_that_message_alone() {
    let mut bench = Bench::new();
    let first = bench.commit(b"first").await;
    bench.commit(b"second").await;
    let third = bench.commit(b"third").await;
    let at = bench.find(b"second");
    bench.disk.damage("segments/00000001.log", at - 40);
    bench.restart();
    assert_eq!(bench.ids().await, [first, third]);
    assert_eq!((bench.damage_count().await, bench.damaged().len()), (1, 1));
}

#[tokio::test]
async fn a_damaged_body_is_never_handed_out() {
    let mut bench = Bench::new();
    let first = bench.commit(&[b'1'; 900]).await;
    let second = bench.commit(&[b'2'; 900]).await;
    bench.commit(b"third").await;
    let at = bench.find(&[b'2'; 900]);
    bench.disk.damage("segments/00000001.log", at + 333);
    bench.restart();
    let body = bench.rig.spool.body(second);
    let body = drive(&mut bench.rig.committer, body).await;
    assert!(matches!(body, Err(SpoolError::Corrupt(id)) if id == second));
    bench
        .rig
        .committer
        .step(bench.rig.spool.shared.queue.take(Duration::ZERO).unwrap());
    assert_eq!(bench.claim().await.unwrap().id, first);
    assert_eq!((bench.damage_count().await, bench.damaged().len()), (1, 1));
    bench.restart();
    assert!(!bench.ids().await.contains(&second));
    assert_eq!(bench.damage_count().await, 0);
}

#[tokio::test]
async fn a_damaged_message_is_not_leased() {
    let mut bench = Bench::new();
    bench.commit(&[b'1'; 900]).await;
    let second = bench.commit(&[b'2'; 900]).await;
    let at = bench.find(&[b'1'; 900]);
    bench.disk.damage("segments/00000001.log", at + 333);
    bench.restart();
    assert!(bench.claim().await.is_none());
    assert_eq!(bench.claim().await.unwrap().id, second);
}

#[tokio::test]
async fn a_damaged_chunk_of_a_large_message_does_not_pass() {
    let mut bench = Bench::new();
    let id = bench.commit(&LARGE).await;
    bench.disk.damage(&format!("bodies/{id}"), 200_000);
    let mut body = bench.rig.spool.body(id).await.unwrap();
    let mut passed = 0;
    let error = loop {
        match body.next().await {
            Ok(piece) => passed += piece.unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(passed, 3 * 65_536);
    assert!(body.next().await.unwrap().is_none());
    assert!(body.rewind().is_err());
    assert!(body.next().await.unwrap().is_none());
    bench.tick_with_work();
    assert!(bench.ids().await.is_empty());
    assert_eq!(bench.damaged().len(), 2);
    assert!(bench.bodies().is_empty());
}

#[tokio::test]
async fn a_message_whose_file_is_gone_is_set_aside_at_start() {
    let mut bench = Bench::new();
    let id = bench.commit(&LARGE).await;
    let other = bench.commit(b"other").await;
    bench.disk.remove(&format!("bodies/{id}")).unwrap();
    bench.disk.sync_dir("bodies").unwrap();
    bench.restart();
    assert_eq!(bench.ids().await, [other]);
    assert_eq!(bench.damage_count().await, 1);
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_is_no_damage() {
    let mut bench = Bench::new();
    let first = bench.commit(b"first").await;
    bench.commit(b"second").await;
    let at = bench.find(b"second");
    bench.disk.cut("segments/00000001.log", at + 3);
    bench.restart();
    assert_eq!(bench.ids().await, [first]);
    assert_eq!(bench.damage_count().await, 0);
}

#[tokio::test]
async fn the_file_of_a_message_in_a_torn_end_is_kept() {
    let mut bench = Bench::new();
    bench.commit(b"first").await;
    let large = bench.commit(&LARGE).await;
    let at = bench.find(&large.number().to_le_bytes());
    bench.disk.damage("segments/00000001.log", at);
    bench.restart();
    assert!(!bench.ids().await.contains(&large));
    assert!(bench.bodies().is_empty());
    assert!(bench.damaged().contains(&large.to_string()));
}

#[tokio::test]
async fn a_segment_cut_off_anywhere_gives_what_stands_before() {
    let mut bench = Bench::new();
    let mut ends = Vec::new();
    for number in 0..6_u8 {
        let id = bench.commit(&[number; 100]).await;
        ends.push((bench.find(&[number; 100]) + 100, id));
    }
    let end = bench.disk.octets("segments/00000001.log").len();
    for length in (0..end).rev() {
        bench.disk.cut("segments/00000001.log", length);
        let recovered = recovery::recover(
            &(Arc::new(bench.disk.clone()) as Arc<dyn Disk>),
            bench.rig.spool.shared.mark,
            START,
        );
        let recovered = recovered.ok().unwrap();
        let found: Vec<_> = recovered.index.places().map(|(id, _)| id).collect();
        let whole = ends.iter().filter(|(end, _)| *end <= length);
        assert_eq!(
            found,
            whole.map(|(_, id)| *id).collect::<Vec<_>>(),
            "{length}"
        );
    }
}

#[tokio::test]
async fn after_an_orderly_end_damage_to_the_last_message_is_damage() {
    let mut bench = Bench::new();
    bench.commit(b"first").await;
    bench.commit(b"second").await;
    bench.rig.committer.close();
    let at = bench.find(b"second");
    bench.disk.damage("segments/00000001.log", at - 40);
    bench.restart();
    assert_eq!(bench.damage_count().await, 1);
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_left_alone() {
    let mut bench = Bench::new();
    bench.commit(b"first").await;
    // The version stands behind magic and mark of the first record, the checksum at the end of the frame.
    let segment = bench.disk.octets("segments/00000001.log");
    let length = u32::from_le_bytes(segment[16..20].try_into().unwrap()) as usize;
    let mut newer = segment[..FRAME + length].to_vec();
    newer[12] = VERSION + 1;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..28]), &newer[FRAME..]);
    for (at, octet) in (28..).zip(crc.to_le_bytes()) {
        newer[at] = octet;
    }
    bench.disk.write("segments/00000001.log", &newer);
    let before = bench.disk.octets("segments/00000001.log");
    bench.disk.restart();
    let refused = Rig::open(&bench.disk, &bench.clock).err().unwrap();
    assert!(matches!(refused, LayoutError::Version(_, found) if found == u32::from(VERSION) + 1));
    assert_eq!(bench.disk.octets("segments/00000001.log"), before);
}

#[tokio::test]
async fn the_mark_is_found_again_when_the_format_file_is_lost() {
    let mut bench = Bench::new();
    let id = bench.commit(b"first").await;
    bench.disk.remove("format").unwrap();
    bench.disk.sync_dir("").unwrap();
    bench.restart();
    assert_eq!(bench.ids().await, [id]);
}

#[tokio::test]
async fn a_record_inside_a_message_is_not_taken_for_one() {
    let mut bench = Bench::new();
    let first = bench.commit(b"first").await;
    let segment = bench.disk.octets("segments/00000001.log");
    let mut forged = segment;
    // Another spool's mark.
    for at in 0..forged.len() - 12 {
        if forged[at..at + 4] == [0x9e, b'P', b'H', b'r'] {
            forged[at + 4] ^= 0xff;
        }
    }
    let carrier = bench.commit(&forged[..1000]).await;
    let last = bench.commit(b"last").await;
    let at = bench.find(&forged[..1000]);
    bench.disk.damage("segments/00000001.log", at - 40);
    bench.restart();
    let ids = bench.ids().await;
    assert_eq!(ids, [first, last]);
    assert!(!ids.contains(&carrier));
}

#[tokio::test]
async fn a_segment_stays_while_its_damaged_octets_cannot_be_copied() {
    let mut bench = Bench::new();
    let lost = bench.commit(&[b'?'; 900]).await;
    bench.commit(&[1; 2500]).await;
    bench.commit(&[2; 1000]).await;
    let at = bench.find(&[b'?'; 900]);
    bench.disk.damage("segments/00000001.log", at + 333);
    bench.restart();
    let body = bench.rig.spool.body(lost);
    drive(&mut bench.rig.committer, body).await.err().unwrap();
    // The file for the copy cannot be made.
    bench.next_fails(0, Trouble::Full);
    bench.tick_with_work();
    bench.relay_one().await;
    bench.tick();
    assert!(bench.damaged().is_empty());
    assert!(bench.segments().contains(&"00000001.log".to_owned()));
}

#[tokio::test]
async fn no_segment_gets_the_number_of_one_whose_damage_is_kept() {
    let mut bench = Bench::new();
    let name = "damaged/00000007-00000040";
    bench.disk.create(name, 0).unwrap();
    bench.disk.sync_dir("damaged").unwrap();
    bench.restart();
    bench.commit(b"first").await;
    assert_eq!(bench.segments(), ["00000008.log"]);
    bench.restart();
    assert_eq!(bench.ids().await.len(), 1);
}
