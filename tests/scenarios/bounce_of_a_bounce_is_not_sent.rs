//! The report is refused too: nobody is told about that (RFC 5321 §6.1).

use crate::stage::{SENDER, Server, Setup, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn a_refused_report_ends_there() {
    let script = Script::default()
        .refuse_recipient("customer@recipient.example", "550 5.1.1 no such user")
        .refuse_recipient(SENDER, "550 5.1.1 no such user either");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    relay.submit("refused");
    relay.wait_for_log_times("bounced", 2);
    relay.submit_to(&["other@recipient.example"], "afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    let senders: Vec<_> = upstream
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("MAIL"))
        .map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
        .collect();
    let from = format!("FROM:<{SENDER}>");
    assert_eq!(senders, [from.as_str(), "FROM:<>", from.as_str()]);
    relay.stop();
}
