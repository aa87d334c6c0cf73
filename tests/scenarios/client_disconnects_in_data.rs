//! Nothing of the message is relayed, and nothing of it stays.

use crate::stage::{RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;

#[test]
fn in_good_order_before_the_dot() {
    disconnect(|mut client| {
        in_data(&mut client);
        client.end();
        client.replies_to_the_end();
    });
}

#[test]
fn by_a_reset() {
    disconnect(|mut client| {
        in_data(&mut client);
        client.reset();
    });
}

#[test]
fn inside_the_final_dot() {
    disconnect(|mut client| {
        in_data(&mut client);
        client.send(b"\r\n.\r");
        client.end();
        client.replies_to_the_end();
    });
}

#[test]
fn inside_the_last_chunk() {
    disconnect(|mut client| {
        client.envelope(SENDER, &[RECIPIENT]);
        client.send(b"BDAT 100 LAST\r\n");
        client.send(&message("half"));
        client.end();
        client.replies_to_the_end();
    });
}

#[test]
fn between_chunks() {
    disconnect(|mut client| {
        client.envelope(SENDER, &[RECIPIENT]);
        let message = message("half");
        client.send(format!("BDAT {}\r\n", message.len()).as_bytes());
        client.send(&message);
        client.must_reply("250");
        client.end();
        client.replies_to_the_end();
    });
}

fn in_data(client: &mut Dialogue) {
    client.envelope(SENDER, &[RECIPIENT]);
    client.must("DATA", "354");
    client.send(&message("half"));
}

fn disconnect(disconnect: impl Fn(Dialogue)) {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    disconnect(relay.neighbour());
    relay.submit("before the kill");
    assert_eq!(subjects(&upstream.wait_for(1)), ["before the kill"]);
    relay.process.kill().unwrap();
    // Nor does it come out of the spool after a crash, when what had just arrived may come again.
    let relay = setup.start();
    relay.submit("after the kill");
    relay.wait_for_log(&["relayed"]);
    relay.stop();
    let subjects = subjects(&upstream.messages());
    assert!(!subjects.contains(&"half".to_owned()), "{subjects:?}");
}
