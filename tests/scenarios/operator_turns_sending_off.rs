//! The master switch: 451 4.3.2 at MAIL, also in sessions that are open; nothing is lost by it.

use crate::stage::{RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::ReservedPort;

#[test]
fn nothing_is_accepted_until_it_is_on_again() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let mut client = relay.neighbour();
    client.must("NOOP", "250");
    relay.reload(&setup.clone().with("relay.enabled", "false"));
    client.must(&format!("MAIL FROM:<{SENDER}>"), "451 4.3.2");
    relay.reload(&setup);
    let reply = client.submit(SENDER, &[RECIPIENT], &message("on again"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(subjects(&upstream.wait_for(1)), ["on again"]);
    relay.stop();
}

#[test]
fn what_was_accepted_before_goes_out() {
    let (dead, upstream) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new().upstream("main", dead.address);
    let relay = setup.start();
    relay.submit("before");
    relay.wait_for_log(&["deferred"]);
    let port = upstream.address.port().to_string();
    let setup = setup
        .with("upstream.main.smtp.port", &port)
        .with("relay.enabled", "false");
    relay.reload(&setup);
    assert_eq!(subjects(&upstream.wait_for(1)), ["before"]);
    relay.stop();
}
