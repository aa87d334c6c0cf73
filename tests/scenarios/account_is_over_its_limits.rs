//! Over a limit a client hears when it goes on, or its mail waits in the queue; nobody else is concerned.

use std::time::Duration;

use crate::stage::{
    PASSWORD, PATIENCE, RECIPIENT, Relay, SENDER, Server, Setup, message, message_with, subjects,
};
use crate::support::dialogue::Dialogue;
use crate::support::process::{wait_for, write_file};

/// Clients from here are another account.
const OTHER: [u8; 4] = [127, 0, 0, 3];

const MAIL: &str = "MAIL FROM:<orders@shop.example>";

/// The account may send two messages an hour; the other one may send what it likes.
fn setup(server: &Server) -> Setup {
    Setup::to(server)
        .with("account.shop.messages", "\"2/h\"")
        .with("account.other.networks", "[\"127.0.0.3\"]")
        .with("account.other.authorized_domains", "\"shop.example\"")
}

#[track_caller]
fn submit(client: &mut Dialogue, subject: &str) -> String {
    client.submit(SENDER, &[RECIPIENT], &message(subject))
}

#[track_caller]
fn accept(relay: &Relay, from: impl Into<std::net::IpAddr>, subject: &str) {
    let reply = submit(&mut relay.client_from(from), subject);
    assert!(reply.starts_with("250"), "{reply}");
}

/// Asserts that the reply names a time that is so far from now, within half a minute.
#[track_caller]
fn assert_goes_on(reply: &str, limit: &str, after: Duration) {
    let start = format!("450 4.7.1 try again later: over the limit of {limit}; goes on at ");
    let rest = reply
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{reply}"));
    let time: jiff::Timestamp = rest.split(' ').next().unwrap().parse().unwrap();
    let expected = jiff::Timestamp::now() + after;
    let off = (time.as_second() - expected.as_second()).abs();
    assert!(off < 30, "{reply}");
}

#[test]
fn and_hears_when_it_goes_on_also_after_a_restart() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    let relay = setup.start();
    relay.submit("one");
    relay.submit("two");
    let hour = Duration::from_hours(1);
    let reply = relay.neighbour().must(MAIL, "450 4.7.1");
    assert_goes_on(&reply, "2 messages an hour", hour);
    accept(&relay, OTHER, "other");
    relay.wait_for_log(&["WARN", "over quota", "shop", "2 messages an hour"]);
    relay.stop();

    let relay = setup.start();
    let reply = relay.neighbour().must(MAIL, "450 4.7.1");
    assert_goes_on(&reply, "2 messages an hour", hour);
    relay.reload(&setup.clone().with("account.shop.messages", "\"3/h\""));
    relay.submit("three");
    relay.neighbour().must(MAIL, "450 4.7.1");
    upstream.wait_for(4);
    relay.stop();
}

#[test]
fn and_a_kill_forgets_no_more_than_the_last_second() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    let relay = setup.start();
    relay.submit("one");
    relay.submit("two");
    let file = setup.path().join("data/quota");
    let is_written = || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let amounts = text
            .lines()
            .filter(|line| line.starts_with("account shop messages "));
        let amounts = amounts.flat_map(|line| line.split(' ').skip(4));
        let sum: u64 = amounts
            .map(|entry| entry.split_once(':').unwrap().1.parse::<u64>().unwrap())
            .sum();
        Ok((sum == 2).then_some(()))
    };
    assert!(wait_for(PATIENCE, is_written).unwrap().is_some());
    relay.process.kill().unwrap();
    let relay = setup.start();
    relay.neighbour().must(MAIL, "450 4.7.1");
    relay.stop();
}

#[test]
fn and_counts_that_cannot_be_read_begin_anew() {
    let upstream = Server::willing();
    let setup = setup(&upstream);
    setup.start().stop();
    let data = setup.path().join("data");
    write_file(&data.join("quota"), b"posthouse quota 99\n").unwrap();
    let relay = setup.start();
    relay.wait_for_log(&["WARN", "counts of quotas not readable", "format 99"]);
    relay.submit("one");
    assert!(data.join("quota.unreadable").exists());
    relay.stop();
}

#[test]
fn and_mail_that_is_not_accepted_uses_nothing() {
    let upstream = Server::willing();
    let relay = setup(&upstream).start();
    let foreign = message_with("From: boss@elsewhere.example\r\nSubject: no\r\n", "x\r\n");
    for _ in 0..3 {
        let reply = relay.neighbour().submit(SENDER, &[RECIPIENT], &foreign);
        assert!(reply.starts_with("550"), "{reply}");
        let mut client = relay.neighbour();
        client.envelope(SENDER, &[RECIPIENT]);
        client.must("DATA", "354");
        client.send(b"Subject: half of it");
        client.reset();
    }
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT]);
    client.must("RSET", "250");
    // The server notices a reset when it reads it.
    let accepted = wait_for(PATIENCE, || {
        let reply = submit(&mut relay.neighbour(), "one");
        Ok(reply.starts_with("250").then_some(()))
    });
    assert!(accepted.unwrap().is_some());
    relay.submit("two");
    client.must(MAIL, "450 4.7.1");
    assert_eq!(upstream.wait_for(2).len(), 2);
    relay.stop();
}

