//! How the connections of an upstream share its bandwidth.

use posthouse::mail::{Attempt, Priority};
use posthouse::schedule::Bandwidth;
use posthouse::upstream::Upstream as _;
use posthouse::upstream::smtp::{Settings, SmtpUpstream, TlsPolicy};

use crate::fake_upstream::{FakeUpstream, Script, Tls};
use crate::support::{all, assert_relayed, envelope, order, settings, start, trusting};

const MIB: usize = 1 << 20;

async fn send(upstream: &SmtpUpstream, priority: Priority, message: &[u8]) -> Attempt {
    let envelope = envelope(&[&format!("p{}@example.net", priority.number())]);
    let recipients = all(&envelope);
    let mut order = order(&envelope, &recipients, message);
    order.priority = priority;
    upstream.attempt(order).await
}

fn message(octets: usize) -> Vec<u8> {
    b"a line of 32 octets, line end in\r\n".repeat(octets / 34)
}

/// The urgent one is larger and begins later; only if it has all the bandwidth is it the first to arrive.
async fn assert_overtaken(server: &FakeUpstream, settings: Settings) {
    let upstream = start(Settings {
        bandwidth: Bandwidth::new(20 << 20),
        ..settings
    });
    let (bulk, urgent) = (message(5 * MIB), message(6 * MIB));
    let later = async {
        server.wait_for_line("DATA").await;
        send(&upstream, Priority::VeryHigh, &urgent).await
    };
    let attempts = tokio::join!(send(&upstream, Priority::Low, &bulk), later);
    assert_relayed(&attempts.0);
    assert_relayed(&attempts.1);
    let messages = server.messages();
    let order: Vec<_> = messages
        .iter()
        .map(|message| &*message.recipients[0])
        .collect();
    assert_eq!(order, ["<p1@example.net>", "<p4@example.net>"]);
    assert!(messages[0].octets == urgent && messages[1].octets == bulk);
}

#[tokio::test]
async fn an_urgent_message_overtakes_one_that_is_being_sent() {
    let server = FakeUpstream::start(Script::default().extensions(&["8BITMIME"])).await;
    assert_overtaken(&server, settings(&server)).await;
}

#[tokio::test]
async fn an_urgent_message_overtakes_inside_tls_too() {
    let script = Script::default().extensions(&["8BITMIME"]);
    let server = FakeUpstream::start(script.tls(Tls::StartTls)).await;
    let (settings, _authority) = trusting(&server, TlsPolicy::Required);
    assert_overtaken(&server, settings).await;
}

#[tokio::test]
async fn a_limited_bandwidth_changes_no_octet_on_any_way() {
    for way in [
        &["8BITMIME"][..],
        &["PIPELINING"],
        &["PIPELINING", "CHUNKING"],
    ] {
        for octets in [40, 60_000, 200_000] {
            let server = FakeUpstream::start(Script::default().extensions(way)).await;
            let upstream = start(Settings {
                bandwidth: Bandwidth::new(4 << 20),
                ..settings(&server)
            });
            let message = message(octets);
            assert_relayed(&send(&upstream, Priority::Normal, &message).await);
            assert!(server.messages()[0].octets == message, "{way:?} {octets}");
        }
    }
}
