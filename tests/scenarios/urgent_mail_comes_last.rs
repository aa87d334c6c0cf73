//! One connection, an upstream that holds back, a queue: what is urgent leaves first, the rest in the order it came.

use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, message_with, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn by_mt_priority_in_the_envelope() {
    let (upstream, relay) = start(&[]);
    queue(&relay, "", "low one", "");
    queue(&relay, "", "low two", "");
    queue(&relay, "", "urgent", " MT-PRIORITY=6");
    queue(&relay, "", "low three", "");
    let order = ["first", "urgent", "low one", "low two", "low three"];
    assert_order(&upstream, relay, &order);
}

#[test]
fn by_fields_of_the_header() {
    let (upstream, relay) = start(&[]);
    queue(&relay, "", "low", "");
    queue(&relay, "X-Priority: 3\r\n", "normal", "");
    queue(&relay, "Importance: high\r\n", "high", "");
    queue(&relay, "X-Priority: 1 (Highest)\r\n", "highest", "");
    queue(&relay, "X-Priority: 5\r\n", "lower than the account's", "");
    queue(&relay, "X-Priority: 99999\r\n", "nonsense", "");
    queue(&relay, "X-Priority: -1\r\n", "more nonsense", "");
    let order = [
        "first",
        "highest",
        "high",
        "normal",
        "low",
        "lower than the account's",
        "nonsense",
        "more nonsense",
    ];
    assert_order(&upstream, relay, &order);
}

#[test]
fn but_not_above_what_the_account_may_claim() {
    let (upstream, relay) = start(&[("account.shop.max_priority", "3")]);
    queue(&relay, "", "low", "");
    queue(&relay, "X-Priority: 3\r\n", "normal", "");
    queue(&relay, "X-Priority: 1\r\n", "claims the highest", "");
    queue(&relay, "", "claims it in the envelope", " MT-PRIORITY=9");
    let order = [
        "first",
        "normal",
        "claims the highest",
        "claims it in the envelope",
        "low",
    ];
    assert_order(&upstream, relay, &order);
}

/// Starts with one message on its way that the upstream holds.
fn start(settings: &[(&str, &str)]) -> (Server, Relay) {
    let upstream = Server::start(Script::default().quirk(Quirk::HoldAt("MAIL".to_owned())));
    let mut setup = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .with("account.shop.priority", "4");
    for (path, value) in settings {
        setup = setup.with(path, value);
    }
    let relay = setup.start();
    queue(&relay, "", "first", "");
    upstream.wait_for_line("MAIL");
    (upstream, relay)
}

#[track_caller]
fn queue(relay: &Relay, fields: &str, subject: &str, parameters: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>{parameters}"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    let fields = format!("From: {SENDER}\r\nSubject: {subject}\r\n{fields}");
    client.send(&message_with(&fields, "Hello.\r\n.\r\n"));
    client.must_reply(QUEUED);
}

#[track_caller]
fn assert_order(upstream: &Server, relay: Relay, order: &[&str]) {
    upstream.set_script(Script::default());
    assert_eq!(subjects(&upstream.wait_for(order.len())), order);
    relay.stop();
}
