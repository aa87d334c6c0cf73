//! What a panic ends, and what goes on.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;

use posthouse::alert::Kind;
use posthouse::spool::SpoolAdmin as _;

use crate::spool::{self, PANICS_STORE};
use crate::stage::{
    CLOCK_SAID, PATIENCE, RECIPIENT, SHOP, SINGLE, Stage, log, runtime, wait_until,
};
use crate::upstream::{self, OddUpstream, PANICS_ATTEMPT};

const SENDER: &str = "orders@shop.example";

const MESSAGE: &[u8] = b"From: orders@shop.example\r\nSubject: x\r\n\r\nHello.\r\n";

/// Returns the lines of the log that tell of a panic which said this.
fn panics_in_log(said: &str) -> Vec<String> {
    let log = log();
    let lines = log
        .lines()
        .filter(|line| line.contains("panicked") && line.contains(said));
    lines.map(str::to_owned).collect()
}

#[test]
fn of_a_session_ends_that_session_alone_and_gives_all_back() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(0));
    let stage = runtime.block_on(async { Stage::start(Arc::clone(&upstream)) });
    let mut other = stage.client(SHOP);
    other.envelope(SENDER, &[RECIPIENT]);
    let mut odd = stage.client(SINGLE);
    odd.envelope(PANICS_STORE, &[RECIPIENT]);
    odd.must("DATA", "354");
    odd.send(MESSAGE);
    odd.send(b".\r\n");
    assert_eq!(
        odd.replies_to_the_end(),
        Vec::<String>::new(),
        "no reply says that it is stored"
    );
    wait_until(|| stage.parts.connections() == 1);

    // The other one goes on where it was.
    other.must("DATA", "354");
    other.send(MESSAGE);
    other.must(".", "250 2.0.0 ok: queued as ");
    wait_until(|| upstream.taken().len() == 1);
    // The account's only session has been given back.
    let mut next = stage.client(SINGLE);
    let queued = next.submit(SENDER, &[RECIPIENT], MESSAGE);
    assert!(queued.starts_with("250"), "{queued}");
    wait_until(|| upstream.taken().len() == 2);

    let lines = panics_in_log(spool::SAID);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "ERROR",
        "session{session=1 peer=127.0.0.3",
        "alert=\"system_error\"",
        "place=\"tests/faults/spool.rs:",
        "hint=",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    let alert = stage.wait_for_alert(spool::SAID);
    assert_eq!(alert.kind, Kind::SystemError);
    runtime.block_on(stage.stop());
}

#[test]
fn of_an_attempt_puts_its_message_off_and_frees_its_connection() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(2));
    let stage = runtime.block_on(async { Stage::start(Arc::clone(&upstream)) });
    let mut client = stage.client(SHOP);
    client.submit(PANICS_ATTEMPT, &[RECIPIENT], MESSAGE);
    // There is one connection: one that stays taken would hold this up for ever.
    client.submit(SENDER, &[RECIPIENT], MESSAGE);
    wait_until(|| upstream.taken().len() == 2);
    let mut taken = upstream.taken();
    taken.sort();
    assert_eq!(
        taken,
        [format!("<{PANICS_ATTEMPT}>"), format!("<{SENDER}>")],
        "each once"
    );
    let waiting = || async { stage.spool.engine().list(None, 9).await.unwrap().len() };
    wait_until(|| runtime.block_on(waiting()) == 0);

    let lines = panics_in_log(upstream::SAID);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("attempt{queue_id="), "{}", lines[0]);
    assert!(lines[0].contains("attempt=1"), "{}", lines[0]);
    assert!(lines[1].contains("attempt=2"), "it counts: {}", lines[1]);
    let log = log();
    let is_deferred =
        |line: &str| line.contains("deferred") && line.contains("a fault of posthouse");
    assert_eq!(log.lines().filter(|line| is_deferred(line)).count(), 2);
    let alert = stage.wait_for_alert(upstream::SAID);
    assert_eq!(alert.kind, Kind::SystemError);
    runtime.block_on(stage.stop());
}

#[test]
fn of_a_port_costs_one_connection_and_the_port_goes_on() {
    let runtime = runtime();
    let stage = runtime.block_on(async { Stage::start(Arc::new(OddUpstream::new(0))) });
    stage.clock.panic_next();
    let mut odd = TcpStream::connect(stage.address).unwrap();
    odd.set_read_timeout(Some(PATIENCE)).unwrap();
    let read = odd.read(&mut [0; 1]);
    assert!(
        matches!(read, Ok(0)) || read.is_err_and(|error| error.raw_os_error() == Some(104)),
        "it is closed"
    );
    let mut next = stage.client(SHOP);
    let queued = next.submit(SENDER, &[RECIPIENT], MESSAGE);
    assert!(queued.starts_with("250"), "{queued}");
    assert_eq!(stage.parts.connections(), 1);
    assert_eq!(panics_in_log(CLOCK_SAID).len(), 1);
    assert_eq!(stage.wait_for_alert(CLOCK_SAID).kind, Kind::SystemError);
    runtime.block_on(stage.stop());
}
