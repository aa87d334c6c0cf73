//! An upstream without 8BITMIME is sent octets up to 127; what a client says of its octets does not matter.

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, message_with};
use crate::support::fake_upstream::Script;

const FIELDS: &str = "From: <orders@shop.example>\r\nSubject: words\r\nMIME-Version: 1.0\r\n\
                      Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

/// Submits a message without a word of its octets.
#[track_caller]
fn submit(relay: &Relay, fields: &str, text: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(&message_with(fields, text));
    client.send(b".\r\n");
    client.must_reply("250");
}

/// Too large to be held in memory as a whole.
fn large() -> String {
    "stra\u{df}e\r\n".repeat(50_000)
}

#[test]
fn a_message_small_or_large_arrives_encoded() {
    for text in ["f\u{fc}r\r\n".to_owned(), large()] {
        let upstream = Server::start(Script::default().extensions(&["PIPELINING", "SIZE"]));
        let relay = Setup::to(&upstream).start();
        submit(&relay, FIELDS, &text);
        let message = &upstream.wait_for(1)[0];
        let arrived = str::from_utf8(&message.octets).unwrap();
        assert!(arrived.is_ascii() && !message.sender.contains("BODY="));
        assert!(arrived.contains("Content-Transfer-Encoding: quoted-printable\r\n"));
        let body = arrived.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(
            body.replace("=C3=9F", "\u{df}").replace("=C3=BC", "\u{fc}"),
            text
        );
        relay.stop();
    }
}

#[test]
fn a_client_that_says_nothing_of_its_octets_is_found_out() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, FIELDS, &large());
    submit(&relay, FIELDS, "plain\r\n");
    let mut messages = upstream.wait_for(2);
    messages.sort_by_key(|message| message.octets.len());
    assert!(!messages[0].sender.contains("BODY="));
    assert!(messages[1].sender.contains(" BODY=8BITMIME"));
    assert!(messages[1].octets.ends_with(large().as_bytes()));
    relay.stop();
}

#[test]
fn a_signed_message_goes_as_it_is() {
    let upstream = Server::start(Script::default().extensions(&["PIPELINING", "SIZE"]));
    let relay = Setup::to(&upstream).start();
    for text in ["f\u{fc}r\r\n".to_owned(), large()] {
        submit(
            &relay,
            &format!("DKIM-Signature: v=1; d=shop.example\r\n{FIELDS}"),
            &text,
        );
    }
    for message in upstream.wait_for(2) {
        assert!(
            message.octets.ends_with(b"\xc3\xbcr\r\n")
                || message.octets.ends_with(large().as_bytes())
        );
    }
    relay.stop();
}
