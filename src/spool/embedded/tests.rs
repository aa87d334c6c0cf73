//! Tests of the engine on the real file system, and of what it writes.

use std::fs;
use std::future::{Future, poll_fn};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::identity::{Route, UpstreamName};
use crate::mail::{
    Cause, Duty, Failure, Handover, Hold, Priority, QueueId, RecipientIndex, Stage, TlsRequest,
    VERIFIED_TLS,
};
use crate::spool::conformance::{
    Fixture, START, TestClock, failure, full_message, message_to, suite,
};
use crate::spool::standing::{Recipients, Standing, Waiting};
use crate::spool::{
    EntryState, Fate, Message, Pressure, Spool, SpoolAdmin, SpoolError, Untold, Warned,
};

use super::change;
use super::disk::Disk;
use super::fields::{Fields, Reader};
use super::message::{self, BodyPlace};
use super::record::{FRAME, Kind, Mark, Record};
use super::rig::{Bench, drive};
use super::scan::{Found, Scanner};
use super::segments::Place;
use super::simulated::SimulatedDisk;
use super::{EmbeddedSpool, OpenError, Settings};

fn fixture(memory_budget: usize) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::new(START));
    let settings = Settings {
        segment_size: 1 << 20,
        memory_budget,
        ..settings(directory.path())
    };
    Fixture {
        spool: Box::new(EmbeddedSpool::open(settings, engine_clock(&clock)).unwrap()),
        clock,
        _directory: Some(directory),
    }
}

fn engine_clock(clock: &Arc<TestClock>) -> Arc<dyn Clock> {
    Arc::<TestClock>::clone(clock)
}

suite!(from_memory, super::fixture(1 << 20));
suite!(read_back, super::fixture(0));

fn settings(directory: &Path) -> Settings {
    Settings {
        min_free: 0,
        ..Settings::new(directory)
    }
}

fn open(settings: Settings) -> Result<EmbeddedSpool, OpenError> {
    EmbeddedSpool::open(settings, Arc::new(ManualClock::new(START)))
}

async fn commit(spool: &EmbeddedSpool, octets: Vec<u8>) -> Result<QueueId, SpoolError> {
    let mut draft = spool.draft().await?;
    draft.write(Bytes::from(octets)).await?;
    spool.commit(draft, full_message()).await
}

#[tokio::test]
async fn messages_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    let small = commit(&spool, vec![b's'; 4000]).await.unwrap();
    let large = commit(&spool, vec![b'l'; 400_000]).await.unwrap();
    spool.hold(small).await.unwrap();
    spool.close().await;
    let spool = open(settings(directory.path())).unwrap();
    let entries = spool.list(None, 9).await.unwrap();
    let seen = entries.iter().map(|entry| (entry.id, entry.size));
    assert_eq!(seen.collect::<Vec<_>>(), [(small, 4000), (large, 400_000)]);
    assert_eq!(*entries[0].message, full_message());
    assert_eq!(spool.stats().await.held, 1);
}

#[tokio::test]
async fn a_message_committed_as_held_is_held_after_a_restart_and_not_once_it_was_released() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let draft = spool.draft().await.unwrap();
        let held = Message {
            held: Some("its sender".into()),
            ..message_to(&["a@example.com"])
        };
        ids.push(spool.commit(draft, held).await.unwrap());
    }
    spool.release(ids[1]).await.unwrap();
    drop(spool);
    let spool = open(settings(directory.path())).unwrap();
    let entries = spool.list(None, 9).await.unwrap();
    let states: Vec<_> = entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [EntryState::Held, EntryState::Pending]);
    assert_eq!(entries[0].message.held.as_deref(), Some("its sender"));
}

/// A posthouse that knows nothing of the tag holds the message too: it reads the standing.
#[test]
fn the_hold_of_a_message_is_in_fields_that_every_version_reads() {
    let mut message = message_to(&["a@example.com"]);
    message.held = Some("its sender".into());
    let mut fields = Fields::behind(0);
    let place = BodyPlace::Inline { offset: 0, crc: 1 };
    message::write(&mut fields, (QueueId::from_number(7), 5), &place, &message);
    let mut earlier = Fields::behind(0);
    for field in Reader::new(&fields.into_octets()) {
        let (tag, content) = field.unwrap();
        if tag <= 24 {
            earlier.octets(tag, content);
        }
    }
    let summary = message::summarize(&earlier.into_octets()).unwrap();
    assert!(summary.standing.is_held);
}

