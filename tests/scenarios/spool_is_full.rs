//! Clients hear 452 4.3.1 and keep their mail; what is there goes out, and then there is room again.

use crate::stage::{RECIPIENT, SENDER, Server, Setup, message, message_with, subjects};
use crate::support::fake_upstream::{ReservedPort, Script};

#[test]
fn new_mail_is_refused_until_old_mail_has_left() {
    let port = ReservedPort::new();
    let setup = Setup::new()
        .upstream("main", port.address)
        .with("spool.max_messages", "2");
    let relay = setup.start();
    let mut client = relay.neighbour();
    for subject in ["one", "two"] {
        let reply = client.submit(SENDER, &[RECIPIENT], &message(subject));
        assert!(reply.starts_with("250"), "{reply}");
    }
    client.must(&format!("MAIL FROM:<{SENDER}>"), "452 4.3.1");
    client.must("NOOP", "250");

    let upstream = Server::start_at(port, Script::default());
    relay.reload(&setup);
    upstream.wait_for(2);
    relay.wait_for_log_times("relayed", 2);
    let mut client = relay.neighbour();
    let room = crate::support::process::wait_for(crate::stage::PATIENCE, || {
        let reply = client.say(&format!("MAIL FROM:<{SENDER}>"));
        client.say("RSET");
        Ok(reply.starts_with("250").then_some(()))
    });
    assert!(room.unwrap().is_some());
    relay.submit("three");
    let mut subjects = subjects(&upstream.wait_for(3));
    subjects.sort();
    assert_eq!(subjects, ["one", "three", "two"]);
    relay.stop();
}

#[test]
fn a_disk_that_is_nearly_full_lets_old_mail_out() {
    let port = ReservedPort::new();
    let setup = Setup::new().upstream("main", port.address);
    let relay = setup.start();
    relay.submit("old");
    relay.stop();
    let relay = setup
        .clone()
        .with("spool.min_free", "\"900000 GiB\"")
        .start();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>"), "452 4.3.1");
    let upstream = Server::start_at(port, Script::default());
    relay.reload(&setup);
    assert_eq!(subjects(&upstream.wait_for(1)), ["old"]);
    relay.stop();
}

#[test]
fn a_report_is_made_all_the_same() {
    let script =
        Script::default().refuse_recipient("customer@recipient.example", "550 5.1.1 no such user");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).with("spool.max_messages", "1").start();
    relay.submit("refused");
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.starts_with("<>"), "{messages:?}");
    relay.stop();
}

#[test]
fn low_priorities_are_refused_first() {
    let port = ReservedPort::new();
    let relay = Setup::new()
        .upstream("main", port.address)
        .with("spool.max_messages", "20")
        .start();
    let mut client = relay.neighbour();
    let low = message_with(&format!("From: {SENDER}\r\nX-Priority: 5\r\n"), "low\r\n");
    let high = message_with(&format!("From: {SENDER}\r\nX-Priority: 1\r\n"), "high\r\n");
    // Enough for priority 5, which the account's own priority raises to 3; for 3 there is room up to 19.
    for _ in 0..19 {
        let reply = client.submit(SENDER, &[RECIPIENT], &low);
        assert!(reply.starts_with("250"), "{reply}");
    }
    let warned = relay.wait_for_log(&["WARN", "low priorities are refused", "max_messages"]);
    assert!(warned.contains("limit=20"), "{warned}");
    // In the envelope the priority is known at once, in the header only at its end.
    client.must(&format!("MAIL FROM:<{SENDER}> MT-PRIORITY=0"), "452 4.3.1");
    let reply = client.submit(SENDER, &[RECIPIENT], &low);
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    let reply = client.submit(SENDER, &[RECIPIENT], &high);
    assert!(reply.starts_with("250"), "{reply}");
    client.must(&format!("MAIL FROM:<{SENDER}> MT-PRIORITY=9"), "452 4.3.1");
    relay.wait_for_log(&["ERROR", "the spool is full", "max_messages"]);
    relay.stop();
}
