//! It takes several attempts; each recipient gets it once, and a report for each attempt tells of those who do not.

use std::collections::BTreeSet;

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, message};
use crate::support::fake_upstream::{Received, Script};

#[test]
fn each_gets_it_once_and_reports_tell_of_the_others() {
    let script = Script::default()
        .refuse_recipient("number7@recipient.example", "550 5.1.1 no such user")
        .refuse_recipient("number8@recipient.example", "550 5.1.1 no such user")
        .refuse_recipient("number150@recipient.example", "550 5.1.1 no such user")
        .reply_times("RCPT TO:<number200@", "452 4.2.2 full", 1);
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with("upstream.main.smtp.recipients_per_message", "50")
        .start();
    let mut client = relay.neighbour();
    let recipients: Vec<_> = (0..250)
        .map(|number| format!("number{number}@recipient.example"))
        .collect();
    let paths: Vec<_> = recipients.iter().map(String::as_str).collect();
    let reply = client.submit(SENDER, &paths, &message("to many"));
    assert!(reply.starts_with("250"), "{reply}");
    // Five batches, two reports, and number 200 again.
    let messages = upstream.wait_for(8);
    let (reports, copies): (Vec<_>, Vec<_>) = messages
        .iter()
        .partition(|message| message.sender.starts_with("<>"));
    let reached: Vec<_> = copies.iter().flat_map(|copy| &copy.recipients).collect();
    let different: BTreeSet<_> = reached.iter().collect();
    assert_eq!((reached.len(), different.len()), (247, 247));
    let told = |report: &&Received| Report::parse(&report.octets).recipients.len();
    let mut told: Vec<_> = reports.iter().map(told).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 8);
}
