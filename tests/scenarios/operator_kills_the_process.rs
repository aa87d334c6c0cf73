//! What was acknowledged is on the disk: it leaves after the next start, small or large.

use rustix::process::Signal;

use crate::stage::{
    QUEUED, RECIPIENT, SENDER, Server, Setup, field, message, message_with, subjects,
};
use crate::support::fake_upstream::{Quirk, ReservedPort, Script};

#[test]
fn while_the_upstream_is_down() {
    let port = ReservedPort::new();
    let setup = Setup::new().upstream("main", port.address);
    let relay = setup.start();
    let mut client = relay.neighbour();
    let large = message_with(
        &format!("From: {SENDER}\r\nSubject: large\r\n"),
        &"0123456789abcdef0123456789abcdef\r\n".repeat(100_000),
    );
    for message in [message("one"), large.clone(), message("two")] {
        let reply = client.submit(SENDER, &[RECIPIENT], &message);
        assert!(reply.starts_with(QUEUED), "{reply}");
    }
    relay.process.kill().unwrap();
    let upstream = Server::start_at(port, Script::default());
    let relay = setup.start();
    let mut messages = upstream.wait_for(3);
    messages.sort_by_key(|message| field(&message.octets, "Subject"));
    assert_eq!(subjects(&messages), ["large", "one", "two"]);
    let arrived = &messages[0].octets;
    let body =
        |octets: &[u8]| octets[memchr::memmem::find(octets, b"\r\n\r\n").unwrap()..].to_vec();
    assert!(
        body(arrived) == body(&large),
        "the large message came through whole"
    );
    relay.stop();
}

#[test]
fn while_a_message_is_on_its_way() {
    let upstream = Server::start(Script::default().quirk(Quirk::HoldAt(".".to_owned())));
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.submit("on its way");
    // The upstream has it; its reply never comes.
    upstream.wait_for(1);
    relay.process.kill().unwrap();
    upstream.set_script(Script::default());
    let relay = setup.start();
    assert_eq!(subjects(&upstream.wait_for(2)), ["on its way"; 2]);
    relay.wait_for_log(&["relayed"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 2, "one copy for one kill");
}

#[test]
fn while_it_is_stopping() {
    let upstream = Server::start(Script::default().quirk(Quirk::HoldAt(".".to_owned())));
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.submit("on its way");
    upstream.wait_for(1);
    relay.signal(Signal::TERM);
    relay.wait_for_log(&["stopping"]);
    relay.process.kill().unwrap();
    upstream.set_script(Script::default());
    let relay = setup.start();
    assert_eq!(subjects(&upstream.wait_for(2)), ["on its way"; 2]);
    relay.stop();
}