#[tokio::test]
async fn an_operators_route_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    let id = commit(&spool, vec![]).await.unwrap();
    let spare = Route::new(vec![UpstreamName::parse("operators").unwrap()]).unwrap();
    let change = crate::spool::Change::Route(spare.clone());
    spool.change(&[id], &change).await.remove(0).unwrap();
    spool.close().await;
    let spool = open(settings(directory.path())).unwrap();
    let account = Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap();
    spool.reroute(&|_| Some(account.clone())).await;
    let entry = spool.show(id).await.unwrap().unwrap();
    assert_eq!(entry.message.route, spare);
}

#[tokio::test]
async fn ids_increase_across_a_restart_even_if_the_clock_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    let first = commit(&spool, vec![]).await.unwrap();
    spool.close().await;
    let earlier = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1)));
    let spool = EmbeddedSpool::open(settings(directory.path()), earlier).unwrap();
    assert!(spool.draft().await.unwrap().id() > first);
}

#[tokio::test]
async fn messages_are_due_after_a_restart_with_a_clock_that_was_set_back() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    commit(&spool, vec![]).await.unwrap();
    spool.close().await;
    let earlier = Timestamp::from_unix_millis(START.unix_millis() - 3_600_000);
    let clock = Arc::new(ManualClock::new(earlier));
    let spool = EmbeddedSpool::open(settings(directory.path()), clock).unwrap();
    assert_eq!(spool.backlog().await.unwrap()[0].next_due, earlier);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    let refused = open(settings(directory.path())).unwrap_err();
    assert!(
        matches!(refused, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id())
    );
    spool.close().await;
    drop(open(settings(directory.path())).unwrap());
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(settings(directory.path())).unwrap());
    let path = directory.path().join("format");
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace(" 1 ", " 7 ");
    let mut file = fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, newer.as_bytes()).unwrap();
    let refused = open(settings(directory.path())).unwrap_err();
    assert!(matches!(
        refused,
        OpenError::Version {
            found: 7,
            known: 2,
            ..
        }
    ));
}

#[tokio::test]
async fn a_closed_spool_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(settings(directory.path())).unwrap();
    spool.close().await;
    let refused = commit(&spool, vec![]).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
}

#[tokio::test]
async fn nobody_else_may_read_what_is_in_the_spool() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    let spool = open(settings(&path)).unwrap();
    commit(&spool, vec![b'l'; 400_000]).await.unwrap();
    let mut folders = vec![path];
    while let Some(folder) = folders.pop() {
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let permissions = entry.metadata().unwrap().permissions();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(permissions.mode() & 0o777, 0o600, "{entry:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_spool_with_as_many_messages_as_it_may_have_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(Settings {
        max_messages: Some(2),
        ..settings(directory.path())
    })
    .unwrap();
    commit(&spool, vec![]).await.unwrap();
    assert_eq!(spool.pressure(Priority::VeryHigh), None);
    commit(&spool, vec![]).await.unwrap();
    assert_eq!(spool.pressure(Priority::VeryHigh), Some(Pressure::Messages));
    assert!(matches!(spool.draft().await, Err(SpoolError::Full)));
}

#[tokio::test]
async fn a_spool_with_as_many_octets_as_it_may_have_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(Settings {
        max_octets: Some(1000),
        ..settings(directory.path())
    })
    .unwrap();
    commit(&spool, vec![0; 1000]).await.unwrap();
    assert_eq!(spool.pressure(Priority::VeryHigh), Some(Pressure::Size));
}

#[tokio::test]
async fn a_spool_whose_messages_take_as_much_memory_as_they_may_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(Settings {
        max_memory: Some(800),
        ..settings(directory.path())
    })
    .unwrap();
    commit(&spool, vec![]).await.unwrap();
    assert_eq!(spool.pressure(Priority::VeryHigh), None);
    commit(&spool, vec![]).await.unwrap();
    assert_eq!(spool.pressure(Priority::VeryHigh), Some(Pressure::Memory));
}

