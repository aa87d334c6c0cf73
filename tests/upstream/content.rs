//! What becomes of the content on its way to an upstream.

use posthouse::dkim::{Algorithm, Canonicalization, Key, Selector, Signer, Signers, Subdomains};
use posthouse::mail::{BodyType, Domain, Lines};
use posthouse::upstream::Upstream as _;
use posthouse::upstream::smtp::Settings;

use crate::fake_upstream::{FakeUpstream, Script};
use crate::support::{all, assert_relayed, envelope, order, relay, settings, start};

const EIGHT_BIT: &str = "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                         Content-Transfer-Encoding: 8bit\r\n\r\nf\u{fc}r\r\n";

fn signers() -> Signers {
    let signer = |algorithm: Algorithm| Signer {
        name: "test".into(),
        domain: Domain::parse("example.com").unwrap(),
        selector: Selector::parse(algorithm.key_type()).unwrap(),
        key: Key::generate(algorithm).unwrap(),
        subdomains: Subdomains::Signed,
        canonicalization: Canonicalization::default(),
        valid_for: None,
        expires: None,
    };
    [Algorithm::Ed25519, Algorithm::Rsa]
        .map(signer)
        .into_iter()
        .collect()
}

/// The number behind `SIZE=` of MAIL.
fn announced(sender: &str) -> usize {
    let size = sender
        .split(' ')
        .find_map(|word| word.strip_prefix("SIZE="));
    size.unwrap().parse().unwrap()
}

#[tokio::test]
async fn eight_bit_goes_as_it_is_to_who_knows_it_and_encoded_to_who_does_not() {
    for (extensions, is_known) in [(&["8BITMIME", "SIZE"][..], true), (&["SIZE"][..], false)] {
        let server = FakeUpstream::start(Script::default().extensions(extensions)).await;
        let upstream = start(settings(&server));
        assert_relayed(&relay(&upstream, &["r@example.net"], EIGHT_BIT.as_bytes()).await);
        let received = &server.wait_for(1).await[0];
        assert_eq!(received.octets == EIGHT_BIT.as_bytes(), is_known);
        assert_eq!(received.octets.is_ascii(), !is_known);
        assert_eq!(received.sender.contains("BODY=8BITMIME"), is_known);
        assert_eq!(announced(&received.sender), received.octets.len());
    }
}

#[tokio::test]
async fn a_large_message_is_encoded_and_signed_while_it_is_streamed() {
    let message = EIGHT_BIT.to_owned() + &"stra\u{df}e\r\n".repeat(30_000);
    let server = FakeUpstream::start(Script::default().extensions(&["SIZE", "PIPELINING"])).await;
    let upstream = start(Settings {
        signers: signers(),
        ..settings(&server)
    });
    let mut envelope = envelope(&["r@example.net"]);
    (envelope.body, envelope.lines) = (BodyType::EightBitMime, Lines::Short);
    let recipients = all(&envelope);
    let order = order(&envelope, &recipients, message.as_bytes());
    assert_relayed(&upstream.attempt(order).await);
    let received = &server.wait_for(1).await[0];
    let text = str::from_utf8(&received.octets).unwrap();
    assert!(text.is_ascii() && text.ends_with("stra=C3=9Fe\r\n"));
    assert!(text.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"));
    assert_eq!(text.matches("DKIM-Signature:").count(), 2);
    assert_eq!(announced(&received.sender), received.octets.len());
}

#[tokio::test]
async fn a_message_is_signed_anew_for_a_connection_that_replaces_a_stale_one() {
    for message in ["x\r\n".to_owned(), "x\r\n".repeat(40_000)] {
        let server = FakeUpstream::start(Script::default()).await;
        let upstream = start(Settings {
            signers: signers(),
            ..settings(&server)
        });
        let message = format!("From: a@example.com\r\n\r\n.dot\r\n{message}");
        assert_relayed(&relay(&upstream, &["r@example.net"], message.as_bytes()).await);
        // The other connection knows less.
        let old = Script::default().extensions(&["SIZE"]);
        server.set_script(old.reply_times("MAIL", "421 4.4.2 too late", 1));
        assert_relayed(&relay(&upstream, &["r@example.net"], message.as_bytes()).await);
        assert_eq!(server.connections(), 2);
        for received in server.wait_for(2).await {
            let text = String::from_utf8(received.octets).unwrap();
            assert_eq!(text.matches("DKIM-Signature:").count(), 2);
            assert!(text.ends_with(&message));
        }
    }
}

/// RFC 6531 §3.2 forbids international addresses in the envelope; a header that holds UTF-8 goes as it is, as everywhere.
#[tokio::test]
async fn smtputf8_is_said_for_an_international_header_where_it_is_offered_and_needs_nothing_where_not()
 {
    let message = "From: <j\u{fc}rgen@example.com>\r\nSubject: Gr\u{fc}\u{df}e\r\n\r\nplain\r\n";
    for (extensions, says_it) in [
        (&["8BITMIME", "SMTPUTF8"][..], true),
        (&["8BITMIME"][..], false),
    ] {
        let server = FakeUpstream::start(Script::default().extensions(extensions)).await;
        let upstream = start(settings(&server));
        let mut envelope = envelope(&["r@b\u{fc}cher.example"]);
        envelope.smtputf8 = true;
        let recipients = all(&envelope);
        let order = order(&envelope, &recipients, message.as_bytes());
        assert_relayed(&upstream.attempt(order).await);
        let received = &server.wait_for(1).await[0];
        assert_eq!(received.sender.contains(" SMTPUTF8"), says_it);
        assert_eq!(received.octets, message.as_bytes());
        let recipient = if says_it {
            "<r@b\u{fc}cher.example>"
        } else {
            "<r@xn--bcher-kva.example>"
        };
        assert_eq!(received.recipients, [recipient]);
    }
}
