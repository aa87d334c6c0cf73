//! DELIVERBY: what is left of the time goes with the message, and one that is to come back rather than be late goes to no
//! server that might deliver it late.

use crate::report::Report;
use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn the_upstream_is_told_what_is_left() {
    let upstream = Server::start(Script::default().extensions(&["DELIVERBY 30", "SIZE"]));
    let relay = Setup::to(&upstream).start();
    submit(&relay, "BY=3600;RT", "in an hour");
    let sender = upstream.wait_for(1).remove(0).sender;
    let left: u32 = sender
        .rsplit_once(" BY=")
        .and_then(|(_, by)| by.strip_suffix(";RT"))
        .and_then(|left| left.parse().ok())
        .unwrap_or_else(|| panic!("{sender}"));
    assert!((3570..3600).contains(&left), "{sender}");
    relay.stop();
}

#[test]
fn it_comes_back_where_the_upstream_makes_no_promise() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, "BY=3600;R", "never late");
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.starts_with("<>"), "{messages:?}");
    let report = Report::parse(&messages[0].octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), "5.3.3");
    assert!(report.returned.contains("Subject: never late"));
    relay.wait_for_log(&["bounced", "does not offer DELIVERBY"]);
    submit(&relay, "BY=3600;N", "rather late");
    assert_eq!(subjects(&upstream.wait_for(2)[1..]), ["rather late"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[track_caller]
fn submit(relay: &Relay, by: &str, subject: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}> {by}"), "250 2.1.0");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(&message(subject));
    client.send(b".\r\n");
    client.must_reply(QUEUED);
}
