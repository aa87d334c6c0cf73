//! `on_unauthorized = "rewrite"`, `envelope_sender` and `added_fields`: what leaves is what the account may send, and
//! nobody who answers is lost.

use crate::report::Report;
use crate::stage::{
    QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, field, json, message_with, says,
};
use crate::support::fake_upstream::Script;

/// Who has filled in the form of a web site.
const VISITOR: &str = "visitor@mail.example";

fn shop(upstream: &Server) -> Setup {
    Setup::to(upstream)
        .with("account.shop.on_unauthorized", "\"rewrite\"")
        .with("account.shop.default_sender", "\"web@shop.example\"")
}

#[track_caller]
fn submit(relay: &Relay, sender: &str, fields: &str) -> String {
    let message = message_with(&format!("{fields}Subject: form\r\n"), "Hello.\r\n");
    relay.neighbour().submit(sender, &[RECIPIENT], &message)
}

#[test]
fn a_visitor_of_a_web_site_is_answered_though_the_site_sends() {
    let upstream = Server::willing();
    let setup = shop(&upstream);
    let relay = setup.start();
    let fields = format!("From: \"Visitor, Anna\" <{VISITOR}>\r\n");
    let reply = submit(&relay, "wordpress@localhost.localdomain", &fields);
    let id = reply.trim().strip_prefix(QUEUED).unwrap();
    let received = &upstream.wait_for(1)[0];
    assert!(
        received.sender.starts_with("<web@shop.example>"),
        "{}",
        received.sender
    );
    let of = |name| field(&received.octets, name).unwrap();
    assert_eq!(of("From"), "\"Visitor, Anna\" <web@shop.example>");
    assert_eq!(of("Reply-To"), format!("\"Visitor, Anna\" <{VISITOR}>"));
    assert_eq!(of("Subject"), "form");
    relay.wait_for_log(&[
        "INFO",
        "sender rewritten",
        "MAIL FROM",
        "wordpress@localhost.localdomain",
    ]);
    relay.wait_for_log(&[
        "INFO",
        "sender rewritten",
        "From",
        VISITOR,
        "web@shop.example",
    ]);
    let status = json(&setup, &["status", "--json"]);
    assert_eq!(
        status["server"]["submission"]["unauthorized_rewritten"], 1,
        "{status}"
    );
    let trace = says(&setup, &["trace", id]);
    assert!(
        trace.contains(&format!(
            "sender rewritten: From: {VISITOR} became web@shop.example"
        )),
        "{trace}"
    );
    relay.stop();
}

#[test]
fn what_is_authorized_stays_as_it_is() {
    let upstream = Server::willing();
    let relay = shop(&upstream).start();
    submit(&relay, SENDER, &format!("From: Orders <{SENDER}>\r\n"));
    let received = &upstream.wait_for(1)[0];
    assert!(received.sender.starts_with(&format!("<{SENDER}>")));
    assert_eq!(
        field(&received.octets, "From").unwrap(),
        format!("Orders <{SENDER}>")
    );
    assert_eq!(field(&received.octets, "Reply-To"), None);
    relay.stop();
}

#[test]
fn what_cannot_be_read_is_refused_all_the_same() {
    let upstream = Server::willing();
    let relay = shop(&upstream).start();
    for fields in [
        format!("From: {SENDER}\r\nFrom: {VISITOR}\r\n"),
        format!("From: {VISITOR}\r\nFrom: {SENDER}\r\n"),
        "From: nobody\r\n".to_owned(),
        format!("From: <{VISITOR}> <{SENDER}>\r\n"),
        String::new(),
    ] {
        let reply = submit(&relay, SENDER, &fields);
        assert!(reply.starts_with("554 5.6.0"), "{fields}: {reply}");
    }
    relay.stop();
    assert_eq!(upstream.messages().len(), 0);
}

#[test]
fn an_upstream_has_its_own_envelope_sender_and_reports_go_to_the_messages_own() {
    let script = Script::default()
        .extensions(&["PIPELINING", "8BITMIME", "DSN"])
        .refuse_recipient("gone@recipient.example", "550 5.1.1 unknown");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream)
        .with(
            "upstream.main.smtp.envelope_sender",
            "\"bounces@provider.example\"",
        )
        .start();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}> RET=FULL ENVID=x"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}> NOTIFY=SUCCESS"), "250");
    client.must("RCPT TO:<gone@recipient.example>", "250");
    client.must("DATA", "354");
    client.send(&message_with(&format!("From: {SENDER}\r\n"), "Hello.\r\n"));
    client.send(b".\r\n");
    client.must_reply(QUEUED);
    let messages = upstream.wait_for(2);
    assert_eq!(
        messages[0].sender.split(' ').next(),
        Some("<bounces@provider.example>")
    );
    assert!(
        !messages[0].sender.contains("ENVID"),
        "{}",
        messages[0].sender
    );
    assert_eq!(messages[0].recipients, [format!("<{RECIPIENT}>")]);
    assert_eq!(field(&messages[0].octets, "From").unwrap(), SENDER);
    // The null reverse-path of the report stays, and it goes to who has sent the message.
    assert!(
        messages[1].sender.starts_with("<>"),
        "{}",
        messages[1].sender
    );
    assert!(messages[1].recipients[0].starts_with(&format!("<{SENDER}>")));
    let report = Report::parse(&messages[1].octets);
    let actions: Vec<_> = report
        .recipients
        .iter()
        .map(|recipient| {
            recipient
                .iter()
                .find(|(name, _)| name == "Action")
                .unwrap()
                .1
                .clone()
        })
        .collect();
    // Nobody behind will confirm the one that was relayed: its confirmation would go to somebody else.
    assert_eq!(actions, ["relayed", "failed"]);
    relay.stop();
}

#[test]
fn an_added_field_tells_who_has_sent_and_cannot_be_forged() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream)
        .with(
            "accounts.defaults.added_fields",
            "{ \"X-Authenticated-User\" = \"{account} ({client_address})\" }",
        )
        .start();
    submit(
        &relay,
        SENDER,
        &format!("X-Authenticated-User: root\r\nFrom: {SENDER}\r\nx-authenticated-user: admin\r\n"),
    );
    let received = &upstream.wait_for(1)[0];
    let text = String::from_utf8_lossy(&received.octets).to_lowercase();
    assert_eq!(text.matches("x-authenticated-user:").count(), 1, "{text}");
    let value = field(&received.octets, "X-Authenticated-User").unwrap();
    assert_eq!(value, "shop (127.0.0.2)");
    relay.stop();
}
