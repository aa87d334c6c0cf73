//! Look-up, TCP, TLS, greeting and login.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use posthouse::clock::SystemClock;
use posthouse::dns::StaticResolver;
use posthouse::mail::{Domain, Health, Stage};
use posthouse::tls::client::ClientTlsError;
use posthouse::upstream::smtp::{PlainTextLogin, Settings, SmtpUpstream, TlsPolicy, Verification};

use crate::fake_upstream::{FakeUpstream, Quirk, Script, Tls};
use crate::support::{
    Lines, MESSAGE, all, assert_deferred, assert_relayed, envelope, login, order, relay_one,
    settings, start, trusting,
};

const THROTTLED: Health = Health::Throttled { pause: None };

fn with_tls(tls: Tls) -> Script {
    Script::default().tls(tls)
}

#[tokio::test]
async fn starttls_and_implicit_tls_encrypt() {
    for (tls, policy) in [
        (Tls::StartTls, TlsPolicy::Required),
        (Tls::StartTls, TlsPolicy::Opportunistic),
        (Tls::Implicit, TlsPolicy::Implicit),
    ] {
        let server = FakeUpstream::start(with_tls(tls)).await;
        let (settings, _file) = trusting(&server, policy);
        assert_relayed(&relay_one(&start(settings)).await);
        assert!(server.messages()[0].is_encrypted);
    }
}

