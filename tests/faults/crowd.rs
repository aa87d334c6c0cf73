//! As many connections as may be, held by clients that have not logged in.

use std::net::Ipv4Addr;
use std::sync::Arc;

use posthouse::submission::ConnectionLimits;

use crate::dialogue::Dialogue;
use crate::stage::{RECIPIENT, SHOP, Stage, log, runtime, wait_until};
use crate::upstream::OddUpstream;

const SENDER: &str = "orders@shop.example";

const MESSAGE: &[u8] = b"From: orders@shop.example\r\nSubject: x\r\n\r\nHello.\r\n";

#[test]
fn who_has_had_time_makes_room_the_oldest_of_the_largest_crowd_first() {
    let runtime = runtime();
    let upstream = Arc::new(OddUpstream::new(0));
    let limits = ConnectionLimits {
        total: 5,
        ..ConnectionLimits::default()
    };
    let stage = runtime.block_on(async { Stage::start_with(Arc::clone(&upstream), limits) });
    let mut known = stage.client(SHOP);
    let mut alone = stage.client(Ipv4Addr::new(127, 0, 9, 1));
    stage.clock.advance(1);
    let mut crowd: Vec<_> = (1..=3)
        .map(|host| stage.client(Ipv4Addr::new(127, 0, 1, host)))
        .collect();
    assert_eq!(stage.parts.connections(), 5);

    // Everybody has five seconds: a newcomer takes nobody's place before.
    stage.clock.advance(3);
    refused(&stage);
    // The one that has come alone has been there for longer; the crowd makes room all the same.
    stage.clock.advance(2);
    let mut newcomer = stage.client(Ipv4Addr::new(127, 0, 7, 1));
    let told = crowd.remove(0).replies_to_the_end();
    assert!(told.len() == 1 && told[0].starts_with("421"), "{told:?}");
    for client in crowd
        .iter_mut()
        .chain([&mut known, &mut alone, &mut newcomer])
    {
        client.must("NOOP", "250");
    }
    wait_until(|| stage.parts.connections() == 5);
    wait_until(|| log().contains("clients without a login make room"));

    // Whoever is known keeps the place, whatever comes, also inside a message.
    known.envelope(SENDER, &[RECIPIENT]);
    stage.clock.advance(60);
    let flood: Vec<_> = (1..=12)
        .map(|host| Dialogue::connect(Ipv4Addr::new(127, 0, 2, host), stage.address))
        .collect();
    known.must("DATA", "354");
    known.send(MESSAGE);
    known.must(".", "250 2.0.0 ok: queued as ");
    assert!(stage.parts.connections() <= 5);
    drop(flood);
    runtime.block_on(stage.stop());
}

/// A newcomer hears that there are too many.
#[track_caller]
fn refused(stage: &Stage) {
    let mut newcomer = Dialogue::connect(Ipv4Addr::new(127, 0, 7, 1), stage.address);
    let told = newcomer.replies_to_the_end();
    assert!(told.len() == 1 && told[0].starts_with("421"), "{told:?}");
}
