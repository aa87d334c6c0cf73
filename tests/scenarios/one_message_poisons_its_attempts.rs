//! Whatever the upstream makes of it, the messages behind it go out.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{HANG_UP, Script};

#[test]
fn a_message_that_is_always_deferred_holds_up_no_other() {
    others_go_out("451 4.3.0 something is wrong with it");
}

#[test]
fn a_message_at_which_the_upstream_always_hangs_up_holds_up_no_other() {
    others_go_out(HANG_UP);
}

fn others_go_out(reply: &str) {
    let upstream = Server::start(Script::default().reply(". poison", reply));
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    relay.submit("poison");
    relay.wait_for_log(&["deferred"]);
    for number in 0..5 {
        relay.submit(&format!("number {number}"));
    }
    // Another attempt at the poison in between.
    relay.wait_for_log_times("deferred", 2);
    for number in 5..10 {
        relay.submit(&format!("number {number}"));
    }
    let arrived = || {
        let mut subjects = subjects(&upstream.messages());
        subjects.retain(|subject| subject != "poison");
        subjects
    };
    let mut count = 10;
    while arrived().len() < 10 {
        upstream.wait_for(count);
        count += 1;
    }
    let expected: Vec<_> = (0..10).map(|number| format!("number {number}")).collect();
    assert_eq!(arrived(), expected);
    relay.stop();
}