#[tokio::test]
async fn starttls_that_is_not_offered_where_required_needs_a_person() {
    let server = FakeUpstream::start(Script::default()).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let attempt = relay_one(&start(settings)).await;
    let text = assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
    assert_eq!(
        text,
        "starting TLS: the upstream does not offer STARTTLS, which is required"
    );
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn refused_starttls_is_never_clear_text_where_required() {
    for (reply, health) in [
        ("454 4.7.0 not now", &THROTTLED),
        ("502 5.5.1 no", &Health::Unusable),
    ] {
        let server = FakeUpstream::start(with_tls(Tls::StartTls).reply("STARTTLS", reply)).await;
        let (settings, _file) = trusting(&server, TlsPolicy::Required);
        assert_deferred(&relay_one(&start(settings)).await, Stage::Tls, health);
        assert!(!server.lines().iter().any(|line| line.starts_with("MAIL")));
    }
}

#[tokio::test]
async fn opportunistic_tls_falls_back_to_plain_text() {
    for tls in [
        Tls::None,
        Tls::StartTlsAnswered("454 4.7.0 not now\r\n".to_owned()),
        Tls::StartTlsAnswered("220 go ahead\r\n".to_owned()),
    ] {
        let server = FakeUpstream::start(with_tls(tls)).await;
        let upstream = start(Settings {
            tls: TlsPolicy::Opportunistic,
            ..settings(&server)
        });
        assert_relayed(&relay_one(&upstream).await);
        assert!(!server.messages()[0].is_encrypted);
    }
}

#[tokio::test]
async fn opportunistic_tls_without_login_takes_any_certificate() {
    let server = FakeUpstream::start(with_tls(Tls::StartTls)).await;
    let upstream = start(Settings {
        tls: TlsPolicy::Opportunistic,
        ..settings(&server)
    });
    assert_relayed(&relay_one(&upstream).await);
    assert!(server.messages()[0].is_encrypted);
}

#[tokio::test]
async fn a_wrong_certificate_needs_a_person_and_nothing_is_sent() {
    let other = FakeUpstream::start(Script::default()).await;
    for (tls, policy) in [
        (Tls::StartTls, TlsPolicy::Required),
        (Tls::StartTls, TlsPolicy::Opportunistic),
        (Tls::Implicit, TlsPolicy::Implicit),
    ] {
        let server = FakeUpstream::start(with_tls(tls)).await;
        let (trusting, _file) = trusting(&other, policy);
        let attempt = relay_one(&start(Settings {
            port: server.address.port(),
            ..trusting
        }))
        .await;
        let text = assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
        assert!(text.contains("certificate is not accepted"), "{text}");
        assert!(server.messages().is_empty());
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = FakeUpstream::start(with_tls(Tls::Implicit)).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Implicit);
    let localhost = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let resolver = StaticResolver::default().with_host("mx.example", &localhost);
    let settings = Settings {
        host: "mx.example".to_owned(),
        ..trusting
    };
    let upstream = SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap();
    let text = assert_deferred(&relay_one(&upstream).await, Stage::Tls, &Health::Unusable);
    assert!(text.contains("another name"), "{text}");
}

#[tokio::test]
async fn a_pinned_fingerprint_is_all_that_counts() {
    let server = FakeUpstream::start(with_tls(Tls::Implicit)).await;
    let transcript = Arc::new(Lines::default());
    let envelope = envelope(&["r@example.net"]);
    let recipients = all(&envelope);
    let unverified = start(Settings {
        tls: TlsPolicy::Implicit,
        verification: Verification::Off,
        ..settings(&server)
    });
    let order = order(&envelope, &recipients, MESSAGE.as_bytes());
    assert_relayed(
        &unverified
            .attempt_observed(order, Arc::<Lines>::clone(&transcript))
            .await,
    );
    let text = transcript.text();
    let (_, rest) = text.split_once("certificate SHA-256 ").unwrap();
    let mut sha256 = [0; 32];
    for (octet, digits) in sha256.iter_mut().zip(rest.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    let pinned = |sha256| Settings {
        tls: TlsPolicy::Implicit,
        verification: Verification::Fingerprint(sha256),
        ..settings(&server)
    };
    assert_relayed(&relay_one(&start(pinned(sha256))).await);
    sha256[0] ^= 1;
    let attempt = relay_one(&start(pinned(sha256))).await;
    let text = assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
    assert!(text.contains("SHA-256 fingerprint is"), "{text}");
}

#[tokio::test]
async fn tls_sessions_are_resumed() {
    let server = FakeUpstream::start(with_tls(Tls::StartTls)).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(settings);
    let envelope = envelope(&["r@example.net"]);
    let recipients = all(&envelope);
    let mut texts = Vec::new();
    for _ in 0..2 {
        let transcript = Arc::new(Lines::default());
        let order = order(&envelope, &recipients, MESSAGE.as_bytes());
        let watching = Arc::<Lines>::clone(&transcript);
        assert_relayed(&upstream.attempt_observed(order, watching).await);
        texts.push(transcript.text());
    }
    assert!(!texts[0].contains(", resumed,") && texts[1].contains(", resumed,"));
}

#[tokio::test]
async fn octets_slipped_in_before_the_handshake_end_the_connection() {
    for policy in [TlsPolicy::Required, TlsPolicy::Opportunistic] {
        let injected = "220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n".to_owned();
        let server = FakeUpstream::start(with_tls(Tls::StartTlsInjected(injected))).await;
        let (settings, _file) = trusting(&server, policy);
        let attempt = relay_one(&start(settings)).await;
        let text = assert_deferred(&attempt, Stage::Tls, &Health::Unreachable);
        assert!(text.contains("slipped in"), "{text}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn implicit_tls_on_a_plain_port_is_told_in_words() {
    let server = FakeUpstream::start(Script::default()).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Implicit);
    let attempt = relay_one(&start(settings)).await;
    let text = assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
    assert!(text.contains("does not speak TLS here"), "{text}");
}

#[tokio::test]
async fn every_mechanism_logs_in() {
    for mechanisms in [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "XOAUTH2 LOGIN",
        "PLAIN LOGIN CRAM-MD5",
    ] {
        let script = with_tls(Tls::StartTls).mechanisms(mechanisms);
        let server = FakeUpstream::start(script).await;
        let (trusting, _file) = trusting(&server, TlsPolicy::Required);
        let upstream = start(Settings {
            login: Some(login(PlainTextLogin::Forbidden)),
            ..trusting
        });
        assert_relayed(&relay_one(&upstream).await);
        assert_eq!(
            server.messages()[0].login.as_deref(),
            Some("user"),
            "{mechanisms}"
        );
    }
}

#[tokio::test]
async fn a_refused_login_needs_a_person_and_bounces_nothing() {
    let script = with_tls(Tls::StartTls)
        .mechanisms("PLAIN")
        .reply("AUTH", "535 5.7.139 disabled for the tenant");
    let server = FakeUpstream::start(script).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Required);
    let attempt = relay_one(&start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    }))
    .await;
    let text = assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
    assert!(text.contains("535 5.7.139"), "{text}");
    assert!(!text.contains("secret") && !format!("{attempt:?}").contains("secret"));
}

