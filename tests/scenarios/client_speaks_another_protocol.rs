//! THREATS T5, P1: a browser, a random stream, a line without end. Each is answered shortly and harms nobody.

use crate::stage::{Server, Setup, subjects};

#[test]
fn http_is_turned_away_at_once() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    client.send(
        b"POST / HTTP/1.1\r\nHost: relay.example.com\r\n\r\nMAIL FROM:<orders@shop.example>\r\nRCPT TO:<v@recipient.example>\r\nDATA\r\n.\r\n",
    );
    let replies = client.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("554 5.5.1"),
        "{replies:?}"
    );
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}

#[test]
fn a_long_line_is_one_command_with_one_reply() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    for length in [2049, 4096, 16_384, 1 << 20] {
        let mut client = relay.neighbour();
        let mut line = "NOOP ".repeat(length / 5 + 2);
        line.push_str("\r\n");
        client.send(line.as_bytes());
        client.must_reply("500 5.5.2");
        client.must("NOOP", "250");
    }
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}

#[test]
fn garbage_ends_the_session_soon() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    let mut garbage = Vec::new();
    for number in 0..20_000_u32 {
        garbage.extend(number.wrapping_mul(2_654_435_761).to_le_bytes());
        garbage.extend_from_slice(b"\r\n");
    }
    // The server may be gone before all of it is read.
    drop(client.try_send(&garbage));
    let replies = client.replies_to_the_end();
    assert!(replies.len() < 20, "{} replies", replies.len());
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}
