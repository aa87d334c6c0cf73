//! It takes several transactions; each recipient gets it once, and one report tells of those who do not.

use std::collections::BTreeSet;

use crate::report::Report;
use crate::stage::{SENDER, Server, Setup, message};
use crate::support::fake_upstream::Script;

#[test]
fn each_gets_it_once_and_one_report_tells_of_the_others() {
    let script = Script::default()
        .refuse_recipient("number7@recipient.example", "550 5.1.1 no such user")
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
    // Five transactions, the report, and number 200 again.
    let messages = upstream.wait_for(7);
    let (reports, copies): (Vec<_>, Vec<_>) = messages
        .iter()
        .partition(|message| message.sender.starts_with("<>"));
    let reached: Vec<_> = copies.iter().flat_map(|copy| &copy.recipients).collect();
    let different: BTreeSet<_> = reached.iter().collect();
    assert_eq!((reached.len(), different.len()), (248, 248));
    assert_eq!(reports.len(), 1);
    assert_eq!(Report::parse(&reports[0].octets).recipients.len(), 2);
    relay.stop();
    assert_eq!(upstream.messages().len(), 7);
}
