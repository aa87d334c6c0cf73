//! A report to an international sender is an international one; to another it is written in ASCII (RFC 6533).

use crate::report::Report;
use crate::stage::{Relay, SENDER, Server, Setup, message_with};
use crate::support::fake_upstream::Script;

/// Submits a message to a recipient that the upstream refuses.
#[track_caller]
fn submit(relay: &Relay, sender: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{sender}> SMTPUTF8 RET=FULL"), "250");
    client.must(
        "RCPT TO:<żółw@recipient.example> ORCPT=utf-8;żaba@recipient.example",
        "250",
    );
    client.must("DATA", "354");
    let fields = format!("From: <{sender}>\r\nSubject: Grüße\r\n");
    client.send(&message_with(&fields, "Hello.\r\n"));
    client.send(b".\r\n");
    client.must_reply("250");
}

fn refusing() -> Server {
    Server::start(Script::default().refuse_recipient("żółw@recipient.example", "550 5.1.1 unknown"))
}

#[test]
fn the_way_back_carries_the_addresses_as_they_are() {
    let upstream = refusing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, "jürgen@shop.example");
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.contains(" SMTPUTF8"), "{messages:?}");
    assert!(messages[0].recipients[0].starts_with("<jürgen@shop.example>"));
    let report = Report::parse(&messages[0].octets);
    assert!(report.is_global);
    assert_eq!(
        report.of_recipient("Final-Recipient"),
        "utf-8; żółw@recipient.example"
    );
    assert_eq!(
        report.of_recipient("Original-Recipient"),
        "utf-8; żaba@recipient.example"
    );
    assert!(report.returned.contains("Grüße") && report.returned.contains("Hello."));
    relay.stop();
}

#[test]
fn a_way_back_that_is_not_international_carries_them_in_ascii() {
    let upstream = refusing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, SENDER);
    let messages = upstream.wait_for(1);
    assert!(!messages[0].sender.contains("SMTPUTF8"), "{messages:?}");
    let report = Report::parse(&messages[0].octets);
    assert!(!report.is_global);
    assert_eq!(
        report.of_recipient("Final-Recipient"),
        r"utf-8; \x{17C}\x{F3}\x{142}w@recipient.example"
    );
    assert_eq!(
        report.of_recipient("Original-Recipient"),
        r"utf-8; \x{17C}aba@recipient.example"
    );
    // In base64: the header is not one that every system may see.
    assert!(report.returned.is_ascii());
    relay.stop();
}

#[test]
fn the_original_address_is_passed_on_in_ascii() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, SENDER);
    let messages = upstream.wait_for(1);
    assert_eq!(
        messages[0].recipients,
        [r"<żółw@recipient.example> ORCPT=utf-8;\x{17C}aba@recipient.example"]
    );
    relay.stop();
}
