//! DELIVERBY: what is left of the time goes with the message, and one that is to come back rather than be late goes to no
//! server that might deliver it late. Its sender hears when the time is over, and where the promise ends.

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
    relay.stop();
    assert_eq!(upstream.messages().len(), 1);
}

#[test]
fn its_sender_is_told_where_nobody_watches_the_time_any_more() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, "BY=3600;N", "rather late");
    let messages = upstream.wait_for(2);
    assert_eq!(subjects(&messages[..1]), ["rather late"]);
    let report = Report::parse(&messages[1].octets);
    assert_eq!(report.of_recipient("Action"), "relayed");
    assert!(report.of_message("Deliver-By-Date").ends_with("+0000"));
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[test]
fn a_trace_is_told_of_whoever_goes_on() {
    let upstream = Server::start(Script::default().extensions(&["DELIVERBY", "DSN"]));
    let relay = Setup::to(&upstream).start();
    submit(&relay, "BY=3600;RT", "traced");
    let messages = upstream.wait_for(2);
    let report = Report::parse(&messages[1].octets);
    assert_eq!(report.of_recipient("Action"), "relayed");
    assert!(report.text.contains("reports to you"), "{}", report.text);
    submit(&relay, "BY=3600;R", "untraced");
    assert_eq!(subjects(&upstream.wait_for(3)[2..]), ["untraced"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 3);
}

/// An upstream that promises and then does not take the recipient.
fn busy() -> Server {
    let script = Script::default().extensions(&["DELIVERBY", "DSN"]);
    Server::start(script.refuse_recipient(RECIPIENT, "450 4.2.1 busy"))
}

#[test]
fn it_goes_on_when_the_time_is_over_and_its_sender_is_told_once() {
    let upstream = busy();
    let relay = Setup::to(&upstream).start();
    submit(&relay, "BY=1;N", "late");
    let messages = upstream.wait_for(1);
    let report = Report::parse(&messages[0].octets);
    assert_eq!(report.of_recipient("Action"), "delayed");
    assert_eq!(report.of_recipient("Status"), "4.4.7");
    let to_recipient = format!("RCPT TO:<{RECIPIENT}>");
    let so_far = upstream.count_lines(&to_recipient);
    upstream.wait_for_lines(&to_recipient, so_far + 2);
    upstream.set_script(Script::default().extensions(&["DELIVERBY", "DSN"]));
    assert_eq!(subjects(&upstream.wait_for(2)[1..]), ["late"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[test]
fn it_comes_back_when_the_time_is_over() {
    let upstream = busy();
    let relay = Setup::to(&upstream)
        .with("session.limits.deliver_by_min", "\"1s\"")
        .start();
    submit(&relay, "BY=2;R", "too late");
    let messages = upstream.wait_for(1);
    let report = Report::parse(&messages[0].octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), "5.4.7");
    let subject = "Your message was not delivered in the time you gave it";
    assert_eq!(report.subject, subject);
    assert!(report.returned.contains("Subject: too late"));
    upstream.set_script(Script::default());
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(2)[1..]), ["afterwards"]);
    relay.stop();
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
