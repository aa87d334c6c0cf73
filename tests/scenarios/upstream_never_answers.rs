//! Its own time-outs end the attempt; the mail waits and goes out when the upstream speaks again.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn silence_at_mail_defers() {
    let script = Script::default()
        .extensions(&["PIPELINING"])
        .quirk(Quirk::SilentAt("MAIL".to_owned()));
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream).with("upstream.main.smtp.timeout.command", "\"1s\"");
    let relay = setup.start();
    relay.submit("patient");
    relay.wait_for_log(&["deferred", "no answer in time"]);
    assert_eq!(upstream.messages(), []);
    upstream.set_script(Script::default());
    relay.reload(&setup);
    assert_eq!(subjects(&upstream.wait_for(1)), ["patient"]);
    relay.stop();
}

#[test]
fn silence_after_the_dot_sends_again() {
    let upstream = Server::start(Script::default().quirk(Quirk::SilentAt(".".to_owned())));
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.timeout.final", "\"1s\"")
        .start();
    relay.submit("patient");
    upstream.wait_for(1);
    upstream.set_script(Script::default());
    relay.wait_for_log(&["relayed"]);
    assert_eq!(subjects(&upstream.messages()), ["patient", "patient"]);
    relay.stop();
}
