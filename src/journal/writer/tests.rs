use super::*;
use crate::clock::{ManualClock, SystemClock};

fn settings(directory: &std::path::Path) -> Settings {
    Settings {
        directory: directory.join("journal"),
        keep: Duration::from_hours(24),
        max_size: 1 << 20,
    }
}

fn id(number: u64) -> QueueId {
    QueueId::from_number(number)
}

#[test]
fn what_was_noted_just_now_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(settings(folder.path()), Arc::new(SystemClock)).unwrap();
    journal.record(id(1), || Event::Damaged);
    journal.record(id(2), || Event::Damaged);
    journal.record(id(1), || Event::Reported { report: id(3) });
    let records = journal.find(id(1)).unwrap().records;
    let events: Vec<_> = records.into_iter().map(|record| record.event).collect();
    assert_eq!(events, [Event::Damaged, Event::Reported { report: id(3) }]);
}

#[test]
fn what_was_noted_before_a_restart_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let journal = Journal::open(settings(folder.path()), Arc::new(SystemClock)).unwrap();
        journal.record(id(1), || Event::Damaged);
        journal.close();
    }
    let found = lookup::find(&folder.path().join("journal"), id(1)).unwrap();
    assert_eq!(found.records.len(), 2);
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(settings(folder.path()), Arc::new(SystemClock)).unwrap();
    journal.record(id(1), || Event::Damaged);
    journal.flush();
    let directory = folder.path().join("journal");
    let file = files::list(&directory).unwrap().remove(0).path;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
}

#[test]
fn a_journal_that_keeps_nothing_removes_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(settings(folder.path()), Arc::new(SystemClock)).unwrap();
    journal.record(id(1), || Event::Damaged);
    journal.close();
    let nothing = Settings {
        keep: Duration::ZERO,
        ..settings(folder.path())
    };
    let journal = Journal::open(nothing.clone(), Arc::new(SystemClock)).unwrap();
    journal.record(id(1), || unreachable!("nothing is kept"));
    assert_eq!(files::list(&nothing.directory).unwrap(), []);
}

#[test]
fn the_size_of_all_files_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let journal = Journal::open(settings.clone(), Arc::new(SystemClock)).unwrap();
    for number in 0..40 {
        for _ in 0..1000 {
            journal.record(id(number), || Event::Damaged);
        }
        journal.flush();
    }
    let parts = files::list(&settings.directory).unwrap();
    let size: u64 = parts.iter().map(|part| part.size).sum();
    assert!(size <= settings.max_size + 128 * 1024, "{size}");
    assert!(size > settings.max_size / 2, "{size}");
    assert_eq!(journal.find(id(0)).unwrap().records, []);
    assert_eq!(journal.find(id(39)).unwrap().records.len(), 1000);
}

#[test]
fn a_file_is_not_written_to_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1000)));
    let settings = settings(folder.path());
    let journal = Journal::open(settings.clone(), Arc::clone(&clock) as _).unwrap();
    for _ in 0..2 {
        journal.record(id(1), || Event::Damaged);
        journal.flush();
        clock.advance(LONGEST_PART);
    }
    assert_eq!(files::list(&settings.directory).unwrap().len(), 2);
}

#[test]
fn mail_goes_on_where_the_folder_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = Settings {
        directory: folder.path().join("missing/journal"),
        ..settings(folder.path())
    };
    let journal = Journal::open(blocked, Arc::new(SystemClock)).unwrap();
    journal.record(id(1), || Event::Damaged);
    journal.flush();
    std::fs::create_dir(folder.path().join("missing")).unwrap();
    journal.record(id(2), || Event::Damaged);
    assert_eq!(journal.find(id(1)).unwrap().records, []);
    assert_eq!(journal.find(id(2)).unwrap().records.len(), 1);
}

#[test]
fn events_without_room_are_dropped_and_counted() {
    let shared = Shared::default();
    let line = vec![b'x'; MAX_WAITING / 2];
    for _ in 0..3 {
        shared.push(&line);
    }
    let waiting = shared.lock();
    assert_eq!((waiting.lines.len(), waiting.dropped), (MAX_WAITING, 1));
}

#[test]
fn dropped_events_are_told_at_once_and_then_once_a_minute() {
    let (mut dropped, now) = (Dropped::default(), SystemClock.instant());
    dropped.note(3, now);
    assert_eq!(dropped.events, 0);
    dropped.note(2, now + LOOK / 2);
    dropped.note(2, now + LOOK / 2);
    assert_eq!(dropped.events, 4);
    dropped.note(0, now + LOOK);
    assert_eq!(dropped.events, 0);
}
