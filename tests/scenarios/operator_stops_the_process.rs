//! SIGTERM: who is inside a message may end it, others hear 421, running attempts end, all within the grace time.

use rustix::process::Signal;

use crate::stage::{RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::{Quirk, Script};

#[test]
fn a_message_in_progress_is_finished_and_delivered() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let mut relay = setup.start();
    let mut idle = relay.neighbour();
    let mut busy = relay.neighbour();
    busy.envelope(SENDER, &[RECIPIENT]);
    busy.must("DATA", "354");
    let message = message("last minute");
    busy.send(&message[..20]);
    relay.signal(Signal::TERM);
    let replies = idle.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("421 4.3.2"),
        "{replies:?}"
    );
    busy.send(&message[20..]);
    busy.send(b".\r\n");
    busy.must_reply("250 2.0.0 queued as ");
    let replies = busy.replies_to_the_end();
    assert!(
        replies.len() == 1 && replies[0].starts_with("421 4.3.2"),
        "{replies:?}"
    );
    let status = relay.process.wait_for_end().unwrap();
    assert!(status.expect("it ends").success());
    // It has left, or it leaves after the next start.
    let relay = setup.start();
    assert_eq!(subjects(&upstream.wait_for(1)), ["last minute"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 1);
}

#[test]
fn an_attempt_in_progress_is_finished_and_not_repeated() {
    let upstream = Server::start(Script::default().quirk(Quirk::HoldAt(".".to_owned())));
    let setup = Setup::to(&upstream);
    let mut relay = setup.start();
    relay.submit("on its way");
    upstream.wait_for(1);
    relay.signal(Signal::TERM);
    relay.wait_for_log(&["stopping"]);
    upstream.set_script(Script::default());
    let status = relay.process.wait_for_end().unwrap();
    assert!(status.expect("it ends").success());
    assert!(relay.process.log().contains("relayed"));
    let relay = setup.start();
    relay.submit("afterwards");
    assert_eq!(
        subjects(&upstream.wait_for(2)),
        ["on its way", "afterwards"]
    );
    relay.stop();
}

#[test]
fn who_does_not_end_in_time_is_broken_off() {
    let upstream = Server::start(Script::default().quirk(Quirk::SilentAt("MAIL".to_owned())));
    let setup = Setup::to(&upstream).with("server.shutdown_grace", "\"1s\"");
    let mut relay = setup.start();
    relay.submit("waits for the upstream");
    upstream.wait_for_line("MAIL");
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT]);
    client.must("DATA", "354");
    relay.signal(Signal::TERM);
    let status = relay.process.wait_for_end().unwrap();
    assert!(
        status.expect("it ends").success(),
        "{}",
        relay.process.log()
    );
    let told = client.replies_to_the_end();
    assert!(
        told.iter().all(|reply| reply.starts_with("421")),
        "{told:?}"
    );
    upstream.set_script(Script::default());
    let relay = setup.start();
    assert_eq!(subjects(&upstream.wait_for(1)), ["waits for the upstream"]);
    relay.stop();
}
