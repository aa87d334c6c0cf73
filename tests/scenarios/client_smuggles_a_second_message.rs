//! THREATS S1 and S2: whatever stands around a dot, if it is not CRLF dot CRLF, it is one message here and one message
//! at the next hop, however that looks for its end.

use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, subjects};
use crate::support::fake_upstream::Script;

/// Ends of data that some server somewhere has taken for one.
const FALSE_ENDS: &[&str] = &[
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\r.\n",
    "\n.\r",
    "\r\r\n.\r\r\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r",
    "\n\n.\r\n",
    "\r\n.\n\r\n",
    "\r\n\n.\r\n",
    "\r\n.\t\r\n",
    "\r\n. \r\n",
    "\n.\n\r\n.\n",
];

const SMUGGLED: &str = "MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<victim@recipient.example>\r\nDATA\r\n\
     From: ceo@bank.example\r\nSubject: smuggled\r\n\r\nPay.\r\n";

#[test]
fn by_data_to_an_upstream_with_data() {
    smuggle(
        Script::default().extensions(&["PIPELINING"]),
        by_data,
        FALSE_ENDS,
    );
}

#[test]
fn by_data_to_an_upstream_with_bdat() {
    smuggle(Script::default(), by_data, FALSE_ENDS);
}

#[test]
fn by_bdat_to_an_upstream_with_data() {
    let mut ends = FALSE_ENDS.to_vec();
    // In a chunk even the true one ends nothing.
    ends.push("\r\n.\r\n");
    smuggle(Script::default().extensions(&["8BITMIME"]), by_bdat, &ends);
}

#[test]
fn where_bare_newlines_are_refused() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("session.bare_newlines", "\"refuse\"")
        .start();
    let mut client = relay.neighbour();
    for end in ["\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n"] {
        client.envelope(SENDER, &[RECIPIENT]);
        client.must("DATA", "354");
        client.send(&dotted(&content(end)));
        client.must_reply("550 5.6.11");
    }
    client.must("QUIT", "221");
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}

#[test]
fn a_nul_beside_the_dot_is_refused() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    for end in ["\r\n\0.\r\n", "\r\n.\0\r\n", "\r\0\n.\r\n"] {
        client.envelope(SENDER, &[RECIPIENT]);
        client.must("DATA", "354");
        client.send(&dotted(&content(end).replace(".\r\nMAIL", ".\rMAIL")));
        client.must_reply("554 5.6.0");
    }
    client.must("QUIT", "221");
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
}

fn smuggle(script: Script, submit: fn(&Relay, &str), ends: &[&str]) {
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    for end in ends {
        submit(&relay, &content(end));
    }
    relay.submit("afterwards");
    let messages = upstream.wait_for(ends.len() + 1);
    assert_eq!(messages.len(), ends.len() + 1);
    for (end, message) in ends.iter().zip(&messages) {
        let text = String::from_utf8(message.octets.clone()).unwrap();
        assert!(text.contains("Subject: innocent"), "{end:?}: {text:?}");
        assert!(text.contains(SMUGGLED.trim_end()), "{end:?}: {text:?}");
        let lines = text.replace("\r\n", "");
        assert!(!lines.contains(['\r', '\n', '\0']), "{end:?}: {text:?}");
    }
    assert_eq!(upstream.count_lines("MAIL FROM:<ceo@"), 0);
    assert_eq!(upstream.count_lines("RCPT TO:<victim@"), 0);
    relay.stop();
}

fn content(end: &str) -> String {
    format!("From: {SENDER}\r\nSubject: innocent\r\n\r\nHello.{end}{SMUGGLED}")
}

fn dotted(content: &str) -> Vec<u8> {
    format!("{content}.\r\n").into_bytes()
}

/// All in one segment, and then in two that part at each end of the false end.
fn by_data(relay: &Relay, content: &str) {
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT]);
    client.must("DATA", "354");
    let octets = dotted(content);
    let middle = memchr::memmem::find(&octets, b"Hello.").unwrap() + 8;
    client.send(&octets[..middle]);
    client.send(&octets[middle..]);
    client.must_reply(QUEUED);
    client.must("QUIT", "221");
}

fn by_bdat(relay: &Relay, content: &str) {
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT]);
    let (first, last) = content.split_at(content.find("Hello.").unwrap() + 8);
    client.send(format!("BDAT {}\r\n{first}", first.len()).as_bytes());
    client.must_reply("250");
    client.send(format!("BDAT {} LAST\r\n{last}", last.len()).as_bytes());
    client.must_reply(QUEUED);
    client.must("QUIT", "221");
}
