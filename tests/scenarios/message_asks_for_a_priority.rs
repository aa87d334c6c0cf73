//! MT-PRIORITY: the next server hears what was decided here, in MAIL or, where it does not know that, in the header.

use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, field, message_with};
use crate::support::fake_upstream::Script;

#[test]
fn it_is_passed_on_as_finely_as_it_was_said() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, " MT-PRIORITY=4", "250 2.1.0", "");
    let message = upstream.wait_for(1).remove(0);
    assert!(message.sender.ends_with(" MT-PRIORITY=4"), "{message:?}");
    assert_eq!(field(&message.octets, "MT-Priority").unwrap(), "4");
    relay.stop();
}

#[test]
fn one_that_is_not_granted_is_replaced_everywhere() {
    let upstream = Server::start(Script::default().extensions(&[]));
    let relay = Setup::to(&upstream)
        .with("account.shop.max_priority", "2")
        .start();
    let reply = "250 2.3.6 3 is the new priority assigned to the message";
    submit(&relay, " MT-PRIORITY=9", reply, "MT-Priority: 9\r\n");
    let message = upstream.wait_for(1).remove(0);
    assert_eq!(message.sender, format!("<{SENDER}>"));
    let text = String::from_utf8_lossy(&message.octets).into_owned();
    assert_eq!(text.matches("MT-Priority:").count(), 1, "{text}");
    assert_eq!(field(&message.octets, "MT-Priority").unwrap(), "3");
    submit(&relay, "", "250 2.1.0", "MT-Priority: -2\r\n");
    let message = upstream.wait_for(2).remove(1);
    assert_eq!(field(&message.octets, "MT-Priority").unwrap(), "0");
    submit(&relay, "", "250 2.1.0", "X-Priority: 2\r\n");
    let message = upstream.wait_for(3).remove(2);
    assert_eq!(field(&message.octets, "MT-Priority"), None);
    relay.stop();
}

#[test]
fn recipients_see_none_where_it_is_stripped() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.shop.priority_header", "\"strip\"")
        .start();
    submit(
        &relay,
        " MT-PRIORITY=-7",
        "250 2.3.6 0 ",
        "MT-Priority: 1\r\n",
    );
    let message = upstream.wait_for(1).remove(0);
    assert!(message.sender.ends_with(" MT-PRIORITY=0"), "{message:?}");
    assert_eq!(field(&message.octets, "MT-Priority"), None);
    relay.stop();
}

#[track_caller]
fn submit(relay: &Relay, parameters: &str, reply: &str, fields: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>{parameters}"), reply);
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    let fields = format!("From: {SENDER}\r\nSubject: x\r\n{fields}");
    client.send(&message_with(&fields, "Hello.\r\n.\r\n"));
    client.must_reply(QUEUED);
}
