//! THREATS X1: idle sessions, stalled handshakes, half messages, readers that do not read. Who has mail is served at once.

use crate::stage::{NEIGHBOUR, RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;

#[test]
fn who_has_mail_is_served() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut idlers = Vec::new();
    for _ in 0..60 {
        idlers.push(Dialogue::connect(NEIGHBOUR, relay.address("submission")));
        idlers.push(Dialogue::connect(NEIGHBOUR, relay.address("submissions")));
        let mut stalled = relay.neighbour();
        stalled.must("STARTTLS", "220");
        stalled.send(&[22, 3, 1, 2, 0]);
        idlers.push(stalled);
        let mut half = relay.neighbour();
        half.envelope(SENDER, &[RECIPIENT]);
        half.must("DATA", "354");
        half.send(&message("half"));
        idlers.push(half);
        let mut deaf = relay.neighbour();
        deaf.send(&b"EHLO client.example\r\n".repeat(90));
        idlers.push(deaf);
    }
    for number in 0..10 {
        relay.submit(&number.to_string());
    }
    let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let mut arrived = subjects(&upstream.wait_for(10));
    arrived.sort();
    assert_eq!(arrived, expected);
    assert!(relay.peak_memory_kib() < 300 << 10);
    relay.process.kill().unwrap();
}
