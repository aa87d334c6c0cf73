//! Messages with REQUIRETLS and with `TLS-Required: No` (RFC 8689).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use posthouse::clock::SystemClock;
use posthouse::dns::StaticResolver;
use posthouse::mail::{Attempt, Envelope, Health, Outcome, ReversePath, Stage, TlsRequest};
use posthouse::upstream::Upstream;
use posthouse::upstream::smtp::{Dane, Settings, SmtpUpstream, TlsPolicy, Verification, Vouching};

use crate::fake_upstream::{FakeUpstream, Identity, Script, Tls, usual_certificate};
use crate::support::{
    Lines, MESSAGE, all, assert_deferred, assert_relayed, envelope, order, relay_one, settings,
    start, trusting,
};

/// A server that does all that REQUIRETLS needs.
fn protecting() -> Script {
    Script::default()
        .tls(Tls::StartTls)
        .extensions(&["PIPELINING", "REQUIRETLS"])
}

fn with(request: TlsRequest) -> Envelope {
    Envelope {
        tls: request,
        ..envelope(&["r@example.net"])
    }
}

async fn relay(upstream: &SmtpUpstream, envelope: &Envelope) -> Attempt {
    let order = order(
        envelope,
        &[posthouse::mail::RecipientIndex(0)],
        MESSAGE.as_bytes(),
    );
    upstream.attempt(order).await
}

async fn relay_required(upstream: &SmtpUpstream) -> Attempt {
    relay(upstream, &with(TlsRequest::Required)).await
}

#[track_caller]
fn assert_refused(attempt: &Attempt, status: &str) {
    let Outcome::Rejected(failure) = &attempt.outcomes[0].1 else {
        panic!("{attempt:?}")
    };
    let class = posthouse::mail::status::Class::PermanentFailure;
    assert_eq!(failure.status(class).to_string(), status, "{failure}");
    assert_eq!(attempt.health, Health::Good);
}

#[tokio::test]
async fn it_goes_to_a_verified_server_and_the_wish_with_it() {
    for (tls, policy) in [
        (Tls::StartTls, TlsPolicy::Required),
        (Tls::StartTls, TlsPolicy::Opportunistic),
        (Tls::Implicit, TlsPolicy::Implicit),
    ] {
        let server = FakeUpstream::start(protecting().tls(tls)).await;
        let (settings, _file) = trusting(&server, policy);
        assert_relayed(&relay_required(&start(settings)).await);
        let message = &server.messages()[0];
        assert_eq!(message.sender, "<s@example.com> REQUIRETLS");
        assert!(message.is_encrypted);
    }
}

#[tokio::test]
async fn a_pinned_certificate_verifies_a_server() {
    let server = FakeUpstream::start(protecting()).await;
    let mut pinned = [0; 32];
    for (octet, digits) in pinned
        .iter_mut()
        .zip(server.fingerprint.as_bytes().chunks(2))
    {
        let digits = std::str::from_utf8(digits).unwrap();
        *octet = u8::from_str_radix(digits, 16).unwrap();
    }
    let upstream = start(Settings {
        tls: TlsPolicy::Required,
        verification: Verification::Fingerprint(pinned),
        ..settings(&server)
    });
    assert_relayed(&relay_required(&upstream).await);
}

#[tokio::test]
async fn other_messages_say_nothing_of_it() {
    let server = FakeUpstream::start(protecting()).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    assert_relayed(&relay_one(&upstream).await);
    assert_relayed(&relay(&upstream, &with(TlsRequest::Optional)).await);
    for message in server.messages() {
        assert_eq!(message.sender, "<s@example.com>");
    }
}

#[tokio::test]
async fn a_server_that_does_not_offer_it_gets_other_messages_only() {
    let server = FakeUpstream::start(Script::default().tls(Tls::StartTls)).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    assert_refused(&relay_required(&upstream).await, "5.7.30");
    assert!(!server.lines().iter().any(|line| line.starts_with("MAIL")));
    assert_relayed(&relay_one(&upstream).await);
    assert_refused(&relay_required(&upstream).await, "5.7.30");
    assert_relayed(&relay_one(&upstream).await);
}

#[tokio::test]
async fn a_server_that_is_not_verified_gets_other_messages_only() {
    let server = FakeUpstream::start(protecting()).await;
    let plain = FakeUpstream::start(Script::default().extensions(&["REQUIRETLS"])).await;
    for (server, tls, verification) in [
        (&server, TlsPolicy::Required, Verification::Off),
        (&server, TlsPolicy::Opportunistic, Verification::SystemRoots),
        (&plain, TlsPolicy::Opportunistic, Verification::SystemRoots),
        (&plain, TlsPolicy::Disabled, Verification::SystemRoots),
    ] {
        let upstream = start(Settings {
            tls,
            verification,
            ..settings(server)
        });
        assert_relayed(&relay_one(&upstream).await);
        assert_refused(&relay_required(&upstream).await, "5.7.10");
        assert_relayed(&relay_one(&upstream).await);
    }
    for message in server.messages().iter().chain(&plain.messages()) {
        assert!(!message.sender.contains("REQUIRETLS"), "{message:?}");
    }
}

