//! REQUIRETLS and `TLS-Required: No` (RFC 8689), from the client to the upstream or back to the sender.

use crate::report::Report;
use crate::stage::{QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, message, message_with};
use crate::support::fake_upstream::{Script, Tls};

fn protecting() -> Script {
    Script::default()
        .tls(Tls::StartTls)
        .extensions(&["REQUIRETLS", "DSN"])
}

#[test]
fn it_goes_on_over_tls_with_the_same_wish() {
    let upstream = Server::start(protecting());
    let relay = Setup::to(&upstream).trusting(&upstream).start();
    submit(&relay, " REQUIRETLS", &message("for few eyes"));
    let received = upstream.wait_for(1).remove(0);
    assert_eq!(received.sender, format!("<{SENDER}> REQUIRETLS"));
    assert!(received.is_encrypted);
    relay.stop();
}

#[test]
fn it_comes_back_where_the_upstream_does_not_promise_to_pass_it_on() {
    let upstream = Server::start(Script::default().tls(Tls::StartTls).extensions(&["DSN"]));
    let relay = Setup::to(&upstream).trusting(&upstream).start();
    submit(
        &relay,
        " REQUIRETLS RET=FULL",
        &message("never in plain text"),
    );
    let received = upstream.wait_for(1).remove(0);
    assert!(received.sender.starts_with("<>"), "{}", received.sender);
    let report = Report::parse(&received.octets);
    assert_eq!(report.of_recipient("Action"), "failed");
    assert_eq!(report.of_recipient("Status"), "5.7.30");
    assert!(
        report.text.contains("protected connections only"),
        "{}",
        report.text
    );
    assert!(report.returned.contains("Subject: never in plain text"));
    assert!(!report.returned.contains("Hello."), "{}", report.returned);
    relay.wait_for_log(&["bounced", "does not offer REQUIRETLS"]);
    relay.stop();
}

#[test]
fn its_report_is_protected_too() {
    let script = protecting().refuse_recipient(RECIPIENT, "550 5.1.1 nobody");
    let upstream = Server::start(script);
    let relay = Setup::to(&upstream).trusting(&upstream).start();
    submit(&relay, " REQUIRETLS", &message("to nobody"));
    let received = upstream.wait_for(1).remove(0);
    let is_protected =
        received.sender.starts_with("<> ") && received.sender.ends_with(" REQUIRETLS");
    assert!(is_protected, "{}", received.sender);
    relay.stop();
}

#[test]
fn it_comes_back_where_the_upstream_has_no_tls() {
    let upstream = Server::willing();
    let relay = Setup::to(&upstream).start();
    submit(&relay, " REQUIRETLS", &message("not for postcards"));
    let report = Report::parse(&upstream.wait_for(1).remove(0).octets);
    assert_eq!(report.of_recipient("Status"), "5.7.10");
    relay.stop();
}

#[test]
fn the_wish_survives_a_restart() {
    let script = protecting().reply("MAIL", "451 4.3.0 not now");
    let upstream = Server::start(script);
    let setup = Setup::to(&upstream).trusting(&upstream);
    let relay = setup.start();
    submit(&relay, " REQUIRETLS", &message("later"));
    upstream.wait_for_line("MAIL");
    relay.stop();
    upstream.set_script(protecting());
    let relay = setup.start_as_written();
    let received = upstream.wait_for(1).remove(0);
    assert_eq!(received.sender, format!("<{SENDER}> REQUIRETLS"));
    relay.stop();
}

#[test]
fn a_waiver_in_the_header_stays_there_and_changes_nothing_here() {
    let upstream = Server::start(protecting());
    let relay = Setup::to(&upstream).trusting(&upstream).start();
    let fields = format!("From: {SENDER}\r\nSubject: open\r\nTLS-Required: No\r\n");
    let open = message_with(&fields, "Hello.\r\n");
    submit(&relay, "", &open);
    submit(&relay, " REQUIRETLS", &open);
    let received = upstream.wait_for(2);
    let senders: Vec<&str> = received.iter().map(|received| &*received.sender).collect();
    assert!(senders.contains(&&*format!("<{SENDER}>")), "{senders:?}");
    assert!(
        senders.contains(&&*format!("<{SENDER}> REQUIRETLS")),
        "{senders:?}"
    );
    for received in &received {
        assert!(received.is_encrypted);
        let octets = String::from_utf8_lossy(&received.octets);
        assert!(octets.contains("TLS-Required: No"), "{octets}");
    }
    relay.stop();
}

#[track_caller]
fn submit(relay: &Relay, parameters: &str, message: &[u8]) {
    let mut client = relay.logged_in();
    client.must(&format!("MAIL FROM:<{SENDER}>{parameters}"), "250 2.1.0");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "250");
    client.must("DATA", "354");
    client.send(message);
    client.send(b".\r\n");
    client.must_reply(QUEUED);
    client.must("QUIT", "221");
}
