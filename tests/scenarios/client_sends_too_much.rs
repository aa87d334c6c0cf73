//! A message over the limit is refused wherever that shows first; the session goes on and the next message is taken.

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, message, message_with, subjects};

#[test]
fn it_says_so_at_mail() {
    let (upstream, relay) = small();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}> SIZE=65537"), "552 5.3.4");
    client.must(
        &format!("MAIL FROM:<{SENDER}> SIZE=18446744073709551617"),
        "5",
    );
    client.must("NOOP", "250");
    check_next(&upstream, relay);
}

#[test]
fn it_lies_at_mail() {
    let (upstream, relay) = small();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}> SIZE=10"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(&large());
    // What follows is data, not a command.
    client.send(b"MAIL FROM:<ceo@bank.example>\r\n.\r\n");
    client.must_reply("552 5.3.4");
    let reply = client.submit(SENDER, &[RECIPIENT], &message("next"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["next"]);
    relay.stop();
}

#[test]
fn it_comes_in_chunks() {
    let (upstream, relay) = small();
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT]);
    let large = large();
    let (first, last) = large.split_at(60_000);
    client.send(format!("BDAT {}\r\n", first.len()).as_bytes());
    client.send(first);
    client.must_reply("250");
    client.send(format!("BDAT {} LAST\r\n", last.len()).as_bytes());
    client.send(last);
    client.must_reply("552 5.3.4");
    client.must("NOOP", "250");
    check_next(&upstream, relay);
}

#[test]
fn a_chunk_of_any_announced_size_is_not_taken_for_nothing() {
    let (upstream, relay) = small();
    for size in [
        "65537",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
    ] {
        let mut client = relay.neighbour();
        client.envelope(SENDER, &[RECIPIENT]);
        client.send(format!("BDAT {size} LAST\r\n").as_bytes());
        // These would be commands, if the chunk were taken to have no octets.
        client.send(b"RSET\r\nNOOP\r\n");
        let replies = client.replies_to_the_end();
        assert!(
            replies.iter().all(|reply| !reply.starts_with('2')),
            "{size}: {replies:?}"
        );
    }
    check_next(&upstream, relay);
}

fn small() -> (Server, Relay) {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("session.limits.message_size", "\"64 KiB\"")
        .start();
    (upstream, relay)
}

fn large() -> Vec<u8> {
    message_with(
        &format!("From: {SENDER}\r\nSubject: large\r\n"),
        &"Hello, hello, hello, hello.\r\n".repeat(3000),
    )
}

#[track_caller]
fn check_next(upstream: &Server, relay: Relay) {
    relay.submit("next");
    assert_eq!(subjects(&upstream.wait_for(1)), ["next"]);
    relay.stop();
}
