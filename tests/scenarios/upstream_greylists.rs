//! 451 first, 250 a little later: each recipient gets the message once.

use crate::stage::{Server, Setup};
use crate::support::fake_upstream::Script;

#[test]
fn each_recipient_gets_it_once() {
    let script =
        Script::default().reply_times("RCPT TO:<slow@", "451 4.7.1 greylisted, come back", 1);
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).start();
    relay.submit_to(
        &["quick@recipient.example", "slow@recipient.example"],
        "greylisted",
    );
    let messages = upstream.wait_for(2);
    let recipients: Vec<_> = messages.iter().map(|message| &message.recipients).collect();
    assert!(recipients[0][0].starts_with("<quick@"), "{recipients:?}");
    assert!(recipients[1][0].starts_with("<slow@"), "{recipients:?}");
    assert!(
        recipients.iter().all(|paths| paths.len() == 1),
        "{recipients:?}"
    );
    relay.stop();
}

#[test]
fn what_is_relayed_stays_so_after_a_kill() {
    let script = Script::default().reply("RCPT TO:<slow@", "451 4.7.1 greylisted, come back");
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    relay.submit_to(
        &["quick@recipient.example", "slow@recipient.example"],
        "greylisted",
    );
    upstream.wait_for(1);
    // The second attempt has seen what the first one recorded.
    upstream.wait_for_lines("RCPT TO:<slow@", 2);
    relay.process.kill().unwrap();
    upstream.set_script(Script::default());
    let relay = setup.start();
    let messages = upstream.wait_for(2);
    assert_eq!(messages[1].recipients.len(), 1, "{messages:?}");
    assert!(messages[1].recipients[0].starts_with("<slow@"));
    relay.stop();
}
