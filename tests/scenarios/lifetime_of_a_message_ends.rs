//! Its sender gets one report, and it is not tried again.

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, subjects};
use crate::support::fake_upstream::{ReservedPort, Script};

#[test]
fn while_its_recipient_is_deferred() {
    let script = Script::default().refuse_recipient("customer@recipient.example", "450 4.2.1 busy");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("relay.retry.lifetime", "\"2s\"")
        .start();
    relay.submit("too late");
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.starts_with("<>"), "{messages:?}");
    assert!(messages[0].recipients[0].starts_with(&format!("<{SENDER}>")));
    let report = Report::parse(&messages[0].octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), "5.2.1");
    assert!(report.returned.contains("Subject: too late"));
    relay.submit_to(&["other@recipient.example"], "afterwards");
    let messages = upstream.wait_for(2);
    assert_eq!(subjects(&messages[1..]), ["afterwards"]);
    relay.stop();
}

#[test]
fn while_the_upstream_is_down() {
    let port = ReservedPort::new();
    let setup = Setup::new()
        .upstream("main", port.address)
        .with("relay.retry.lifetime", "\"2s\"");
    let relay = setup.start();
    relay.submit("too late");
    relay.wait_for_log(&["expired"]);
    let upstream = Server::start_at(port, Script::default());
    relay.reload(&setup);
    let messages = upstream.wait_for(1);
    assert!(messages[0].sender.starts_with("<>"), "{messages:?}");
    let report = Report::parse(&messages[0].octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert!(report.returned.contains("Subject: too late"));
    relay.submit("afterwards");
    let messages = upstream.wait_for(2);
    assert_eq!(subjects(&messages[1..]), ["afterwards"]);
    relay.stop();
}
