//! F10, F11: octets of the spool have changed while nobody ran. What is damaged is set aside and told; the rest leaves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::{RECIPIENT, SENDER, Server, Setup, message_with, subjects};
use crate::support::fake_upstream::{ReservedPort, Script};
use crate::support::process::write_file;

#[test]
fn a_message_with_changed_octets_is_set_aside() {
    let (setup, port) = filled();
    let spool = setup.path().join("data/spool");
    let changed = files(&spool).into_iter().any(|file| {
        let mut octets = fs::read(&file).unwrap();
        let Some(place) = memchr::memmem::find(&octets, b"text of two") else {
            return false;
        };
        octets[place] ^= 0x20;
        write_file(&file, &octets).unwrap();
        true
    });
    assert!(changed, "the message is in the spool");
    let relay = setup.start();
    let upstream = Server::start_at(port, Script::default());
    relay.reload(&setup);
    let mut arrived = subjects(&upstream.wait_for(2));
    arrived.sort();
    assert_eq!(arrived, ["one", "three"]);
    relay.wait_for_log(&["ERROR"]);
    relay.submit("four");
    upstream.wait_for(3);
    relay.stop();
}

#[test]
fn foreign_files_and_a_torn_end_disturb_nobody() {
    let (setup, port) = filled();
    let spool = setup.path().join("data/spool");
    write_file(&spool.join("README"), b"not a segment").unwrap();
    write_file(&spool.join("x.tmp"), b"half").unwrap();
    let largest = files(&spool)
        .into_iter()
        .rfind(|file| memchr::memmem::find(&fs::read(file).unwrap(), b"text of three").is_some())
        .expect("the message is in the spool");
    let mut octets = fs::read(&largest).unwrap();
    let end = octets.iter().rposition(|&octet| octet != 0).unwrap() + 1;
    octets.truncate(end);
    octets.extend_from_slice(&[0xa5; 37]);
    write_file(&largest, &octets).unwrap();
    let relay = setup.start();
    let upstream = Server::start_at(port, Script::default());
    relay.reload(&setup);
    let mut arrived = subjects(&upstream.wait_for(3));
    arrived.sort();
    assert_eq!(arrived, ["one", "three", "two"]);
    relay.stop();
}

/// A spool with three messages, whose process has been killed.
fn filled() -> (Setup, ReservedPort) {
    let port = ReservedPort::new();
    let setup = Setup::new().upstream("main", port.address);
    let relay = setup.start();
    let mut client = relay.neighbour();
    for subject in ["one", "two", "three"] {
        let fields = format!("From: {SENDER}\r\nSubject: {subject}\r\n");
        let message = message_with(&fields, &format!("text of {subject}\r\n"));
        let reply = client.submit(SENDER, &[RECIPIENT], &message);
        assert!(reply.starts_with("250"), "{reply}");
    }
    relay.process.kill().unwrap();
    (setup, port)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
