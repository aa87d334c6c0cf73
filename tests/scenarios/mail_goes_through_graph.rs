//! Microsoft 365 takes the mail: recipients as in the envelope; and it waits, and is not returned, while the application is
//! locked out.

use crate::stage::{QUEUED, SENDER, Server, Setup, message_with, run, toml_text};
use crate::support::fake_graph::{CLIENT, FakeGraph, GRAPH_SCOPE, SECRET, SMTP_SCOPE, TENANT};
use crate::support::fake_upstream::{Script, Tls};
use crate::support::process::write_file;

fn graph() -> FakeGraph {
    let graph = run(FakeGraph::start());
    graph.add_mailbox(SENDER);
    graph
}

fn to(graph: &FakeGraph) -> Setup {
    let url = format!("{:?}", graph.url());
    Setup::new()
        .with("relay.upstream", "\"office\"")
        .with("upstream.office.graph.tenant_id", &format!("{TENANT:?}"))
        .with("upstream.office.graph.client_id", &format!("{CLIENT:?}"))
        .with("upstream.office.graph.client_secret", &secret(SECRET))
        .with("upstream.office.graph.endpoint", &url)
        .with("upstream.office.graph.authority", &url)
        .with("upstream.office.graph.large", "\"refuse\"")
}

fn secret(text: &str) -> String {
    format!("{{ inline = {text:?} }}")
}

#[test]
fn its_recipients_are_those_of_the_envelope() {
    let graph = graph();
    let relay = to(&graph).start();
    let message = message_with(
        &format!(
            "From: {SENDER}\r\nSubject: s\r\nBcc: other@x.example\r\nCc: <list@x.example>\r\n"
        ),
        "Hello.\r\n",
    );
    let to = ["a@x.example", "customer@recipient.example"];
    let reply = relay.neighbour().submit(SENDER, &to, &message);
    assert!(reply.starts_with("250"), "{reply}");
    let sent = run(graph.wait_for(1));
    assert_eq!(sent[0].mailbox, SENDER);
    assert_eq!(sent[0].recipients, to);
    let text = sent[0].text();
    assert!(text.contains("X-Header-Cc: <list@x.example>\r\n"), "{text}");
    assert!(!text.contains("other@x.example"), "{text}");
    relay.wait_for_log(&["relayed", "code=250"]);
    relay.stop();
}

#[test]
fn it_waits_while_the_secret_has_expired() {
    let graph = graph();
    graph.refuse_token(7_000_222);
    let setup = to(&graph);
    let relay = setup.start();
    relay.submit("first");
    relay.submit("second");
    let line = relay.wait_for_log(&["ERROR", "cannot be used as configured"]);
    assert!(line.contains("AADSTS7000222"), "{line}");
    assert!(!relay.process.log().contains(SECRET));
    assert_eq!(graph.sent().len(), 0);

    // The same table again: what was known of the upstream is forgotten, and the token endpoint gives one now.
    relay.reload(&setup.with("upstream.office.graph.timeout", "\"90s\""));
    let sent = run(graph.wait_for(2));
    let mut subjects: Vec<String> = sent.iter().map(|sent| sent.subject()).collect();
    subjects.sort();
    assert_eq!(subjects, ["first", "second"]);
    assert_eq!(relay.count_in_log("bounced"), 0);
    relay.stop();
}

#[test]
fn a_throttled_mailbox_is_left_alone_and_no_attempt_counts() {
    let graph = graph();
    graph.answer("429 ApplicationThrottled", &[("Retry-After", "1")]);
    let relay = to(&graph).start();
    relay.submit("patient");
    let line = relay.wait_for_log(&["left alone for a while"]);
    assert!(line.contains("ApplicationThrottled"), "{line}");
    let sent = run(graph.wait_for(1));
    assert_eq!(sent[0].subject(), "patient");
    // The first attempt did not count: the second is the first again.
    relay.wait_for_log(&["relayed", "attempt=1"]);
    relay.stop();
}

#[test]
fn a_large_message_goes_by_smtp_as_the_same_mailbox() {
    let graph = graph();
    let script = Script {
        login: (SENDER.to_owned(), String::new()),
        ..Script::default()
    };
    let script = script.tls(Tls::StartTls).mechanisms("LOGIN XOAUTH2");
    let server = Server::start(script.tokens(&["token-"]));
    let setup = to(&graph);
    let file = setup.path().join("smtp.pem");
    write_file(&file, server.certificate.as_bytes()).unwrap();
    let setup = setup
        .with("upstream.office.graph.large", "\"smtp\"")
        .with("upstream.office.graph.smtp_host", "\"127.0.0.1\"")
        .with(
            "upstream.office.graph.smtp_port",
            &server.address.port().to_string(),
        )
        .with("upstream.office.graph.message_size", "\"64 KiB\"")
        .with("upstream.office.graph.ca_file", &toml_text(&file));
    let relay = setup.start();
    let fields = format!("From: {SENDER}\r\nSubject: large\r\n");
    let message = message_with(&fields, &"A line of a large message.\r\n".repeat(3000));
    let to = ["hidden@recipient.example"];
    let reply = relay.neighbour().submit(SENDER, &to, &message);
    assert!(reply.starts_with(QUEUED), "{reply}");
    let received = server.wait_for(1);
    assert_eq!(received[0].login.as_deref(), Some(SENDER));
    assert!(received[0].is_encrypted);
    assert_eq!(received[0].recipients, ["<hidden@recipient.example>"]);
    assert_eq!(graph.scopes(), [GRAPH_SCOPE, SMTP_SCOPE]);
    relay.submit("small");
    let sent = run(graph.wait_for(1));
    assert_eq!(sent[0].subject(), "small");
    relay.stop();
}