#[tokio::test]
async fn an_offered_mechanism_that_is_not_known_after_all_gives_way_to_the_next() {
    let script = with_tls(Tls::StartTls)
        .mechanisms("PLAIN LOGIN")
        .reply("AUTH PLAIN", "504 5.7.4 unrecognized authentication type");
    let server = FakeUpstream::start(script).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    });
    assert_relayed(&relay_one(&upstream).await);
}

#[tokio::test]
async fn a_login_never_goes_over_plain_text_unless_allowed() {
    for policy in [TlsPolicy::Disabled, TlsPolicy::Opportunistic] {
        let script = Script::default().mechanisms("PLAIN LOGIN CRAM-MD5");
        let server = FakeUpstream::start(script).await;
        let (trusting, _file) = trusting(&server, policy);
        let with = |over_plain_text| Settings {
            login: Some(login(over_plain_text)),
            ..trusting.clone()
        };
        let attempt = relay_one(&start(with(PlainTextLogin::Forbidden))).await;
        assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
        assert!(!server.lines().iter().any(|line| line.starts_with("AUTH")));
        assert_relayed(&relay_one(&start(with(PlainTextLogin::Allowed))).await);
        server.wait_for_line("AUTH CRAM-MD5").await;
    }
}

#[tokio::test]
async fn a_forbidden_login_does_not_fall_back_to_plain_text() {
    let script = with_tls(Tls::StartTlsAnswered("454 4.7.0 not now\r\n".to_owned()));
    let server = FakeUpstream::start(script.mechanisms("PLAIN")).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Opportunistic);
    let attempt = relay_one(&start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    }))
    .await;
    assert_deferred(&attempt, Stage::Tls, &THROTTLED);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_upstream_without_a_known_mechanism_needs_a_person() {
    let server = FakeUpstream::start(with_tls(Tls::StartTls).mechanisms("XOAUTH2")).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Required);
    let attempt = relay_one(&start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    }))
    .await;
    assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
}

#[tokio::test]
async fn greetings_are_classified() {
    for (greeting, health) in [
        ("421 4.3.2 too busy", &THROTTLED),
        ("554 5.7.1 go away", &Health::Unreachable),
        ("hello there", &Health::Unreachable),
    ] {
        let script = Script {
            greeting: greeting.to_owned(),
            ..Script::default()
        };
        let server = FakeUpstream::start(script).await;
        let attempt = relay_one(&start(settings(&server))).await;
        assert_deferred(&attempt, Stage::Greeting, health);
    }
}

#[tokio::test]
async fn an_upstream_that_closes_at_once_is_unreachable() {
    let script = Script::default().quirk(Quirk::CloseAt("greeting".to_owned()));
    let server = FakeUpstream::start(script).await;
    let attempt = relay_one(&start(settings(&server))).await;
    assert_deferred(&attempt, Stage::Greeting, &Health::Unreachable);
}

