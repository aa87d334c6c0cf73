//! It hears 421 and is gone; a drop now and then does not keep it alive.

use std::time::Duration;

use crate::stage::{NEIGHBOUR, Relay, SENDER, Server, Setup, subjects};
use crate::support::dialogue::Dialogue;

#[test]
fn silence_instead_of_a_command() {
    let (upstream, relay) = impatient("session.timeouts.command");
    let client = relay.neighbour();
    assert_closes(client, "421 4.4.2");
    check_others(&upstream, relay);
}

#[test]
fn silence_instead_of_a_login() {
    let (upstream, relay) = impatient("session.timeouts.before_auth");
    let client = relay.stranger();
    assert_closes(client, "421 4.7.0");
    check_others(&upstream, relay);
}

#[test]
fn silence_inside_a_message() {
    let (upstream, relay) = impatient("session.timeouts.data");
    let mut client = relay.neighbour();
    client.envelope(SENDER, &["victim@recipient.example"]);
    client.must("DATA", "354");
    client.send(b"Subject: half\r\n");
    assert_closes(client, "421 4.4.2");
    check_others(&upstream, relay);
}

#[test]
fn silence_instead_of_a_handshake() {
    let (upstream, relay) = impatient("session.timeouts.handshake");
    let mut client = Dialogue::connect(NEIGHBOUR, relay.address("submissions"));
    // It may be waiting for a greeting: then this is the only way to tell the person what is wrong.
    let said = client.replies_to_the_end();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("554 5.7.10 TLS comes first"),
        "{said:?}"
    );
    let mut client = relay.neighbour();
    client.must("STARTTLS", "220");
    assert_eq!(client.replies_to_the_end(), [""; 0]);
    check_others(&upstream, relay);
}

#[test]
fn one_octet_at_a_time() {
    let (upstream, relay) = impatient("session.timeouts.command");
    let mut client = relay.neighbour();
    let reply = (0..100).find_map(|_| {
        client.send(b"N");
        client.reply_within(Duration::from_millis(50))
    });
    assert!(reply.expect("it is told").starts_with("421 4.4.2"));
    check_others(&upstream, relay);
}

fn impatient(path: &str) -> (Server, Relay) {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).with(path, "\"1s\"").start();
    (upstream, relay)
}

#[track_caller]
fn assert_closes(mut client: Dialogue, reply: &str) {
    let replies = client.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with(reply),
        "{replies:?}"
    );
}

#[track_caller]
fn check_others(upstream: &Server, relay: Relay) {
    relay.submit("others");
    assert_eq!(subjects(&upstream.wait_for(1)), ["others"]);
    relay.stop();
}
