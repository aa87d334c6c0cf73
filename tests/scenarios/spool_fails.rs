//! The disk refuses what is written: clients keep their mail, a person is told once, and it passes.

use std::fs;

use crate::stage::{QUEUED, RECIPIENT, SENDER, Server, Setup, json, message_with, subjects};
use crate::support::process::wait_for;

const OPS: &str = "ops@example.com";

/// More than any test refuses on its way.
const MESSAGES: u64 = 40;

/// A message that is too large for the memory of a draft, so that it gets a file of its own.
fn large(subject: &str) -> Vec<u8> {
    let line = format!("{}\r\n", "x".repeat(70));
    message_with(
        &format!("From: {SENDER}\r\nSubject: {subject}\r\n"),
        &line.repeat(5000),
    )
}

#[test]
fn a_flood_of_refusals_is_one_alert() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("alerts.mail", &format!("[\"{OPS}\"]"));
    let relay = setup.start();
    let bodies = setup.path().join("data/spool/bodies");
    fs::remove_dir(&bodies).unwrap();
    for _ in 0..MESSAGES {
        let mut client = relay.neighbour();
        let refused = client.submit(SENDER, &[RECIPIENT], &large("refused"));
        assert!(refused.starts_with("451 4.3.0"), "{refused}");
    }
    // Small mail needs no file: it goes on, and so does the mail that tells of it.
    relay.submit("small");
    let mut told = subjects(&upstream.wait_for(2));
    told.sort();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&"small".to_owned()), "{told:?}");
    assert!(
        told.iter()
            .any(|subject| subject.contains("the server has a fault")),
        "{told:?}"
    );
    let listed = || json(&setup, &["alerts", "--json", "--kind", "system_error"]);
    let counted = wait_for(crate::stage::PATIENCE, || {
        let listed = listed();
        let alerts = listed.as_array().unwrap().iter();
        let count: u64 = alerts.map(|alert| alert["count"].as_u64().unwrap()).sum();
        Ok((count >= MESSAGES).then_some(count))
    });
    assert_eq!(counted.unwrap(), Some(MESSAGES), "{}", listed());
    let text = listed()[0]["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("451") && text.contains("No such file"),
        "{text}"
    );
    // Nobody is told again for an hour.
    assert_eq!(upstream.wait_for(2).len(), 2);

    fs::create_dir(&bodies).unwrap();
    let mut client = relay.neighbour();
    let stored = client.submit(SENDER, &[RECIPIENT], &large("stored"));
    assert!(stored.starts_with(QUEUED), "{stored}");
    assert!(subjects(&upstream.wait_for(3)).contains(&"stored".to_owned()));
    relay.stop();
}
