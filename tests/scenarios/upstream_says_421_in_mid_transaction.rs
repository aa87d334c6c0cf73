//! Wherever it comes, the message goes out a little later, once.

use crate::stage::{SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn each_message_is_sent_again_and_arrives_once() {
    let script = Script::default()
        .extensions(&["PIPELINING", "8BITMIME"])
        .reply_times("RCPT TO:<recipient@", "421 4.4.2 closing", 1)
        .reply_times("DATA", "421 4.4.2 closing", 1)
        .reply_times(". the dot", "421 4.4.2 closing", 1);
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    for (subject, recipient) in [
        ("at RCPT", "recipient@recipient.example"),
        ("at DATA", "data@recipient.example"),
        ("at the dot", "dot@recipient.example"),
    ] {
        let reply = relay
            .neighbour()
            .submit(SENDER, &[recipient], &message(subject));
        assert!(reply.starts_with("250"), "{reply}");
    }
    upstream.wait_for(3);
    relay.submit("afterwards");
    let mut subjects = subjects(&upstream.wait_for(4));
    subjects.sort();
    assert_eq!(subjects, ["afterwards", "at DATA", "at RCPT", "at the dot"]);
    relay.stop();
}
