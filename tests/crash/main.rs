//! The process is killed at any moment under load: what it has acknowledged arrives, and each copy too many is
//! explained by the time between the upstream's final reply and its record. Of a message that was split all parts arrive,
//! acknowledged or not, or none.
//!
//! The page cache survives the death of a process, so this does not show a missing sync; the spool's own tests do,
//! with a simulated disk.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests: a failure is a panic, figures are printed"
)]

#[path = "../support"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod support {
    pub(crate) mod process;
    pub(crate) mod recorder;
}

mod arrivals;
mod chance;
mod clients;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, SystemClock};

use crate::arrivals::Arrivals;
use crate::chance::Chance;
use crate::clients::{Clients, Part, SIDE};
use crate::support::process::{Posthouse, wait_for, write_configuration};
use crate::support::recorder::Recorder;

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_again_and_again() {
    let mut chance = Chance::from_environment();
    eprintln!("seed {}", chance.seed());
    let directory = tempfile::Builder::new()
        .prefix("posthouse-crash-")
        .tempdir_in("/var/tmp")
        .expect("a directory is made");
    let arrivals = Arc::new(Arrivals::default());
    let record = Arc::clone(&arrivals);
    let recorder = Recorder::start(move |mail| record.add(&mail)).expect("the recorder listens");
    let port = recorder.address().port().to_string();
    let config = CONFIGURATION
        .replace("PORT", &port)
        .replace("SIDE_DOMAIN", SIDE)
        .replace("SIDE_CONNECTIONS", &SIDE_CONNECTIONS.to_string())
        .replace("CONNECTIONS", &CONNECTIONS.to_string());
    write_configuration(directory.path(), &config, ACCOUNTS).expect("files are written");

    let clients = Clients::default();
    let mut kills = Vec::new();
    for round in 0..ROUNDS {
        arrivals.next_life();
        kills.push(live_and_die(directory.path(), round, &clients, &mut chance));
        // What the dead process had written to the upstream belongs to its life, not to the next.
        let read = wait_for(Duration::from_secs(10), || {
            Ok((recorder.open_connections() == 0).then_some(()))
        });
        assert_eq!(read.expect("the probe cannot fail"), Some(()));
    }
    arrivals.next_life();
    let acknowledged = clients.acknowledged();
    drain(directory.path(), &acknowledged, &arrivals);
    judge(&acknowledged, &arrivals, &kills);
}

/// One life of the process: load, then SIGKILL. Returns the moment of death.
fn live_and_die(directory: &Path, round: u32, clients: &Clients, chance: &mut Chance) -> Instant {
    let binary = Path::new(env!("CARGO_BIN_EXE_posthouse"));
    if round % 5 == 4 {
        // Dies while it starts: in the middle of reading what the life before has left.
        let newborn = Posthouse::launch(binary, directory).expect("posthouse starts");
        let_pass(Duration::from_millis(chance.below(60)));
        newborn.kill().expect("it can be killed");
        return SystemClock.instant();
    }
    let posthouse = Posthouse::start(binary, directory).expect("posthouse starts");
    let address = posthouse.listener("plain").expect("the listener is bound");
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| clients.submit_until_it_breaks(address));
        }
        let_pass(Duration::from_millis(20 + chance.below(400)));
        posthouse.kill().expect("it can be killed");
        SystemClock.instant()
    })
}

/// The last life: no load; everything that is still there goes out.
fn drain(directory: &Path, acknowledged: &BTreeSet<Part>, arrivals: &Arrivals) {
    let binary = Path::new(env!("CARGO_BIN_EXE_posthouse"));
    let posthouse = Posthouse::start(binary, directory).expect("posthouse starts");
    let drained = wait_for(Duration::from_mins(1), || {
        let is_all = arrivals.missing(acknowledged).is_empty() && arrivals.halves().is_empty();
        Ok(is_all.then_some(()))
    });
    let drained = drained.expect("the probe cannot fail");
    let missing = arrivals.missing(acknowledged);
    assert!(
        drained.is_some(),
        "{} of {} acknowledged messages are missing, the first {:?}; {:?} came in part: {}",
        missing.len(),
        acknowledged.len(),
        missing.first(),
        arrivals.halves(),
        posthouse.log_tail()
    );
    posthouse.stop().expect("posthouse stops in good order");
}

fn judge(acknowledged: &BTreeSet<Part>, arrivals: &Arrivals, kills: &[Instant]) {
    let duplicates = arrivals.duplicates();
    let unexplained: Vec<_> = duplicates
        .iter()
        .filter(|duplicate| !duplicate.is_explained(kills, WINDOW))
        .collect();
    eprintln!(
        "{} acknowledged, {} arrived, {} copies too many after {} kills ({CONNECTIONS} connections to the upstream)",
        acknowledged.len(),
        arrivals.parts(),
        duplicates.len(),
        kills.len()
    );
    assert!(
        acknowledged.len() > 1000,
        "too little load to show anything"
    );
    assert_eq!(arrivals.mixed_up(), 0, "content under another's envelope");
    assert!(
        unexplained.is_empty(),
        "unexplained copies: {unexplained:?}"
    );
    assert!(
        duplicates.len() <= (CONNECTIONS + SIDE_CONNECTIONS) * kills.len(),
        "more copies than connections could have had in flight"
    );
}

/// Lets time pass: the moment of the kill is the point of the test.
fn let_pass(span: Duration) {
    let nothing = wait_for::<()>(span, || Ok(None));
    nothing.expect("the probe cannot fail");
}

const ROUNDS: u32 = 50;

const SESSIONS: usize = 3;

const CONNECTIONS: usize = 4;

/// Those of the upstream that takes the other part of a split message.
const SIDE_CONNECTIONS: usize = 2;

/// The upstream's final reply is on record after this, on any machine that is not standing still.
const WINDOW: Duration = Duration::from_millis(500);

const CONFIGURATION: &str = r#"[server]
hostname = "relay.example.com"
data_dir = "DIRECTORY/data"

[[listener]]
name = "plain"
address = ["127.0.0.1"]
ports = ["0"]
tls = "off"
auth = "off"

[relay]
enabled = true
upstream = ["recorder"]

[relay.retry]
first = "1s"
longest = "1s"

[upstream.recorder.smtp]
host = "127.0.0.1"
port = PORT
tls = "disabled"
connections = CONNECTIONS

[upstream.side.smtp]
host = "127.0.0.1"
port = PORT
tls = "disabled"
connections = SIDE_CONNECTIONS

[[route]]
recipients = ["SIDE_DOMAIN"]
upstream = "side"

[accounts]
file = "accounts.toml"
"#;

const ACCOUNTS: &str = "[account.load]\nactive = true\nnetworks = [\"127.0.0.0/8\"]\n";
