//! What it sends is bounded in memory and time, and other upstreams' mail is not held up.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn an_endless_greeting_ends_the_attempt() {
    ends_the_attempt("greeting");
}

#[test]
fn an_endless_reply_to_ehlo_ends_the_attempt() {
    ends_the_attempt("EHLO");
}

#[test]
fn an_endless_reply_to_mail_ends_the_attempt() {
    ends_the_attempt("MAIL");
}

fn ends_the_attempt(at: &str) {
    let upstream = Server::start(Script::default().quirk(Quirk::EndlessAt(at.to_owned())));
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.submit("through it all");
    relay.wait_for_log(&["deferred"]);
    assert!(relay.peak_memory_kib() < 200 << 10);
    upstream.set_script(Script::default());
    relay.reload(&setup);
    assert_eq!(subjects(&upstream.wait_for(1)), ["through it all"]);
    relay.stop();
}
