//! It may have the message or not, so it gets it again: one copy for each time it does so, and no loss.

use crate::stage::{Server, Setup, subjects};
use crate::support::fake_upstream::{HANG_UP, Script};

#[test]
fn each_drop_costs_one_copy_with_data() {
    drop_two(Script::default().extensions(&["PIPELINING"]));
}

#[test]
fn each_drop_costs_one_copy_with_bdat() {
    drop_two(Script::default());
}

fn drop_two(script: Script) {
    let upstream = Server::start(script.reply_times(".", HANG_UP, 2));
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    relay.submit("dropped");
    upstream.wait_for(3);
    relay.submit("afterwards");
    let messages = upstream.wait_for(4);
    assert_eq!(
        subjects(&messages),
        ["dropped", "dropped", "dropped", "afterwards"]
    );
    assert_eq!(messages[0].octets, messages[2].octets);
    relay.stop();
}
