//! THREATS T5, P1: a browser, a random stream, a line without end. Each is answered shortly and harms nobody.

use crate::stage::{Relay, Server, Setup, subjects};
use crate::support::dialogue::Dialogue;

/// Says something to a listener from an address of its own, as the log tells of each once a minute; returns what is heard.
fn say(relay: &Relay, listener: &str, from: u8, octets: &[u8]) -> Vec<String> {
    let mut client = Dialogue::connect([127, 0, 1, from], relay.address(listener));
    // The server may have gone already.
    drop(client.try_send(octets));
    client.replies_to_the_end()
}

const TLS_HELLO: &[u8] = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03";
const RDP: &[u8] = b"\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: mstshash=hello\r\n";

#[test]
fn tls_on_a_port_of_plain_text_is_told_once_with_what_to_do() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    for _ in 0..3 {
        // It has had the greeting; more it could not read.
        let replies = say(&relay, "submission", 1, TLS_HELLO);
        assert!(
            replies.len() == 1 && replies[0].starts_with("220"),
            "{replies:?}"
        );
    }
    let line = relay.wait_for_log(&["client speaks another protocol", "protocol=TLS"]);
    assert!(
        line.contains("SSL/TLS") && line.contains("peer=127.0.1.1"),
        "{line}"
    );
    assert_eq!(relay.count_in_log("client speaks another protocol"), 1);
    relay.stop();
}

#[test]
fn plain_text_where_tls_comes_first_is_answered_in_plain_text() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("session.timeouts.handshake", "\"1s\"")
        .start();
    let replies = say(
        &relay,
        "submissions",
        1,
        b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n",
    );
    assert!(
        replies.len() == 1 && replies[0].starts_with("554 5.7.10"),
        "{replies:?}"
    );
    let line = relay.wait_for_log(&["client speaks plain text where TLS comes first"]);
    assert!(line.contains("STARTTLS"), "{line}");
    // A client that waits for a greeting hears why there was none.
    let replies = say(&relay, "submissions", 2, b"");
    assert!(
        replies.len() == 1 && replies[0].starts_with("554 5.7.10"),
        "{replies:?}"
    );
    relay.wait_for_log(&["client is silent where TLS comes first", "peer=127.0.1.2"]);
    relay.stop();
}

#[test]
fn other_protocols_get_one_line_and_are_turned_away_on_every_port() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let speakers = [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], 1),
        ("HTTP", b"CONNECT mail.example:25 HTTP/1.1\r\n\r\n", 1),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", 1),
        ("RDP", RDP, 0),
    ];
    let mut from = 0;
    for (listener, greetings) in [("submission", 1), ("submissions", 0)] {
        for (protocol, octets, answers) in speakers {
            from += 1;
            let replies = say(&relay, listener, from, octets);
            assert_eq!(
                replies.len(),
                greetings + answers,
                "{protocol}: {replies:?}"
            );
            let peer = format!("peer=127.0.1.{from} ");
            let line = relay.wait_for_log(&["client speaks another protocol", &peer]);
            assert!(line.contains(&format!("protocol={protocol}")), "{line}");
        }
    }
    relay.stop();
}

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