#[tokio::test]
async fn what_is_temporary_makes_it_wait() {
    let script = protecting().reply("STARTTLS", "454 4.7.0 not now");
    let server = FakeUpstream::start(script).await;
    let upstream = start(Settings {
        tls: TlsPolicy::Opportunistic,
        ..settings(&server)
    });
    let throttled = Health::Throttled { pause: None };
    assert_deferred(&relay_required(&upstream).await, Stage::Tls, &throttled);
}

#[tokio::test]
async fn what_is_wrong_for_all_mail_is_the_operators_to_repair() {
    let (server, other) = (
        FakeUpstream::start(protecting()).await,
        FakeUpstream::start(protecting()).await,
    );
    let (settings, _file) = trusting(&other, TlsPolicy::Required);
    let upstream = start(Settings {
        port: server.address.port(),
        ..settings
    });
    assert_deferred(
        &relay_required(&upstream).await,
        Stage::Tls,
        &Health::Unusable,
    );
}

#[tokio::test]
async fn a_report_goes_without_it_rather_than_not_at_all() {
    let report = Envelope {
        reverse_path: ReversePath::Null,
        ..with(TlsRequest::Required)
    };
    for (script, sender) in [
        (protecting(), "<> REQUIRETLS"),
        (
            Script::default()
                .tls(Tls::StartTls)
                .extensions(&[])
                .extensions(&["SIZE"]),
            "<> SIZE=31",
        ),
    ] {
        let server = FakeUpstream::start(script).await;
        let (settings, _file) = trusting(&server, TlsPolicy::Required);
        assert_relayed(&relay(&start(settings), &report).await);
        let said = server.messages()[0].sender.clone();
        assert!(
            said.as_bytes()[..4] == sender.as_bytes()[..4]
                && said.contains("REQUIRETLS") == sender.contains("REQUIRETLS"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_does_is_used_again() {
    let server = FakeUpstream::start(protecting()).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    assert_relayed(&relay_one(&upstream).await);
    assert_relayed(&relay_required(&upstream).await);
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(server.connections(), 1);
}

fn localhost(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

#[tokio::test]
async fn the_names_of_an_unsigned_zone_verify_nobody() {
    let server = FakeUpstream::start(protecting()).await;
    let resolver = StaticResolver::default()
        .with_exchangers("a.example", &["localhost"])
        .with_host("localhost", &[localhost(1)]);
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let settings = Settings {
        host: "a.example".to_owned(),
        mx: true,
        vouching: Vouching {
            dane: Dane::On,
            ..Vouching::default()
        },
        ..settings
    };
    let build = |resolver| {
        SmtpUpstream::new(settings.clone(), Arc::new(resolver), Arc::new(SystemClock)).unwrap()
    };
    assert_refused(&relay_required(&build(resolver.clone())).await, "5.7.10");
    assert_relayed(&relay_required(&build(resolver.with_proof("a.example"))).await);
}

#[tokio::test]
async fn every_exchanger_is_tried_for_it() {
    let script = Script::default().tls(Tls::StartTls);
    let [of_one, of_two] = [(); 2].map(|()| Identity::own(&usual_certificate()));
    let authority = of_two.authority.clone();
    let [one, two] = FakeUpstream::start_two((script, of_one), (protecting(), of_two)).await;
    let resolver = StaticResolver::default()
        .with_exchangers("a.example", &["localhost", "LOCALHOST"])
        .with_proof("a.example")
        .with_host("localhost", &[localhost(1)])
        .with_host("LOCALHOST", &[localhost(2)]);
    let (settings, file) = trusting(&one, TlsPolicy::Required);
    let mut pem = std::fs::File::create(file.path()).unwrap();
    std::io::Write::write_all(
        &mut pem,
        format!("{}{authority}", one.certificate).as_bytes(),
    )
    .unwrap();
    let settings = Settings {
        host: "a.example".to_owned(),
        mx: true,
        vouching: Vouching {
            dane: Dane::On,
            ..Vouching::default()
        },
        ..settings
    };
    let upstream = SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap();
    assert_relayed(&relay_required(&upstream).await);
    assert_eq!((one.messages().len(), two.messages().len()), (0, 1));
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(two.messages().len(), 2);
}

#[tokio::test]
async fn the_dialogue_shows_the_certificates() {
    let server = FakeUpstream::start(protecting()).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    let (envelope, lines) = (with(TlsRequest::Required), Arc::new(Lines::default()));
    let recipients = all(&envelope);
    let order = order(&envelope, &recipients, MESSAGE.as_bytes());
    let attempt = upstream
        .attempt_observed(order, Arc::<Lines>::clone(&lines))
        .await;
    assert_relayed(&attempt);
    let text = lines.text();
    assert!(
        text.contains("-- certificate 0: ")
            && text.contains(" for localhost, 127.0.0.1, issued by "),
        "{text}"
    );
    let certificate = upstream.certificate().unwrap();
    assert_eq!(*certificate.fingerprint, *server.fingerprint);
}
