//! THREATS R1: without a login nothing is taken, whatever the sender or the recipient looks like.

use crate::stage::{Server, Setup, subjects};
use crate::support::dialogue::Dialogue;

const SENDERS: &[&str] = &[
    "<>",
    "<orders@shop.example>",
    "<postmaster@relay.example.com>",
    "<root@localhost>",
    "<root@[127.0.0.1]>",
    "<nobody@nowhere.example>",
    "<postmaster>",
];

const RECIPIENTS: &[&str] = &[
    "<victim@recipient.example>",
    "<\"victim@recipient.example\">",
    "<\"victim%recipient.example\"@relay.example.com>",
    "<victim%recipient.example@relay.example.com>",
    "<victim%recipient.example@[127.0.0.1]>",
    "<@relay.example.com:victim@recipient.example>",
    "<recipient.example!victim@relay.example.com>",
    "<recipient.example!victim>",
    "<\"victim@recipient.example\"@relay.example.com>",
    "<victim@recipient.example@relay.example.com>",
    "<@[127.0.0.1]:victim@recipient.example>",
    "<Postmaster>",
];

#[test]
fn in_clear() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    try_all(|| relay.stranger());
    relay.submit("of the account");
    assert_eq!(subjects(&upstream.wait_for(1)), ["of the account"]);
    assert_eq!(upstream.count_lines("MAIL"), 1);
    relay.stop();
}

#[test]
fn inside_tls() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    try_all(|| relay.secured_stranger());
    relay.submit("of the account");
    assert_eq!(subjects(&upstream.wait_for(1)), ["of the account"]);
    assert_eq!(upstream.count_lines("MAIL"), 1);
    relay.stop();
}

fn try_all(connect: impl Fn() -> Dialogue) {
    for sender in SENDERS {
        let mut client = connect();
        let reply = client.say(&format!("MAIL FROM:{sender}"));
        let is_refused = reply.starts_with("530 5.7.0") || reply.starts_with("501");
        assert!(is_refused, "{sender}: {reply}");
    }
    for recipients in RECIPIENTS.chunks(4) {
        let mut client = connect();
        client.must("MAIL FROM:<orders@shop.example>", "530");
        for recipient in recipients {
            let reply = client.say(&format!("RCPT TO:{recipient}"));
            assert!(reply.starts_with('5'), "{recipient}: {reply}");
        }
        client.must("DATA", "503");
    }
    let mut client = connect();
    client.send(
        b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<v@recipient.example>\r\nBDAT 5 LAST\r\nHello",
    );
    for _ in 0..3 {
        let reply = client.reply();
        assert!(reply.starts_with('5'), "{reply}");
    }
    client.must("NOOP", "250");
}
