//! `posthouse trace`: the whole life of a message, while the server runs and when it is stopped, also after the message
//! has left.

use crate::stage::{
    NEIGHBOUR, PATIENCE, QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, command, json,
    message_with, says,
};
use crate::support::fake_upstream::{Script, Tls};
use crate::support::process::wait_for;

/// Submits a message of priority 2; returns its queue id.
#[track_caller]
fn submit(relay: &Relay) -> String {
    let text = message_with(
        &format!("From: {SENDER}\r\nSubject: secret subject\r\nX-Priority: 2\r\n"),
        "The text of the message.\r\n",
    );
    let reply = relay.neighbour().submit(SENDER, &[RECIPIENT], &text);
    reply.trim().strip_prefix(QUEUED).unwrap().to_owned()
}

#[track_caller]
fn wait_for_empty_queue(setup: &Setup) {
    let is_empty = || says(setup, &["queue", "list"]).is_empty();
    let emptied = wait_for(PATIENCE, || Ok(is_empty().then_some(())));
    assert!(emptied.unwrap().is_some(), "mail stays in the queue");
}

#[test]
fn it_tells_everything_also_after_the_message_has_left() {
    let script =
        Script::default()
            .tls(Tls::StartTls)
            .reply_times("RCPT TO:", "451 4.7.1 greylisted", 1);
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream).trusting(&upstream);
    let relay = setup.start();
    let id = submit(&relay);
    upstream.wait_for(1);
    wait_for_empty_queue(&setup);
    assert_all_is_told(&setup, &upstream, &id);
    relay.stop();
    assert_all_is_told(&setup, &upstream, &id);
}

#[test]
fn the_cipher_of_the_client_is_told() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let text = message_with(&format!("From: {SENDER}\r\n"), "Hello.\r\n");
    let reply = relay.logged_in().submit(SENDER, &[RECIPIENT], &text);
    let id = reply.trim().strip_prefix(QUEUED).unwrap().to_owned();
    let trace = json(&setup, &["trace", &id, "--json"]);
    let tls = &trace["events"][0]["tls"];
    assert_eq!(tls["version"], "TLSv1.3", "{trace}");
    assert!(tls["cipher"].as_str().unwrap().starts_with("TLS"), "{tls}");
    relay.stop();
}

#[track_caller]
fn assert_all_is_told(setup: &Setup, upstream: &Server, id: &str) {
    let trace = json(setup, &["trace", id, "--json"]);
    let [accepted, first, second] = trace["events"].as_array().unwrap().as_slice() else {
        panic!("{trace}");
    };
    assert!(trace["message"].is_null(), "{trace}");
    assert_accepted(accepted);
    assert_attempt(first, upstream, ("deferred", "451 4.7.1 greylisted"));
    assert!(first["recipients"][0]["due"].is_string(), "{first}");
    assert_attempt(second, upstream, ("relayed", "250"));
    let text = says(setup, &["trace", id]);
    for part in [
        "accepted",
        "attempt 1",
        "attempt 2",
        "no longer in the queue",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for secret in ["secret subject", "The text of the message"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[track_caller]
fn assert_accepted(event: &serde_json::Value) {
    let priority = serde_json::json!({"value": 2, "basis": "x_priority", "claimed": 2, "own": 3});
    for (key, expected) in [
        ("kind", "accepted".into()),
        ("peer", NEIGHBOUR.to_string().into()),
        ("account", "shop".into()),
        ("proof", "network".into()),
        ("recipients", serde_json::json!([RECIPIENT])),
        ("priority", priority),
        ("route", serde_json::json!(["main"])),
    ] {
        assert_eq!(event[key], expected, "{key}");
    }
    let allowed = event["allowed"].to_string();
    assert!(allowed.contains("granted by shop.example"), "{allowed}");
}

#[track_caller]
fn assert_attempt(event: &serde_json::Value, upstream: &Server, (fate, text): (&str, &str)) {
    let recipient = &event["recipients"][0];
    for (found, expected) in [
        (&event["kind"], "attempt"),
        (&event["upstream"], "main"),
        (&event["address"], &*upstream.address.to_string()),
        (&event["tls"]["version"], "TLSv1.3"),
        (&recipient["address"], RECIPIENT),
        (&recipient["fate"], fate),
    ] {
        assert_eq!(found, expected);
    }
    let told = recipient["text"].as_str().unwrap();
    assert!(told.contains(text), "{told}");
}

#[test]
fn a_bounce_leads_to_its_report_and_back() {
    let upstream = Server::start(Script::default().refuse_recipient(RECIPIENT, "550 5.1.1 no"));
    let setup = Setup::to(&upstream);
    let relay = setup.start();
    let id = submit(&relay);
    upstream.wait_for(1);
    wait_for_empty_queue(&setup);
    let trace = json(&setup, &["trace", &id, "--json"]);
    let events = trace["events"].as_array().unwrap();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["accepted", "attempt", "reported"], "{trace}");
    assert_eq!(events[1]["recipients"][0]["fate"], "bounced");
    let report = events[2]["report"].as_str().unwrap();
    let trace = json(&setup, &["trace", report, "--json"]);
    assert_eq!(
        (&trace["events"][0]["kind"], &trace["events"][0]["of"]),
        (&"report".into(), &id.into())
    );
    assert_eq!(trace["events"][0]["recipient"], SENDER);
    assert_eq!(trace["events"][1]["recipients"][0]["fate"], "relayed");
    relay.stop();
}

#[test]
fn a_journal_that_is_off_says_so() {
    let upstream = Server::willing();
    let setup = Setup::to(&upstream).with("journal.keep", "\"0s\"");
    let relay = setup.start();
    let id = submit(&relay);
    upstream.wait_for(1);
    wait_for_empty_queue(&setup);
    let output = command(&setup, &["trace", &id]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(66), "{error}");
    assert!(error.contains("is off"), "{error}");
    assert!(!setup.path().join("data/journal").exists());
    relay.stop();
}
