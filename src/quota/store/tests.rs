//! Tests of the file of counts.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::quota::quotas::tests::{START, amounts, name, table};
use crate::quota::{Amounts, Excess};

fn quotas(clock: &Arc<ManualClock>, limits: &str) -> Arc<Quotas> {
    Quotas::new(Arc::clone(clock) as Arc<dyn Clock>, table(limits))
}

fn clock_at(seconds: u64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START.after(Duration::from_secs(seconds))))
}

fn send(quotas: &Arc<Quotas>, account: &str, amounts: Amounts) -> Result<(), Excess> {
    let mut reservation = quotas.reserve(&name(account), amounts)?;
    reservation.charge(amounts.octets)?;
    reservation.keep();
    Ok(())
}

/// What the file holds once these accounts have sent one message each.
fn written(accounts: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let quotas = quotas(&clock_at(0), "alice 2/m; bob 2/m");
    for account in accounts {
        send(&quotas, account, amounts(1)).unwrap();
    }
    write(&quotas, &path).unwrap();
    (folder, path)
}

#[test]
fn counts_survive_a_restart() {
    let (_folder, path) = written(&["alice", "alice", "bob"]);
    let clock = clock_at(30);
    let quotas = quotas(&clock, "alice 2/m; bob 2/m");
    load(&path).unwrap().restore(&quotas);
    let excess = send(&quotas, "alice", amounts(1)).unwrap_err();
    assert_eq!(excess.goes_on, Some(START.after(Duration::from_mins(1))));
    assert_eq!(send(&quotas, "bob", amounts(1)), Ok(()));
    assert!(send(&quotas, "bob", amounts(1)).is_err());
    clock.advance(Duration::from_secs(30));
    assert_eq!(send(&quotas, "alice", amounts(1)), Ok(()));
}

#[test]
fn a_clock_that_was_set_back_meanwhile_blocks_nobody_for_longer_than_the_span() {
    let (_folder, path) = written(&["alice", "alice"]);
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1000)));
    let quotas = quotas(&clock, "alice 2/m");
    load(&path).unwrap().restore(&quotas);
    assert!(send(&quotas, "alice", amounts(1)).is_err());
    clock.advance(Duration::from_mins(1));
    assert_eq!(send(&quotas, "alice", amounts(1)), Ok(()));
}

#[test]
fn counts_of_accounts_that_are_gone_are_dropped() {
    let (_folder, path) = written(&["alice", "bob"]);
    let quotas = quotas(&clock_at(1), "bob 2/m");
    load(&path).unwrap().restore(&quotas);
    assert_eq!(quotas.owners(), [Owner::Account(name("bob"))]);
}

#[test]
fn what_no_longer_counts_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let clock = clock_at(0);
    let quotas = quotas(&clock, "alice 2/m");
    send(&quotas, "alice", amounts(1)).unwrap();
    clock.advance(Duration::from_mins(1));
    write(&quotas, &path).unwrap();
    assert!(quotas.owners().is_empty());
    assert!(load(&path).unwrap().counts.is_empty());
}

#[test]
fn a_file_is_for_its_owner_alone_and_leaves_nothing_beside_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path) = written(&["alice"]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn no_file_is_no_count() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        load(&folder.path().join("quota")).unwrap(),
        Stored::default()
    );
}

#[test]
fn what_is_written_is_as_documented() {
    let (_folder, path) = written(&["alice"]);
    let at = START.unix_millis();
    let text = format!("posthouse quota 1\nwritten {at}\naccount alice messages 60000 {at}:1\n");
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_file_that_is_damaged_or_newer_is_told_apart() {
    let damaged = |text: &str| match parse(text).unwrap_err() {
        LoadError::Damaged { line } => line,
        error @ (LoadError::Io(_) | LoadError::Version { .. }) => panic!("{error}"),
    };
    assert_eq!(damaged(""), 1);
    assert_eq!(damaged("posthouse quota 0\n"), 1);
    assert_eq!(damaged("posthouse quota 1\n"), 2);
    let head = "posthouse quota 1\nwritten 5\n";
    for line in [
        "account alice",
        "account alice messages x",
        "account alice letters 60000 1:1",
        "account alice messages 60000 1",
        "group alice messages 60000 1:1",
    ] {
        assert_eq!(damaged(&format!("{head}{line}\n")), 3, "{line}");
    }
    let newer = parse("posthouse quota 2\nanything").unwrap_err();
    assert!(matches!(newer, LoadError::Version { found: 2 }));
}
