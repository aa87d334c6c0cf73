//! `on_unauthorized = "hold"`: the message is accepted and stored, nobody is sent it, and an operator decides.

use crate::stage::{
    QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, json, message_with, says, subjects,
};

/// Somebody whom the account may not send as.
const OTHER: &str = "ceo@bank.example";

fn holding(upstream: &Server) -> Setup {
    Setup::to(upstream).with("account.shop.on_unauthorized", "\"hold\"")
}

/// Submits a message; returns its queue ids.
#[track_caller]
fn submit(relay: &Relay, sender: &str, recipients: &[&str], fields: &str) -> Vec<String> {
    let message = message_with(fields, "Pay.\r\n");
    let reply = relay.neighbour().submit(sender, recipients, &message);
    let ids = reply.trim().strip_prefix(QUEUED);
    let ids = ids.unwrap_or_else(|| panic!("{reply}"));
    ids.split(", ").map(str::to_owned).collect()
}

#[test]
fn it_waits_and_says_why_until_it_is_released() {
    let upstream = Server::willing();
    let setup = holding(&upstream);
    let relay = setup.start();
    let fields = format!("From: {OTHER}\r\nSubject: held\r\n");
    let id = submit(&relay, OTHER, &[RECIPIENT], &fields).remove(0);
    let fields = format!("From: {SENDER}\r\nSubject: authorized\r\n");
    submit(&relay, SENDER, &[RECIPIENT], &fields);
    assert_eq!(subjects(&upstream.wait_for(1)), ["authorized"]);
    let line = relay.wait_for_log(&["WARN", "unauthorized sender held", &id]);
    assert!(
        line.contains("account=shop") && line.contains(OTHER),
        "{line}"
    );
    let line = relay.wait_for_log(&["INFO", "accepted", &id, "held=true"]);
    assert!(
        line.contains(&format!("{OTHER} in MAIL FROM is not allowed")),
        "{line}"
    );
    assert_told(&setup, &id);
    says(&setup, &["queue", "release", &id]);
    assert_eq!(subjects(&upstream.wait_for(2)), ["authorized", "held"]);
    relay.stop();
}

#[track_caller]
fn assert_told(setup: &Setup, id: &str) {
    let why = format!("{OTHER} in MAIL FROM is not allowed");
    let status = json(setup, &["status", "--json"]);
    assert_eq!(status["server"]["submission"]["unauthorized_held"], 1);
    assert_eq!(status["queue"]["held"], 1, "{status}");
    let listed = json(setup, &["queue", "list", "--state", "held", "--json"]);
    assert_eq!(listed[0]["id"], id, "{listed}");
    for arguments in [
        &["queue", "list"][..],
        &["queue", "show", id],
        &["trace", id],
    ] {
        let told = says(setup, arguments);
        assert!(told.contains("held") && told.contains(&why), "{told}");
    }
    let trace = json(setup, &["trace", id, "--json"]);
    assert_eq!(trace["events"][0]["is_held"], true, "{trace}");
}

#[test]
fn it_waits_also_after_the_process_was_killed() {
    let upstream = Server::willing();
    let setup = holding(&upstream);
    let relay = setup.start();
    let fields = format!("From: {SENDER}\r\nSender: {OTHER}\r\nSubject: held\r\n");
    let id = submit(&relay, SENDER, &[RECIPIENT], &fields).remove(0);
    relay.process.kill().unwrap();
    let relay = setup.start();
    relay.submit("next");
    assert_eq!(subjects(&upstream.wait_for(1)), ["next"]);
    let shown = says(&setup, &["queue", "show", &id]);
    assert!(
        shown.contains(&format!("{OTHER} in Sender is not allowed")),
        "{shown}"
    );
    says(&setup, &["queue", "delete", &id]);
    relay.stop();
    assert_eq!(upstream.messages().len(), 1);
}

#[test]
fn all_parts_of_it_wait_where_its_recipients_take_different_routes() {
    let (upstream, fax) = (Server::willing(), Server::willing());
    let setup =
        holding(&upstream)
            .upstream("fax", fax.address)
            .route(&["*@fax.example"], "fax", "");
    let relay = setup.start();
    let fields = format!("From: {OTHER}\r\nSubject: held\r\n");
    let recipients = [RECIPIENT, "1@fax.example"];
    let ids = submit(&relay, OTHER, &recipients, &fields);
    assert_eq!(ids.len(), 2);
    let status = json(&setup, &["status", "--json"]);
    assert_eq!(status["queue"]["held"], 2, "{status}");
    says(&setup, &["queue", "release", &ids[0], &ids[1]]);
    assert_eq!(subjects(&upstream.wait_for(1)), ["held"]);
    assert_eq!(subjects(&fax.wait_for(1)), ["held"]);
    relay.stop();
}

#[test]
fn what_cannot_be_read_is_refused_all_the_same() {
    let upstream = Server::willing();
    let relay = holding(&upstream).start();
    for fields in [
        format!("From: {SENDER}\r\nFrom: {OTHER}\r\n"),
        "From: nobody\r\n".to_owned(),
        String::new(),
    ] {
        let message = message_with(&fields, "Pay.\r\n");
        let reply = relay.neighbour().submit(SENDER, &[RECIPIENT], &message);
        assert!(reply.starts_with("554 5.6.0"), "{fields}: {reply}");
    }
    relay.stop();
    assert_eq!(upstream.messages().len(), 0);
}
