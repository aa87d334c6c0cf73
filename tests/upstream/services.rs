//! Servers found by SRV records.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use posthouse::clock::SystemClock;
use posthouse::dns::StaticResolver;
use posthouse::mail::{Health, Stage};
use posthouse::upstream::smtp::{Services, Settings, SmtpUpstream, TlsPolicy};

use crate::fake_upstream::{FakeUpstream, Script, Tls};
use crate::support::{assert_deferred, assert_relayed, relay_one, trusting};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEAD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254));

/// Certificates of the scripted server are for `localhost`; so is the domain here.
fn start(settings: Settings, services: Services, resolver: StaticResolver) -> SmtpUpstream {
    let settings = Settings {
        port: 1,
        srv: Some(services),
        ..settings
    };
    SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap()
}

async fn server(tls: Tls) -> FakeUpstream {
    FakeUpstream::start(Script::default().tls(tls)).await
}

#[tokio::test]
async fn a_service_says_port_and_kind_of_tls() {
    for (tls, name, services) in [
        (
            Tls::Implicit,
            "_submissions._tcp.localhost",
            Services::Submissions,
        ),
        (Tls::Implicit, "_submissions._tcp.localhost", Services::Any),
        (
            Tls::StartTls,
            "_submission._tcp.localhost",
            Services::Submission,
        ),
        (Tls::StartTls, "_submission._tcp.localhost", Services::Any),
    ] {
        let server = server(tls).await;
        let resolver = StaticResolver::default()
            .with_services(name, &[(0, 1, server.address.port(), "localhost")])
            .with_host("localhost", &[LOCALHOST]);
        let (settings, _file) = trusting(&server, TlsPolicy::Required);
        assert_relayed(&relay_one(&start(settings, services, resolver)).await);
        assert!(server.messages()[0].is_encrypted);
    }
}

#[tokio::test]
async fn starttls_found_by_srv_is_never_left_out() {
    let server = server(Tls::None).await;
    let port = server.address.port();
    let resolver = StaticResolver::default()
        .with_services("_submission._tcp.localhost", &[(0, 1, port, "localhost")])
        .with_host("localhost", &[LOCALHOST]);
    let (settings, _file) = trusting(&server, TlsPolicy::Required);
    let attempt = relay_one(&start(settings, Services::Any, resolver)).await;
    assert_deferred(&attempt, Stage::Tls, &Health::Unusable);
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn the_next_server_is_tried_and_implicit_tls_comes_first() {
    let (first, second) = (server(Tls::Implicit).await, server(Tls::StartTls).await);
    let (implicit, starttls) = (first.address.port(), second.address.port());
    let resolver = StaticResolver::default()
        .with_services(
            "_submissions._tcp.localhost",
            &[(10, 0, implicit, "localhost")],
        )
        .with_services(
            "_submission._tcp.localhost",
            &[(10, 0, starttls, "localhost"), (5, 0, 25, "dead.localhost")],
        )
        .with_host("dead.localhost", &[DEAD])
        .with_host("localhost", &[LOCALHOST]);
    let (settings, _file) = trusting(&first, TlsPolicy::Required);
    assert_relayed(&relay_one(&start(settings, Services::Any, resolver)).await);
    assert_eq!((first.messages().len(), second.connections()), (1, 0));
}

#[tokio::test]
async fn a_server_outside_the_domain_needs_a_certificate_for_the_domain() {
    let server = server(Tls::Implicit).await;
    let port = server.address.port();
    let at = |domain: &str| {
        let resolver = StaticResolver::default()
            .with_services(
                &format!("_submissions._tcp.{domain}"),
                &[(0, 1, port, "smtp.provider.example")],
            )
            .with_host("smtp.provider.example", &[LOCALHOST]);
        let (settings, file) = trusting(&server, TlsPolicy::Implicit);
        let settings = Settings {
            host: domain.to_owned(),
            ..settings
        };
        (start(settings, Services::Any, resolver), file)
    };
    // The certificate is for `localhost`.
    let (upstream, _file) = at("localhost");
    assert_relayed(&relay_one(&upstream).await);
    let (upstream, _file) = at("example.com");
    let text = assert_deferred(&relay_one(&upstream).await, Stage::Tls, &Health::Unusable);
    assert!(text.contains("another name"), "{text}");
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn a_domain_without_the_service_is_told() {
    let server = server(Tls::Implicit).await;
    let (settings, _file) = trusting(&server, TlsPolicy::Implicit);
    let none = StaticResolver::default()
        .with_services("_submissions._tcp.localhost", &[(0, 0, 0, "")])
        .with_services("_submission._tcp.localhost", &[(0, 0, 0, "")]);
    let attempt = relay_one(&start(settings.clone(), Services::Any, none)).await;
    let text = assert_deferred(&attempt, Stage::Resolve, &Health::Unusable);
    assert!(text.contains("does not offer this service"), "{text}");
    let unknown = StaticResolver::default();
    let attempt = relay_one(&start(settings.clone(), Services::Any, unknown)).await;
    assert_deferred(&attempt, Stage::Resolve, &Health::Unreachable);
    let failing = StaticResolver::default().failing();
    let attempt = relay_one(&start(settings, Services::Any, failing)).await;
    assert_deferred(&attempt, Stage::Resolve, &Health::Unreachable);
}
