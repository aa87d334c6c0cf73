//! NOTIFY, RET, ENVID and ORCPT: the upstream sees to them where it can, else the relay tells what it knows.

use crate::report::Report;
use crate::stage::{RECIPIENT, Relay, SENDER, Server, Setup, message, subjects};
use crate::support::fake_upstream::Script;

/// Submits a message with these parameters of MAIL and RCPT.
#[track_caller]
fn submit(relay: &Relay, mail: &str, recipients: &[(&str, &str)], subject: &str) {
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>{mail}"), "250");
    for (recipient, parameters) in recipients {
        client.must(&format!("RCPT TO:<{recipient}>{parameters}"), "250");
    }
    client.must("DATA", "354");
    client.send(&message(subject));
    client.send(b".\r\n");
    client.must_reply("250");
}

fn without_dsn() -> Script {
    Script::default().extensions(&["PIPELINING", "8BITMIME"])
}

#[test]
fn an_upstream_without_dsn_leaves_the_report_to_the_relay() {
    let upstream = Server::start(without_dsn());
    let relay = Setup::to(&upstream).start();
    let wishes = " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alias@recipient.example";
    submit(
        &relay,
        " ENVID=QQ314159 RET=FULL",
        &[(RECIPIENT, wishes)],
        "confirmed",
    );
    let messages = upstream.wait_for(2);
    assert_eq!(messages[0].recipients, [format!("<{RECIPIENT}>")]);
    assert_eq!(messages[1].sender, "<>");
    assert_eq!(messages[1].recipients, [format!("<{SENDER}>")]);
    let report = Report::parse(&messages[1].octets);
    assert_eq!(report.of_message("Original-Envelope-Id"), "QQ314159");
    assert_eq!(report.of_recipient("Action"), "relayed");
    assert_eq!(report.of_recipient("Status"), "2.0.0");
    assert_eq!(
        report.of_recipient("Original-Recipient"),
        "rfc822; alias@recipient.example"
    );
    assert!(
        report.text.contains("does not confirm delivery"),
        "{}",
        report.text
    );
    // RET=FULL is for what was lost (RFC 3461 section 4.3).
    assert!(!report.returned.contains("Hello."));
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[test]
fn an_upstream_with_dsn_gets_the_wishes_and_the_relay_says_nothing() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    let wishes = " NOTIFY=SUCCESS ORCPT=rfc822;alias@recipient.example";
    submit(
        &relay,
        " ENVID=QQ314159 RET=HDRS",
        &[(RECIPIENT, wishes)],
        "passed on",
    );
    let messages = upstream.wait_for(1);
    assert!(
        messages[0].sender.contains(" RET=HDRS ENVID=QQ314159"),
        "{messages:?}"
    );
    assert_eq!(messages[0].recipients, [format!("<{RECIPIENT}>{wishes}")]);
    relay.submit("afterwards");
    assert_eq!(subjects(&upstream.wait_for(2)), ["passed on", "afterwards"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[test]
fn never_is_never() {
    let script = without_dsn().refuse_recipient(RECIPIENT, "550 5.1.1 no such user");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).start();
    submit(&relay, "", &[(RECIPIENT, " NOTIFY=NEVER")], "lost");
    relay.wait_for_log(&["bounced"]);
    relay.submit_to(&["other@recipient.example"], "afterwards");
    assert_eq!(subjects(&upstream.wait_for(1)), ["afterwards"]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 1);
}

#[test]
fn one_report_tells_of_what_went_well_and_what_did_not() {
    let script = without_dsn().refuse_recipient("lost@recipient.example", "550 5.1.1 no such user");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).start();
    let recipients = [
        (RECIPIENT, " NOTIFY=SUCCESS"),
        ("lost@recipient.example", " NOTIFY=SUCCESS,FAILURE"),
        ("quiet@recipient.example", " NOTIFY=FAILURE"),
    ];
    submit(&relay, " RET=FULL", &recipients, "mixed");
    let messages = upstream.wait_for(2);
    let report = Report::parse(&messages[1].octets);
    let actions: Vec<_> = report
        .recipients
        .iter()
        .filter_map(|fields| fields.iter().find(|(name, _)| name == "Action"))
        .map(|(_, action)| action.as_str())
        .collect();
    assert_eq!(actions, ["relayed", "failed"]);
    assert_eq!(report.subject, "Your message could not be delivered");
    assert!(report.returned.contains("Hello."), "{}", report.returned);
    relay.stop();
    assert_eq!(upstream.messages().len(), 2);
}

#[test]
fn nobody_hears_how_a_message_without_a_sender_fared() {
    let upstream = Server::start(without_dsn());
    let relay = Setup::to(&upstream)
        .with("account.shop.authorized_domains", "[]")
        .start();
    let mut client = relay.neighbour();
    client.must("MAIL FROM:<>", "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS"), "250");
    client.must("DATA", "354");
    client.send(&message("from nobody"));
    client.send(b".\r\n");
    client.must_reply("250");
    upstream.wait_for(1);
    relay.submit("afterwards");
    assert_eq!(
        subjects(&upstream.wait_for(2)),
        ["from nobody", "afterwards"]
    );
    relay.stop();
}

#[test]
fn what_stays_in_a_folder_is_delivered() {
    let setup = Setup::new()
        .with("upstream.main.maildir.directory", "\"mail\"")
        .with("relay.upstream", "[\"main\"]");
    let relay = setup.start();
    submit(&relay, "", &[(RECIPIENT, " NOTIFY=SUCCESS")], "kept");
    relay.wait_for_log_times("relayed", 2);
    let folder = std::fs::read_dir(setup.path().join("mail/new")).unwrap();
    let messages = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let messages: Vec<_> = messages.collect();
    let report = messages.iter().find(|message| message.contains("Action: "));
    assert!(
        report.unwrap().contains("Action: delivered"),
        "{messages:?}"
    );
    relay.stop();
}
