//! In the envelope or in any field that a reader takes for the sender: it hears 550 5.7.1 and nothing is relayed.

use std::process::Command;

use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, binary, message_with, subjects};

#[test]
fn in_the_envelope() {
    let (upstream, relay) = start();
    let mut client = relay.neighbour();
    for sender in [
        "<ceo@bank.example>",
        "<orders@evil.shop.example>",
        "<orders@shop.example.evil.example>",
        "<orders@xshop.example>",
        "<orders@shop.exampl>",
        "<\"orders@shop.example\"@bank.example>",
        "<@shop.example:ceo@bank.example>",
    ] {
        let reply = client.say(&format!("MAIL FROM:{sender}"));
        assert!(reply.starts_with("550 5.7.1"), "{sender}: {reply}");
    }
    let reply = client.must("MAIL FROM:<ceo@bank.example>", "550 5.7.1");
    assert!(
        reply.contains("shop.example"),
        "it says what may be used: {reply}"
    );
    check_next(&upstream, relay);
}

#[test]
fn in_the_header() {
    let (upstream, relay) = start();
    for fields in [
        "From: ceo@bank.example\r\n",
        "From: orders@shop.example, ceo@bank.example\r\n",
        "From: ceo@bank.example, orders@shop.example\r\nSender: orders@shop.example\r\n",
        "From: orders@shop.example\r\nSender: ceo@bank.example\r\n",
        "From: orders@shop.example\r\nResent-From: ceo@bank.example\r\n",
        "From: orders@shop.example\r\nResent-Sender: ceo@bank.example\r\n",
        "From: Orders\r\n <ceo@bank.example>\r\n",
        "From: \"orders@shop.example\" <ceo@bank.example>\r\n",
        "From: orders@shop.example <ceo@bank.example>\r\n",
        "From: (orders@shop.example) ceo@bank.example\r\n",
        "From: =?utf-8?Q?ceo=40bank.example?= <orders@shop.example>\r\n",
        "From: \"ceo@bank.example\" <orders@shop.example>\r\n",
        "From: <@shop.example:ceo@bank.example>\r\n",
        "From: Us: orders@shop.example, ceo@bank.example;\r\n",
        "From: orders@shop.example\r\nFrom: ceo@bank.example\r\n",
        "From: ceo@bank.example\r\nFrom: orders@shop.example\r\n",
        "from: orders@shop.example\r\nFROM : ceo@bank.example\r\n",
        "From : ceo@bank.example\r\nFrom: orders@shop.example\r\n",
        "From: orders@shop.example\r\nX: y\rFrom: ceo@bank.example\r\n",
        "From: orders@shop.example\r\nX: y\nFrom: ceo@bank.example\r\n",
        " From: ceo@bank.example\r\nFrom: orders@shop.example\r\n",
        "Subject: no sender\r\n",
        "From:\r\n",
        "From: <>\r\n",
        "From: orders@shop.example\r\nSender: <>\r\n",
    ] {
        refused(&relay, SENDER, fields);
    }
    check_next(&upstream, relay);
}

#[test]
fn with_a_null_reverse_path_the_header_counts() {
    let (upstream, relay) = start();
    refused(&relay, "", "From: ceo@bank.example\r\n");
    refused(&relay, "", "Subject: no sender\r\n");
    let good = message_with(
        "From: orders@shop.example\r\nSubject: out of office\r\n",
        "Hi.\r\n",
    );
    let reply = relay.neighbour().submit("", &[RECIPIENT], &good);
    assert!(reply.starts_with("250"), "{reply}");
    let messages = upstream.wait_for(1);
    assert_eq!(subjects(&messages), ["out of office"]);
    assert!(messages[0].sender.starts_with("<>"));
    relay.stop();
}

#[test]
fn where_that_only_alerts_it_is_relayed_logged_and_counted() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("account.shop.on_unauthorized", "\"alert\"");
    let relay = setup.start();
    let fields = "From: ceo@bank.example\r\nSubject: alert\r\n";
    let reply = relay.neighbour().submit(
        "ceo@bank.example",
        &[RECIPIENT],
        &message_with(fields, "Hi.\r\n"),
    );
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["alert"]);
    let line = relay.wait_for_log(&["WARN", "unauthorized sender relayed"]);
    assert!(
        line.contains("account=shop") && line.contains("ceo@bank.example"),
        "{line}"
    );
    // Two From: fields are no question of who may what; they are refused all the same.
    let fields = "From: ceo@bank.example\r\nFrom: orders@shop.example\r\n";
    refused(&relay, SENDER, fields);
    let status = Command::new(binary())
        .args(["status", "--json", "--config"])
        .arg(setup.path().join("posthouse.toml"))
        .output()
        .unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let counts = &status["server"]["submission"];
    assert_eq!(counts["unauthorized_relayed"], 1, "{status}");
    assert_eq!(
        (&counts["accepted"], &counts["refused"]),
        (&1.into(), &1.into()),
        "{status}"
    );
    relay.stop();
}

fn start() -> (Server, Relay) {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    (upstream, relay)
}

#[track_caller]
fn refused(relay: &Relay, reverse_path: &str, fields: &str) {
    let mut client = relay.neighbour();
    let reply = client.submit(
        reverse_path,
        &[RECIPIENT],
        &message_with(fields, "Pay.\r\n"),
    );
    let is_refused = reply.starts_with("550 5.7.1") || reply.starts_with("554 5.6.0");
    assert!(is_refused, "{fields:?}: {reply}");
}

#[track_caller]
fn check_next(upstream: &Server, relay: Relay) {
    relay.submit("next");
    assert_eq!(subjects(&upstream.wait_for(1)), ["next"]);
    assert_eq!(upstream.count_lines("MAIL"), 1);
    relay.stop();
}