#[tokio::test]
async fn low_priorities_find_the_spool_full_before_high_ones_do_also_after_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_messages: Some(10),
        ..settings(directory.path())
    };
    let spool = open(settings.clone()).unwrap();
    for _ in 0..8 {
        commit(&spool, vec![]).await.unwrap();
    }
    drop(spool);
    let spool = open(settings).unwrap();
    let pressure = Priority::ALL.map(|priority| spool.pressure(priority));
    assert_eq!(pressure[..4], [None; 4]);
    assert_eq!(pressure[4], Some(Pressure::Messages));
    let of = |priority| Message {
        priority,
        ..full_message()
    };
    let draft = spool.draft().await.unwrap();
    let refused = spool.commit(draft, of(Priority::VeryLow)).await;
    assert!(matches!(refused, Err(SpoolError::Full)));
    let draft = spool.draft().await.unwrap();
    spool.commit(draft, of(Priority::Low)).await.unwrap();
}

#[tokio::test]
async fn the_memory_of_a_message_is_counted_until_it_is_written() {
    let mut bench = Bench::new();
    let spool = &bench.rig.spool;
    let drafts = || spool.shared.gauge.drafts.load(Ordering::Relaxed);
    let mut draft = spool.draft().await.unwrap();
    draft.write(Bytes::from(vec![0; 1000])).await.unwrap();
    let mut commit = pin!(spool.commit(draft, full_message()));
    let is_done = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context).is_ready()));
    assert!(!is_done.await);
    assert_eq!(drafts(), 1000);
    drive(&mut bench.rig.committer, commit).await.unwrap();
    assert_eq!(drafts(), 0);
}

#[test]
fn a_million_messages_fit_into_400_mib() {
    // The slot, the entry in the tree of slots, the entry in the tree of those that are ready; a tree's leaves may be
    // half empty. The account's name is shared.
    let slot = crate::spool::index::slot_size::<Place>();
    let trees = 2 * (size_of::<(QueueId, usize)>() + size_of::<(u8, QueueId)>());
    assert!(slot + trees + 16 <= 250, "{slot} + {trees}");
}

const MARK: Mark = Mark(*b"a mark !");

fn message_record(body: &[u8]) -> Record {
    let crc = crc32c::crc32c(body);
    let mut fields = Fields::behind(FRAME);
    let place = BodyPlace::Inline { offset: 0, crc };
    let key = (QueueId::from_number(77), body.len() as u64);
    message::write(&mut fields, key, &place, &full_message());
    let body = vec![Bytes::copy_from_slice(body)];
    Record::seal(MARK, Kind::Message, fields, body, crc).unwrap()
}

fn octets_of(record: &Record) -> Vec<u8> {
    let body = record.body.iter().flatten();
    record.head.iter().chain(body).copied().collect()
}

/// Reads a segment of these octets to its end; returns the records' offsets and how many stretches of damage there
/// were.
fn scan(octets: &[u8]) -> (Vec<u64>, usize) {
    let disk = SimulatedDisk::new(0);
    let mut file = disk.create("file", 0).unwrap();
    file.append(&mut [std::io::IoSlice::new(octets)]).unwrap();
    let file = disk.open("file").unwrap();
    let mut scanner = Scanner::new(&*file, MARK, 0, octets.len() as u64);
    let (mut records, mut damage) = (Vec::new(), 0);
    while let Some(found) = scanner.next().unwrap() {
        match found {
            Found::Record(whole) => records.push(whole.at),
            Found::Damage { from, to, .. } => {
                assert!(from < to);
                damage += 1;
            }
            Found::Newer(version) => panic!("version {version} out of nothing"),
        }
    }
    (records, damage)
}

