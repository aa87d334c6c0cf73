//! The sender gets exactly one report, with a null reverse-path, and the message is not tried again.

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, field, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn at_the_dot() {
    one_report(". hello", "554 5.7.1 looks like spam", "5.7.1");
}

#[test]
fn at_rcpt() {
    one_report("RCPT TO:<customer@", "550 5.1.1 no such user", "5.1.1");
}

#[test]
fn at_mail() {
    let to = format!("MAIL FROM:<{SENDER}>");
    one_report(&to, "550 5.7.1 not you", "5.7.1");
}

fn one_report(to: &str, reply: &str, status: &str) {
    let upstream = Server::start(Script::default().reply_times(to, reply, 1));
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    relay.submit("refused");
    let reports = upstream.wait_for(1);
    assert!(reports[0].sender.starts_with("<>"), "{:?}", reports[0]);
    assert_eq!(
        field(&reports[0].octets, "To").unwrap(),
        format!("<{SENDER}>")
    );
    let report = Report::parse(&reports[0].octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), status);
    assert_eq!(
        report.of_recipient("Diagnostic-Code"),
        format!("smtp; {reply}")
    );

    relay.submit_to(&["other@recipient.example"], "afterwards");
    let messages = upstream.wait_for(2);
    assert_eq!(subjects(&messages[1..]), ["afterwards"]);
    assert_eq!(upstream.count_lines("MAIL"), 3, "{:?}", upstream.lines());
    relay.stop();
}
