//! What an upstream announces with LIMITS (RFC 9422) is kept.

use posthouse::mail::{Attempt, Health};
use posthouse::upstream::smtp::{Settings, TlsPolicy};

use crate::fake_upstream::{FakeUpstream, Script, Tls};
use crate::support::{MESSAGE, relay, settings, short, start, trusting};

const RECIPIENTS: [&str; 4] = ["a@x.example", "b@y.example", "c@x.example", "d@z.example"];

fn announcing(limits: &str) -> Script {
    Script::default().extensions(&["PIPELINING", limits])
}

/// Asserts that all recipients were relayed, so many.
#[track_caller]
fn assert_relayed(attempt: &Attempt, count: usize) {
    assert_eq!(short(attempt), vec!["relayed 250"; count], "{attempt:?}");
    assert_eq!(attempt.health, Health::Good);
}

#[tokio::test]
async fn more_recipients_than_a_transaction_may_have_take_several_on_one_connection() {
    let server = FakeUpstream::start(announcing("LIMITS RCPTMAX=3")).await;
    let upstream = start(settings(&server));
    let attempt = relay(&upstream, &RECIPIENTS, MESSAGE.as_bytes()).await;
    assert_relayed(&attempt, 4);
    let messages = server.wait_for(2).await;
    let expected = "<a@x.example> <b@y.example> <c@x.example>";
    assert_eq!(messages[0].recipients.join(" "), expected);
    assert_eq!(messages[1].recipients, ["<d@z.example>"]);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_large_message_is_read_again_for_each_transaction() {
    let server = FakeUpstream::start(announcing("LIMITS RCPTMAX=2")).await;
    let upstream = start(settings(&server));
    let message = "a line of a large message\r\n".repeat(10_000);
    assert_relayed(&relay(&upstream, &RECIPIENTS, message.as_bytes()).await, 4);
    let messages = server.wait_for(2).await;
    assert!(
        messages
            .iter()
            .all(|received| received.octets == message.as_bytes())
    );
}

#[tokio::test]
async fn a_session_gets_no_more_messages_than_it_takes() {
    let server = FakeUpstream::start(announcing("LIMITS MAILMAX=2 RCPTMAX=1")).await;
    let upstream = start(settings(&server));
    assert_relayed(&relay(&upstream, &RECIPIENTS, MESSAGE.as_bytes()).await, 4);
    assert_eq!(server.messages().len(), 4);
    assert_eq!(server.connections(), 2);
    server.wait_for_line("QUIT").await;
}

#[tokio::test]
async fn a_session_names_no_more_domains_than_it_takes() {
    let server = FakeUpstream::start(announcing("LIMITS RCPTDOMAINMAX=2")).await;
    let upstream = start(Settings {
        connections: 1,
        ..settings(&server)
    });
    assert_relayed(&relay(&upstream, &RECIPIENTS, MESSAGE.as_bytes()).await, 4);
    let messages = server.wait_for(2).await;
    let expected = "<a@x.example> <b@y.example> <c@x.example>";
    assert_eq!(messages[0].recipients.join(" "), expected);
    assert_eq!(messages[1].recipients, ["<d@z.example>"]);
    assert_eq!(server.connections(), 2);
    // The second session has room for one domain more, and then for none.
    for (recipient, connections) in [("e@z.example", 2), ("f@u.example", 2), ("g@v.example", 3)] {
        assert_relayed(&relay(&upstream, &[recipient], MESSAGE.as_bytes()).await, 1);
        assert_eq!(server.connections(), connections, "{recipient}");
    }
}

#[tokio::test]
async fn what_was_announced_before_tls_counts_no_more() {
    let first = "250-fake.example\r\n250-STARTTLS\r\n250 LIMITS RCPTMAX=1";
    let script = Script::default()
        .tls(Tls::StartTls)
        .reply_times("EHLO", first, 1);
    let server = FakeUpstream::start(script).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    assert_relayed(&relay(&upstream, &RECIPIENTS, MESSAGE.as_bytes()).await, 4);
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_fails_in_between_is_not_asked_for_the_others() {
    let script = announcing("LIMITS RCPTMAX=1").reply("RCPT TO:<b", "421 4.7.0 too fast");
    let server = FakeUpstream::start(script).await;
    let upstream = start(settings(&server));
    let attempt = relay(&upstream, &RECIPIENTS, MESSAGE.as_bytes()).await;
    assert_ne!(attempt.health, Health::Good);
    let expected = [
        "relayed 250",
        "deferred Recipient 421",
        "deferred Recipient",
        "deferred Recipient",
    ];
    assert_eq!(short(&attempt), expected);
}
