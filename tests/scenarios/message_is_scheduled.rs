//! FUTURERELEASE: a message stays until its time, whatever comes behind it or happens meanwhile.

use std::process::Command;
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};

use crate::report::Report;
use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, binary, message, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn it_leaves_when_its_time_has_come_and_others_do_not_wait() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    let began = SystemClock.instant();
    submit(&relay, " HOLDFOR=2", "later");
    relay.wait_for_log(&["accepted", "due="]);
    relay.submit("at once");
    assert_eq!(subjects(&upstream.wait_for(1)), ["at once"]);
    assert_eq!(subjects(&upstream.wait_for(2)), ["at once", "later"]);
    assert!(SystemClock.instant() - began >= Duration::from_secs(2));
    relay.stop();
}

#[test]
fn it_stays_through_a_restart_until_an_operator_wants_it_now() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let tomorrow = SystemClock.now().after(Duration::from_hours(24));
    let id = submit(&relay, &format!(" HOLDUNTIL={tomorrow}"), "tomorrow");
    relay.stop();
    let relay = setup.start();
    relay.submit("today");
    assert_eq!(subjects(&upstream.wait_for(1)), ["today"]);
    let shown = posthouse(&setup, &["queue", "show", &id, "--json"]);
    assert!(shown.contains(&tomorrow.to_string()), "{shown}");
    posthouse(&setup, &["queue", "retry", &id]);
    assert_eq!(subjects(&upstream.wait_for(2)), ["today", "tomorrow"]);
    relay.stop();
}

#[test]
fn its_lifetime_begins_with_its_release() {
    let script = Script::default().reply_times("RCPT", "450 4.2.1 not now", 1);
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("relay.retry.lifetime", "\"2s\"")
        .start();
    submit(&relay, " HOLDFOR=3", "deferred once");
    relay.wait_for_log(&["deferred"]);
    assert_eq!(subjects(&upstream.wait_for(1)), ["deferred once"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 1);
}

#[test]
fn its_upstream_hears_nothing_of_it() {
    let offer = ["FUTURERELEASE 86400 2099-01-01T00:00:00Z"];
    let upstream = Server::start(Script::default().extensions(&offer));
    let relay = Setup::to(&upstream).start();
    submit(&relay, " HOLDFOR=1", "held here");
    assert_eq!(upstream.wait_for(1)[0].sender, format!("<{SENDER}>"));
    relay.stop();
}

#[test]
fn its_report_repeats_the_wish_and_is_as_urgent() {
    let script = Script::default().refuse_recipient(RECIPIENT, "550 5.1.1 no such user");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).start();
    submit(&relay, " HOLDFOR=1 MT-PRIORITY=4", "returned");
    let report = upstream.wait_for(1).remove(0);
    assert!(report.sender.starts_with("<> "), "{report:?}");
    assert!(report.sender.ends_with(" MT-PRIORITY=4"), "{report:?}");
    let report = Report::parse(&report.octets);
    assert_eq!(report.of_message("Future-Release-Request"), "for;1");
    relay.stop();
}

#[test]
fn what_cannot_be_kept_is_refused_at_once() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("session.limits.future_release", "\"1h\"");
    let relay = setup.start();
    let mut client = relay.neighbour();
    let offer = client.say("EHLO client.example");
    assert!(offer.contains("250-FUTURERELEASE 3600 20"), "{offer}");
    assert!(offer.contains("DELIVERBY 60"), "{offer}");
    let late = SystemClock.now().after(Duration::from_secs(3700));
    for (parameters, reply) in [
        (
            "HOLDFOR=3601",
            "501 5.5.4 the message cannot be held so long",
        ),
        (
            &*format!("HOLDUNTIL={late}"),
            "501 5.5.4 the message cannot be held so long: at the latest until 20",
        ),
        (
            "HOLDFOR=3600 BY=3600;R",
            "501 5.5.4 the message would be late",
        ),
    ] {
        client.must(&format!("MAIL FROM:<{SENDER}> {parameters}"), reply);
    }
    client.must(
        &format!("MAIL FROM:<{SENDER}> HOLDUNTIL=2020-01-01T00:00:00Z"),
        "250",
    );
    drop(client);
    let setup = setup
        .with("session.limits.future_release", "\"0s\"")
        .with("session.limits.deliver_by_min", "\"0s\"");
    relay.stop();
    let relay = setup.start();
    let mut client = relay.neighbour();
    let offer = client.say("EHLO client.example");
    assert!(!offer.contains("FUTURERELEASE") && !offer.contains("DELIVERBY"));
    for parameter in ["HOLDFOR=60", "BY=60;R"] {
        client.must(&format!("MAIL FROM:<{SENDER}> {parameter}"), "555 5.5.4");
    }
    relay.stop();
}

/// Submits a small message; returns its queue id.
#[track_caller]
fn submit(relay: &Relay, parameters: &str, subject: &str) -> String {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>{parameters}"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(&message(subject));
    client.send(b".\r\n");
    let reply = client.must_reply(QUEUED);
    let id = reply.strip_prefix(QUEUED).unwrap();
    id.split(' ').next().unwrap().to_owned()
}

/// Runs a command against the running relay; returns what it printed.
#[track_caller]
fn posthouse(setup: &Setup, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.args(arguments).arg("--config");
    command.arg(setup.path().join("posthouse.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