#[tokio::test]
async fn a_refused_connection_is_unreachable_and_the_next_address_is_tried() {
    let server = FakeUpstream::start(Script::default()).await;
    let dead = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254));
    let live = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let build = |addresses: &[IpAddr]| {
        let resolver = StaticResolver::default().with_host("localhost", addresses);
        SmtpUpstream::new(settings(&server), Arc::new(resolver), Arc::new(SystemClock)).unwrap()
    };
    let attempt = relay_one(&build(&[dead])).await;
    assert_deferred(&attempt, Stage::Connect, &Health::Unreachable);
    assert_relayed(&relay_one(&build(&[dead, live])).await);
}

#[tokio::test]
async fn mail_exchangers_are_tried_in_order() {
    let server = FakeUpstream::start(Script::default()).await;
    let resolver = StaticResolver::default()
        .with_exchangers("a.example", &["mx1.example", "mx2.example"])
        .with_host(
            "mx1.example",
            &[IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254))],
        )
        .with_host("mx2.example", &[IpAddr::V4(Ipv4Addr::LOCALHOST)])
        .with_exchangers("null.example", &[]);
    let resolver = Arc::new(resolver);
    let build = |host: &str| {
        let settings = Settings {
            host: host.to_owned(),
            mx: true,
            ..settings(&server)
        };
        SmtpUpstream::new(
            settings,
            Arc::<StaticResolver>::clone(&resolver),
            Arc::new(SystemClock),
        )
        .unwrap()
    };
    assert_relayed(&relay_one(&build("a.example")).await);
    let attempt = relay_one(&build("null.example")).await;
    assert_deferred(&attempt, Stage::Resolve, &Health::Unusable);
    let attempt = relay_one(&build("unknown.example")).await;
    assert_deferred(&attempt, Stage::Resolve, &Health::Unreachable);
}

#[tokio::test]
async fn an_international_name_is_said_in_a_labels() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(Settings {
        helo: Domain::parse("bücher.example").unwrap(),
        ..settings(&server)
    });
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(server.lines()[0], "EHLO xn--bcher-kva.example");
}

#[tokio::test]
async fn a_server_that_knows_only_helo_gets_mail() {
    let server = FakeUpstream::start(Script::default().extensions(&[])).await;
    assert_relayed(&relay_one(&start(settings(&server))).await);
    assert!(server.lines().contains(&"HELO relay.example".to_owned()));
}

#[tokio::test]
async fn a_missing_authority_file_is_told_when_the_upstream_is_made() {
    let server = FakeUpstream::start(Script::default()).await;
    let settings = Settings {
        tls: TlsPolicy::Required,
        verification: Verification::Authority(PathBuf::from("/nowhere/ca.pem")),
        ..settings(&server)
    };
    let resolver = Arc::new(StaticResolver::default());
    let made = SmtpUpstream::new(settings, resolver, Arc::new(SystemClock));
    assert!(matches!(made, Err(ClientTlsError::Read { .. })));
}

#[tokio::test]
async fn the_dialogue_is_shown_without_secrets_and_content() {
    let server = FakeUpstream::start(with_tls(Tls::StartTls).mechanisms("LOGIN")).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    });
    let envelope = envelope(&["r@example.net"]);
    let recipients = all(&envelope);
    let transcript = Arc::new(Lines::default());
    let order = order(&envelope, &recipients, MESSAGE.as_bytes());
    assert_relayed(
        &upstream
            .attempt_observed(order, Arc::<Lines>::clone(&transcript))
            .await,
    );
    let text = transcript.text();
    for line in [
        "S: 220 fake.example ESMTP",
        "C: EHLO relay.example",
        "S: 250-PIPELINING",
        "C: STARTTLS",
        "-- TLSv1.3 with",
        "C: AUTH LOGIN",
        "C: ***",
        "C: MAIL FROM:<s@example.com> SIZE=28",
        "C: BDAT 28 LAST",
        "-- 28 octets of the message",
        "S: 250 2.0.0 taken",
        "C: QUIT",
        "S: 221 2.0.0 bye",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for secret in ["c2VjcmV0", "dXNlcg==", "secret", ".dot"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}
