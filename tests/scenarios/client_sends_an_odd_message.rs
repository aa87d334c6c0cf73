//! Empty, without a body, without a header, without an end of its last line, after many hops: taken or refused, once,
//! with a reply that says why.

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, field};

#[test]
fn what_can_be_relayed_is_relayed_whole() {
    let (upstream, relay) = start();
    let mut client = relay.neighbour();
    for content in [
        // No body, and no empty line.
        "From: orders@shop.example\r\nSubject: header\r\n",
        "From: orders@shop.example\r\nSubject: empty body\r\n\r\n",
        "From: orders@shop.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n...\r\n. .\r\n",
        "From: orders@shop.example\r\nSubject:\r\n folded\r\n\tagain\r\n\r\nx\r\n",
        "X-Long: 1\r\nFrom: orders@shop.example\r\nSubject: eight bit\r\n\r\n\u{e9}\u{20ac}\r\n",
    ] {
        let reply = client.submit(SENDER, &[RECIPIENT], content.as_bytes());
        assert!(reply.starts_with("250"), "{content:?}: {reply}");
    }
    let messages = upstream.wait_for(5);
    let bodies: Vec<_> = messages
        .iter()
        .map(|message| {
            let text = String::from_utf8(message.octets.clone()).unwrap();
            assert!(field(&message.octets, "Date").is_some(), "{text}");
            assert!(field(&message.octets, "Message-ID").is_some(), "{text}");
            text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert!(
        bodies[0].as_deref().unwrap_or_default().is_empty(),
        "{bodies:?}"
    );
    assert_eq!(
        bodies[1..],
        [
            some(""),
            some(".\r\n..\r\n...\r\n. .\r\n"),
            some("x\r\n"),
            some("\u{e9}\u{20ac}\r\n")
        ]
    );
    relay.stop();
}

#[test]
fn what_is_no_message_is_refused() {
    let (upstream, relay) = start();
    for content in [
        "",
        "\r\n",
        "Hello, this is text.\r\n",
        "\r\nFrom: orders@shop.example\r\n\r\ntext\r\n",
        "From: orders@shop.example\r\nthis is no field\r\nSubject: x\r\n\r\ntext\r\n",
    ] {
        let reply = relay
            .neighbour()
            .submit(SENDER, &[RECIPIENT], content.as_bytes());
        assert!(reply.starts_with("55"), "{content:?}: {reply}");
    }
    relay.submit("next");
    assert_eq!(upstream.wait_for(1).len(), 1);
    relay.stop();
}

#[test]
fn a_loop_ends() {
    let (upstream, relay) = start();
    let hops = |count| "Received: from a by b; Sat, 21 Nov 2026 08:00:00 +0000\r\n".repeat(count);
    let rest = "From: orders@shop.example\r\nSubject: round\r\n\r\n";
    let mut client = relay.neighbour();
    let reply = client.submit(
        SENDER,
        &[RECIPIENT],
        format!("{}{rest}", hops(150)).as_bytes(),
    );
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    let reply = client.submit(
        SENDER,
        &[RECIPIENT],
        format!("{}{rest}", hops(20)).as_bytes(),
    );
    assert!(reply.starts_with("250"), "{reply}");
    upstream.wait_for(1);
    relay.stop();
}

fn start() -> (Server, Relay) {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    (upstream, relay)
}
