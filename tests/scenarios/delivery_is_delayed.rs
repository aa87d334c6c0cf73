//! Its sender is told once that it takes longer, and it goes on.

use crate::report::Report;
use crate::stage::{RECIPIENT, SENDER, Server, Setup, subjects};
use crate::support::fake_upstream::Script;

const BUSY: &str = "450 4.2.1 mailbox busy";

fn setup(upstream: &Server) -> Setup {
    Setup::to(upstream).with("relay.retry.warn_after", "\"1s\"")
}

#[test]
fn one_warning_with_the_words_of_the_upstream_and_then_the_message() {
    let upstream = Server::start(Script::default().refuse_recipient(RECIPIENT, BUSY));
    let relay = setup(&upstream).start();
    relay.submit("patience");
    let warned = upstream.wait_for(1);
    assert!(warned[0].sender.starts_with("<>"), "{warned:?}");
    assert_eq!(warned[0].recipients, [format!("<{SENDER}> NOTIFY=NEVER")]);
    let report = Report::parse(&warned[0].octets);
    assert_eq!(report.of_recipient("Action"), "delayed");
    assert_eq!(report.of_recipient("Status"), "4.2.1");
    assert_eq!(report.of_recipient("Remote-MTA"), "dns; [127.0.0.1]");
    assert!(report.of_recipient("Will-Retry-Until").ends_with("+0000"));
    assert!(report.subject.contains("delayed"), "{}", report.subject);
    assert!(report.text.contains(BUSY), "{}", report.text);
    assert!(report.returned.contains("Subject: patience"));
    assert!(!report.returned.contains("Hello."));
    let to_recipient = format!("RCPT TO:<{RECIPIENT}>");
    let so_far = upstream.count_lines(&to_recipient);
    upstream.wait_for_lines(&to_recipient, so_far + 2);
    upstream.set_script(Script::default());
    let messages = upstream.wait_for(2);
    assert_eq!(subjects(&messages[1..]), ["patience"]);
    assert_eq!(relay.count_in_log("sender warned of the delay"), 1);
    relay.stop();
}

#[test]
fn the_warning_is_not_repeated_after_a_restart() {
    let upstream = Server::start(Script::default().refuse_recipient(RECIPIENT, BUSY));
    let setup = setup(&upstream);
    let relay = setup.start();
    relay.submit("patience");
    upstream.wait_for(1);
    relay.stop();
    let to_recipient = format!("RCPT TO:<{RECIPIENT}>");
    let so_far = upstream.count_lines(&to_recipient);
    let relay = setup.start_as_written();
    upstream.wait_for_lines(&to_recipient, so_far + 2);
    upstream.set_script(Script::default());
    assert_eq!(subjects(&upstream.wait_for(2)[1..]), ["patience"]);
    relay.stop();
}

#[test]
fn nobody_is_warned_who_did_not_want_to_be() {
    let upstream = Server::start(Script::default().refuse_recipient(RECIPIENT, BUSY));
    let relay = setup(&upstream).start();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}> NOTIFY=FAILURE"), "250");
    client.must("DATA", "354");
    client.send(&crate::stage::message("quiet"));
    client.send(b".\r\n");
    client.must_reply("250");
    upstream.wait_for_lines(&format!("RCPT TO:<{RECIPIENT}>"), 4);
    upstream.set_script(Script::default());
    assert_eq!(subjects(&upstream.wait_for(1)), ["quiet"]);
    assert_eq!(relay.count_in_log("sender warned of the delay"), 0);
    relay.stop();
}

#[test]
fn a_warning_that_is_switched_off_does_not_come() {
    let upstream = Server::start(Script::default().refuse_recipient(RECIPIENT, BUSY));
    let relay = Setup::to(&upstream)
        .with("relay.retry.warn_after", "\"1s\"")
        .with("upstream.main.smtp.retry", "{ warn_after = \"0s\" }")
        .start();
    relay.submit("patience");
    upstream.wait_for_lines(&format!("RCPT TO:<{RECIPIENT}>"), 4);
    upstream.set_script(Script::default());
    assert_eq!(subjects(&upstream.wait_for(1)), ["patience"]);
    relay.stop();
}
