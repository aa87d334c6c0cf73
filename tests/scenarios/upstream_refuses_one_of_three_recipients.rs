//! The other two get the message, and the sender hears about the one, once.

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, subjects};
use crate::support::fake_upstream::Script;

#[test]
fn the_others_get_it_and_one_report_tells_of_the_one() {
    let script =
        Script::default().refuse_recipient("b@recipient.example", "550 5.1.1 no such user");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.connections", "1")
        .start();
    let recipients = [
        "a@recipient.example",
        "b@recipient.example",
        "c@recipient.example",
    ];
    relay.submit_to(&recipients, "for three");
    upstream.wait_for(2);
    relay.submit("afterwards");
    let messages = upstream.wait_for(3);
    assert_eq!(
        subjects(&messages[..1]),
        ["for three"],
        "the others need not wait"
    );
    let paths: Vec<&str> = messages[0]
        .recipients
        .iter()
        .map(|path| first_word(path))
        .collect();
    assert_eq!(paths, ["<a@recipient.example>", "<c@recipient.example>"]);

    let reports: Vec<_> = messages
        .iter()
        .filter(|message| first_word(&message.sender) == "<>")
        .collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(first_word(&reports[0].recipients[0]), format!("<{SENDER}>"));
    let report = Report::parse(&reports[0].octets);
    assert_eq!(report.recipients.len(), 1);
    assert_eq!(report.of_message("Reporting-MTA"), "dns; relay.example.com");
    assert_eq!(
        report.of_recipient("Final-Recipient"),
        "rfc822; b@recipient.example"
    );
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), "5.1.1");
    assert_eq!(
        report.of_recipient("Diagnostic-Code"),
        "smtp; 550 5.1.1 no such user"
    );
    assert!(report.returned.contains("Subject: for three"));
    relay.stop();
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}
