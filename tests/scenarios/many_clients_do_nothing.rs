//! THREATS X1: thousands of idle sessions, stalled handshakes, half messages, readers that do not read. Who has mail is served
//! at once, and each of them costs little.

use std::net::Ipv4Addr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{NEIGHBOUR, RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;

/// Clients that only connect, on each of the two listeners.
const SILENT: usize = 1500;

/// Of each other kind.
const BUSY: usize = 250;

/// What a connection may cost, in KiB: some hold a message or replies that nobody reads, and the debug build's futures are
/// larger. `benches/edge` has the figures of idle ones.
const EACH: u64 = 64;

#[test]
fn who_has_mail_is_served() {
    let wanted = (2 * SILENT + 3 * BUSY) as u64 + 200;
    if !raise_own_limit(wanted) {
        eprintln!("SKIPPED: this system allows fewer than {wanted} open files");
        return;
    }
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("server.connections_per_address", "10000")
        .with("server.connections_per_prefix", "10000")
        .start();
    relay.submit("before");
    let before = memory_kib(&relay);
    let idlers = loiter(&relay);
    for number in 0..10 {
        relay.submit(&number.to_string());
    }
    let mut expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    expected.push("before".to_owned());
    let mut arrived = subjects(&upstream.wait_for(11));
    arrived.sort();
    assert_eq!(arrived, expected);
    relay.secured_stranger();
    let each = memory_kib(&relay).saturating_sub(before) / idlers.len() as u64;
    assert!(each < EACH, "{each} KiB for each of {}", idlers.len());
    relay.process.kill().unwrap();
}

#[test]
fn strangers_have_threads_of_their_own_at_a_low_priority() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let threads = std::fs::read_dir(format!("/proc/{}/task", relay.process.id())).unwrap();
    let mut priorities = Vec::new();
    for thread in threads {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        let (name, rest) = stat.rsplit_once(')').unwrap();
        if name.ends_with("(strangers") {
            // The state is the third field, nice(2) the nineteenth.
            priorities.push(rest.split_whitespace().nth(16).unwrap().to_owned());
        }
    }
    assert!(!priorities.is_empty());
    assert!(priorities.iter().all(|nice| nice == "10"), "{priorities:?}");
    relay.submit("from a stranger");
    relay.submit("from one who is known");
    let mut arrived = subjects(&upstream.wait_for(2));
    arrived.sort();
    assert_eq!(arrived, ["from a stranger", "from one who is known"]);
    relay.stop();
}

/// Connects clients of all kinds that do nothing.
fn loiter(relay: &Relay) -> Vec<Dialogue> {
    let (plain, tls) = (relay.address("submission"), relay.address("submissions"));
    let mut idlers = Vec::new();
    for number in 0..SILENT {
        let from = Ipv4Addr::new(127, 0, 1, u8::try_from(number % 250).unwrap() + 1);
        idlers.push(Dialogue::connect(from, plain));
        idlers.push(Dialogue::connect(from, tls));
    }
    for _ in 0..BUSY {
        let mut stalled = relay.neighbour();
        stalled.must("STARTTLS", "220");
        stalled.send(&[22, 3, 1, 2, 0]);
        idlers.push(stalled);
        let mut half = relay.neighbour();
        half.envelope(SENDER, &[RECIPIENT]);
        half.must("DATA", "354");
        half.send(&message("half"));
        idlers.push(half);
        let mut deaf = Dialogue::connect(NEIGHBOUR, plain);
        deaf.send(&b"EHLO client.example\r\n".repeat(90));
        idlers.push(deaf);
    }
    idlers
}

/// Lets this process have so many files open; returns whether it may.
fn raise_own_limit(wanted: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return true;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, raised).is_ok()
}

/// Returns the memory that the process has now, in KiB.
fn memory_kib(relay: &Relay) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.trim().split(' ').next());
    figure.expect("the system tells").parse().unwrap()
}
