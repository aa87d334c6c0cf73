//! SIGTERM: who is inside a message may end it, others hear 421, running attempts end, all within the grace time.

use rustix::process::Signal;

use crate::stage::{NEIGHBOUR, QUEUED, RECIPIENT, SENDER, Server, Setup, message, subjects};
use crate::support::dialogue::Dialogue;
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
    busy.must_reply(QUEUED);
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
    relay.wait_for_log(&["no attempt is begun any more"]);
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
fn who_is_not_inside_a_message_does_not_hold_it_up() {
    let upstream = Server::willing();
    let mut relay = Setup::to(&upstream)
        .with("server.shutdown_grace", "\"5m\"")
        .with("session.timeouts.handshake", "\"5m\"")
        .start();
    let _greeting = relay.neighbour();
    let mut handshake = relay.neighbour();
    handshake.must("STARTTLS", "220");
    let _implicit = Dialogue::connect(NEIGHBOUR, relay.address("submissions"));
    let mut login = relay.secured_stranger();
    login.must("AUTH LOGIN", "334");
    relay.signal(Signal::TERM);
    login.must_reply("421 4.3.2");
    let status = relay.process.wait_for_end().unwrap();
    assert!(status.expect("it ends").success());
}

#[test]
fn a_long_queue_does_not_hold_it_up() {
    let upstream = Server::start(Script::default().quirk(Quirk::HoldAt("MAIL".to_owned())));
    let setup = Setup::to(&upstream).with("upstream.main.smtp.connections", "1");
    let mut relay = setup.start();
    let mut client = relay.neighbour();
    for number in 0..20 {
        let reply = client.submit(SENDER, &[RECIPIENT], &message(&number.to_string()));
        assert!(reply.starts_with("250"), "{reply}");
    }
    upstream.wait_for_line("MAIL");
    relay.signal(Signal::TERM);
    relay.wait_for_log(&["no attempt is begun any more"]);
    upstream.set_script(Script::default());
    let status = relay.process.wait_for_end().unwrap();
    assert!(status.expect("it ends").success());
    assert_eq!(
        subjects(&upstream.messages()),
        ["0"],
        "what ran has ended, nothing more was begun"
    );
    let relay = setup.start();
    let expected: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(subjects(&upstream.wait_for(20)), expected);
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