#[test]
fn of_recipients_and_the_message_goes_to_the_others() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.shop.recipients", "[\"3/h\", \"4/d\"]")
        .start();
    let mut client = relay.neighbour();
    client.envelope(
        SENDER,
        &[
            "1@recipient.example",
            "2@recipient.example",
            "3@recipient.example",
        ],
    );
    // The session must outlast a long list.
    for _ in 0..20 {
        client.must(
            "RCPT TO:<4@recipient.example>",
            "452 4.5.3 too many recipients",
        );
    }
    client.must("DATA", "354");
    client.send(&message("first"));
    client.must(".", "250");
    client.must(MAIL, "250");
    let reply = client.must("RCPT TO:<4@recipient.example>", "450 4.7.1");
    assert_goes_on(&reply, "3 recipients an hour", Duration::from_hours(1));
    let messages = upstream.wait_for(1);
    assert_eq!(messages[0].recipients.len(), 3, "{messages:?}");
    drop(client);
    relay.stop();
}

#[test]
fn of_octets_which_are_known_at_the_end_or_said_before() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.shop.size", "\"100 kB/d\"")
        .start();
    let text = "0123456789abcdef0123456789abcde\r\n".repeat(2000);
    let large = message_with(&format!("From: {SENDER}\r\nSubject: large\r\n"), &text);
    let mut client = relay.neighbour();
    let reply = client.submit(SENDER, &[RECIPIENT], &large);
    assert!(reply.starts_with("250"), "{reply}");
    let reply = client.submit(SENDER, &[RECIPIENT], &large);
    assert_goes_on(&reply, "100000 octets a day", Duration::from_hours(24));
    client.must(&format!("{MAIL} SIZE=60000"), "450 4.7.1");
    client.must(&format!("{MAIL} SIZE=200000"), "552 5.3.4");
    assert!(submit(&mut client, "small").starts_with("250"));
    assert_eq!(upstream.wait_for(2).len(), 2);
    relay.stop();
}

#[test]
fn of_its_tenant_which_all_its_accounts_share() {
    let upstream = Server::willing();
    let relay = setup(&upstream)
        .with("account.shop.tenant", "\"acme\"")
        .with("account.other.tenant", "\"subsidiary\"")
        .with("tenant.acme.messages", "\"3/d\"")
        .with("tenant.subsidiary.parent", "\"acme\"")
        .start();
    accept(&relay, OTHER, "one");
    accept(&relay, OTHER, "two");
    relay.submit("three");
    let reply = relay.neighbour().must(MAIL, "450 4.7.1");
    assert_goes_on(
        &reply,
        "3 messages a day of tenant acme",
        Duration::from_hours(24),
    );
    relay.client_from(OTHER).must(MAIL, "450 4.7.1");
    upstream.wait_for(3);
    relay.stop();
}

#[test]
fn and_its_mail_waits_in_the_queue() {
    let upstream = Server::willing();
    let relay = setup(&upstream)
        .with("account.shop.over_quota", "\"queue\"")
        .start();
    for subject in ["one", "two", "three", "four"] {
        relay.submit(subject);
    }
    accept(&relay, OTHER, "other");
    let mut client = relay.neighbour();
    client.must(&format!("{MAIL} BY=600;R"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(&message("late"));
    client.must(
        ".",
        "450 4.7.1 try again later: over the limits of the account until",
    );
    let waits: Vec<i64> = relay.process.log().lines().filter_map(wait_of).collect();
    assert_eq!(waits.len(), 2, "{}", relay.process.log_tail());
    assert!((3590..3610).contains(&waits[0]), "{waits:?}");
    assert!((5380..5420).contains(&waits[1]), "{waits:?}");
    let mut left = subjects(&upstream.wait_for(3));
    left.sort();
    assert_eq!(left, ["one", "other", "two"]);
    relay.stop();
}

/// The seconds that an accepted message has to wait.
fn wait_of(line: &str) -> Option<i64> {
    let (_, due) = line.split_once("accepted")?.1.split_once("due=")?;
    let due: jiff::Timestamp = due
        .trim_matches('"')
        .split(['"', ' '])
        .next()?
        .parse()
        .ok()?;
    Some(due.as_second() - jiff::Timestamp::now().as_second())
}

#[test]
fn of_sessions_at_once() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with("account.shop.sessions", "2")
        .start();
    let (first, mut second) = (relay.logged_in(), relay.neighbour());
    second.must(MAIL, "250");
    let mut third = relay.secured_stranger();
    let reply = third.log_in("shop", PASSWORD);
    assert!(reply.starts_with("454 4.7.0 too many sessions"), "{reply}");
    relay.neighbour().must(MAIL, "450 4.7.1 too many sessions");
    relay.wait_for_log(&["WARN", "over quota", "sessions"]);
    drop(first);
    let is_in = wait_for(PATIENCE, || {
        let reply = third.log_in("shop", PASSWORD);
        Ok(reply.starts_with("235").then_some(()))
    });
    assert!(is_in.unwrap().is_some());
    drop((second, third));
    relay.stop();
}