#[test]
fn the_layout_of_a_record_is_what_the_documentation_says() {
    let mut fields = Fields::behind(FRAME);
    change::write(&mut fields, QueueId::from_number(0x0102), None);
    let record = Record::bare(MARK, Kind::Delete, fields).unwrap();
    let octets = octets_of(&record);
    assert_eq!(octets[..4], [0x9e, b'P', b'H', b'r']);
    assert_eq!(octets[4..12], *b"a mark !");
    assert_eq!(
        octets[12..28],
        [1, 8, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let crc = crc32c::crc32c_append(crc32c::crc32c(&octets[..28]), &octets[32..]);
    assert_eq!(octets[28..32], crc.to_le_bytes());
    assert_eq!(octets[32..], [1, 8, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn one_changed_octet_costs_one_record() {
    let record = octets_of(&message_record(b"a body\r\n"));
    let three = record.repeat(3);
    let length = record.len() as u64;
    assert_eq!(scan(&three), (vec![0, length, 2 * length], 0));
    let head = record.len() - 8;
    for at in record.len()..record.len() + head {
        let mut damaged = three.clone();
        damaged[at] ^= 0x10;
        let (records, damage) = scan(&damaged);
        assert_eq!((records, damage), (vec![0, 2 * length], 1), "at {at}");
    }
}

#[test]
fn fields_of_a_later_date_are_skipped() {
    let mut fields = Fields::behind(0);
    let place = BodyPlace::Inline { offset: 0, crc: 1 };
    fields.octets(250, b"what is this");
    message::write(
        &mut fields,
        (QueueId::from_number(7), 5),
        &place,
        &full_message(),
    );
    let read = message::read(&fields.into_octets()).unwrap();
    assert_eq!(read.message, full_message());
}

#[test]
fn both_ways_to_ask_for_a_release_are_kept() {
    let until = Timestamp::from_unix_millis(1_795_243_860_123);
    for hold in [
        Hold::For(Duration::from_secs(999_999_999)),
        Hold::Until(until),
    ] {
        let mut message = full_message();
        message.envelope.hold = Some(hold);
        let mut fields = Fields::behind(0);
        let place = BodyPlace::Inline { offset: 0, crc: 1 };
        let key = (QueueId::from_number(7), 5);
        message::write(&mut fields, key, &place, &message);
        let read = message::read(&fields.into_octets()).unwrap();
        assert_eq!(read.message.envelope.hold, Some(hold));
    }
}

#[test]
fn a_message_of_an_earlier_date_has_no_deadline_no_mt_priority_and_no_wish_for_tls() {
    let without = |mut message: Message| {
        message.envelope.hold = None;
        message.envelope.deliver_by = None;
        message.envelope.mt_priority = None;
        message.envelope.tls = TlsRequest::Unsaid;
        message
    };
    let mut fields = Fields::behind(0);
    let place = BodyPlace::Inline { offset: 0, crc: 1 };
    let key = (QueueId::from_number(7), 5);
    message::write(&mut fields, key, &place, &full_message());
    let mut earlier = Fields::behind(0);
    for field in Reader::new(&fields.into_octets()) {
        let (tag, content) = field.unwrap();
        if tag <= 19 {
            earlier.octets(tag, content);
        }
    }
    let read = message::read(&earlier.into_octets()).unwrap();
    assert_eq!(read.message, without(full_message()));
}

fn any_cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        "\\PC{0,40}".prop_map(|text| Cause::Broken(text.into())),
        Just(Cause::Capability("SMTPUTF8")),
        Just(Cause::Capability("REQUIRETLS")),
        Just(Cause::Capability(VERIFIED_TLS)),
        Just(Cause::Expired),
        "\\PC{0,40}".prop_map(|text| failure(&text).cause),
        Just(Cause::Timeout),
        "\\PC{0,40}".prop_map(|text| Cause::Unusable(text.into())),
    ]
}

fn any_untold() -> impl Strategy<Value = Untold> {
    let Cause::Response(response) = failure("text").cause else {
        panic!("no response");
    };
    let fate = prop_oneof![
        Just(Fate::Relayed(response)),
        any_cause().prop_map(|cause| Fate::Bounce(Failure::new(Stage::Final, cause))),
        any_cause().prop_map(|cause| Fate::Expire(Failure::new(Stage::Connect, cause))),
    ];
    let duty = any::<bool>().prop_map(Duty::passed_where);
    let onward =
        (duty.clone(), duty).prop_map(|(dsn, deliver_by)| Handover::Onward { dsn, deliver_by });
    let handover = proptest::option::of(prop_oneof![Just(Handover::Final), onward]);
    (any::<u16>(), fate, handover).prop_map(|(index, fate, handover)| Untold {
        index: RecipientIndex(index),
        fate,
        handover,
    })
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let waiting = (any::<(u16, u32, u64)>(), proptest::option::of(any_cause())).prop_map(
        |((index, attempts, due), cause)| Waiting {
            index: RecipientIndex(index),
            attempts,
            due: Timestamp::from_unix_millis(due),
            reason: cause.map(|cause| Failure::new(Stage::Tls, cause)),
        },
    );
    let recipients = prop_oneof![
        any::<(u16, u64)>().prop_map(|(count, due)| Recipients::All {
            count,
            due: Timestamp::from_unix_millis(due),
        }),
        proptest::collection::vec(waiting, 1..5).prop_map(|all| Recipients::Some(all.into())),
    ];
    let untold = proptest::collection::vec(any_untold(), 0..3);
    let route = proptest::option::of("[a-z]{1,9}").prop_map(|name| {
        let name = UpstreamName::parse(&name?).unwrap();
        Route::new(vec![name.clone(), name])
    });
    (any::<(bool, [bool; 2])>(), untold, route, recipients).prop_map(
        |((is_held, [of_delay, of_deadline]), untold, route, recipients)| Standing {
            is_held,
            warned: Warned {
                of_delay,
                of_deadline,
            },
            untold: untold.into(),
            route,
            recipients,
        },
    )
}

proptest! {
    #[test]
    fn a_standing_is_read_as_it_was_written(standing in any_standing(), number: u64) {
        let mut fields = Fields::behind(0);
        change::write(&mut fields, QueueId::from_number(number), Some(&standing));
        let octets = fields.into_octets();
        let read = change::read(&octets).unwrap();
        prop_assert_eq!(read.id, QueueId::from_number(number));
        prop_assert_eq!(read.standing, Some(standing));
    }

    #[test]
    fn a_message_is_read_as_it_was_written(
        number: u64,
        size: u64,
        crcs in proptest::collection::vec(any::<u32>(), 0..9),
        recipients in 0_usize..4,
        times: [u64; 2],
        held in proptest::option::of("[ -~]{0,20}"),
    ) {
        let mut message = full_message();
        let more = message_to(&["a@a.example"; 4]).envelope.recipients;
        message.envelope.recipients.extend(more.into_iter().take(recipients));
        [message.accepted, message.due] = times.map(Timestamp::from_unix_millis);
        message.held = held.map(Into::into);
        let place = BodyPlace::File { crcs };
        let mut fields = Fields::behind(0);
        message::write(&mut fields, (QueueId::from_number(number), size), &place, &message);
        let octets = fields.into_octets();
        let read = message::read(&octets).unwrap();
        prop_assert_eq!(&read.message, &message);
        prop_assert_eq!((read.id.number(), read.size, read.body), (number, size, place));
        let summary = message::summarize(&octets).unwrap();
        let fresh = Standing::fresh(recipients + 2, message.due).with_hold(message.held.is_some());
        prop_assert!(summary.has_file);
        prop_assert_eq!(summary.standing, fresh);
        prop_assert_eq!(summary.route, message.route);
    }

    #[test]
    fn no_octets_make_a_reader_panic(octets: Vec<u8>) {
        let _ = message::read(&octets);
        let _ = message::summarize(&octets);
        let _ = change::read(&octets);
        let _ = change::read_gone(&octets);
        let _ = super::log::read_lengths(&octets);
        prop_assert!(Reader::new(&octets).count() <= octets.len());
    }

    #[test]
    fn what_stands_between_whole_records_does_not_hide_them(
        junk in proptest::collection::vec(any::<u8>(), 1..400),
        cut in 1_usize..300,
    ) {
        let record = octets_of(&message_record(b"a body\r\n"));
        let torn = &record[..cut.min(record.len() - 1)];
        let segment = [&record[..], torn, &junk, &record, &junk].concat();
        let (records, damage) = scan(&segment);
        let second = (record.len() + torn.len() + junk.len()) as u64;
        prop_assert_eq!(records, [0, second]);
        prop_assert_eq!(damage, 2);
    }
}
