//! A domain goes as an A-label; a local part cannot, so its sender is told (5.6.7), and the other recipients get theirs.

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, message};
use crate::support::fake_upstream::Script;

#[test]
fn what_can_be_sent_is_sent_and_the_rest_is_reported() {
    let upstream = Server::start(Script::default().extensions(&["PIPELINING", "8BITMIME"]));
    let relay = Setup::to(&upstream).start();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}> SMTPUTF8"), "250");
    client.must("RCPT TO:<info@münchen.example>", "250");
    client.must("RCPT TO:<jürgen@recipient.example>", "250");
    client.must("DATA", "354");
    client.send(&message("international"));
    client.send(b".\r\n");
    client.must_reply("250");
    let mut messages = upstream.wait_for(2);
    messages.sort_by_key(|message| message.sender.starts_with("<>"));
    assert_eq!(messages[0].recipients, ["<info@xn--mnchen-3ya.example>"]);
    let report = Report::parse(&messages[1].octets);
    assert_eq!(report.of_recipient("Status"), "5.6.7");
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}
