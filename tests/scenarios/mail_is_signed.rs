//! Mail of a domain that has keys leaves signed, reports of this relay among it; each upstream may be left out.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::stage::{Relay, SENDER, Server, Setup, binary, message};
use crate::support::fake_upstream::Script;

fn with_key(setup: Setup, domain: &str) -> Setup {
    let file = setup.path().join("key.pem");
    let name = file.to_str().unwrap();
    let made = Command::new(binary())
        .args([
            "dkim",
            "keygen",
            "--domain",
            domain,
            "--selector",
            "s1",
            "--out",
            name,
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    setup
        .with("dkim.one.domain", &format!("{domain:?}"))
        .with("dkim.one.selector", "\"s1\"")
        .with("dkim.one.key", "\"key.pem\"")
}

#[track_caller]
fn submit(relay: &Relay, recipient: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must(&format!("RCPT TO:<{recipient}>"), "250");
    client.must("DATA", "354");
    client.send(&message("signed"));
    client.send(b".\r\n");
    client.must_reply("250");
}

#[test]
fn the_domain_of_the_author_signs() {
    let upstream = Server::willing();
    let relay = with_key(Setup::to(&upstream), "shop.example").start();
    submit(&relay, "a@recipient.example");
    let arrived = String::from_utf8(upstream.wait_for(1)[0].octets.clone()).unwrap();
    assert!(arrived.starts_with(
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=shop.example;\r\n\ts=s1;"
    ));
    relay.stop();
}

#[test]
fn a_report_is_signed_by_the_domain_of_this_relay() {
    let upstream =
        Server::start(Script::default().refuse_recipient("a@recipient.example", "550 5.1.1 no"));
    let setup = with_key(Setup::to(&upstream), "relay.example")
        .with("system_mail.sender", "\"postmaster@mail.relay.example\"");
    let relay = setup.start();
    submit(&relay, "a@recipient.example");
    let message = &upstream.wait_for(1)[0];
    assert!(message.sender.starts_with("<>"));
    let arrived = String::from_utf8(message.octets.clone()).unwrap();
    assert!(
        arrived.starts_with("DKIM-Signature: v=1; a=rsa-sha256;"),
        "{arrived}"
    );
    assert!(arrived.contains("d=relay.example;"));
    relay.stop();
}

#[test]
fn an_upstream_that_signs_itself_is_left_out() {
    let upstream = Server::willing();
    let setup =
        with_key(Setup::to(&upstream), "shop.example").with("upstream.main.smtp.dkim", "false");
    let relay = setup.start();
    submit(&relay, "a@recipient.example");
    assert!(upstream.wait_for(1)[0].octets.starts_with(b"Received:"));
    relay.reload(&setup.with("upstream.main.smtp.dkim", "true"));
    submit(&relay, "b@recipient.example");
    let message = &upstream.wait_for(2)[1];
    assert!(message.octets.starts_with(b"DKIM-Signature:"));
    relay.stop();
}
