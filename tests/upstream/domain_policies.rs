//! What domains ask of connections to their servers: DANE and MTA-STS.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use posthouse::clock::SystemClock;
use posthouse::dns::{StaticResolver, TlsaRecord};
use posthouse::http::Trust;
use posthouse::mail::{Attempt, Envelope, Health, Stage, TlsRequest};
use posthouse::mta_sts::{Policies, Source};
use posthouse::upstream::Upstream;
use posthouse::upstream::smtp::{
    Dane, MtaSts, Settings, SmtpUpstream, TlsPolicy, Verification, Vouching,
};
use rcgen::{CertificateParams, date_time_ymd};

use crate::fake_upstream::{FakeUpstream, Identity, Script, Tls};
use crate::policy_server::PolicyServer;
use crate::support::{
    MESSAGE, all, assert_deferred, assert_relayed, envelope, order, relay_one, settings,
};

const ENFORCE: &str = "version: STSv1\nmode: enforce\nmx: mx1.example\nmax_age: 86400\n";
const UNREACHABLE: &Health = &Health::Unreachable;

fn localhost(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn encrypting() -> Script {
    Script::default().tls(Tls::StartTls)
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// A domain with one mail exchanger.
fn domain() -> StaticResolver {
    StaticResolver::default()
        .with_exchangers("a.example", &["mx1.example"])
        .with_host("mx1.example", &[localhost(1)])
}

fn tlsa(usage: u8, certificate: &[u8]) -> TlsaRecord {
    TlsaRecord {
        usage,
        selector: 0,
        matching: 1,
        data: digest(&SHA256, certificate).as_ref().into(),
    }
}

/// Settings for the domain, with opportunistic TLS: everything beyond comes from the domain.
fn by_domain(server: &FakeUpstream, vouching: Vouching) -> Settings {
    Settings {
        host: "a.example".to_owned(),
        mx: true,
        tls: TlsPolicy::Opportunistic,
        vouching,
        ..settings(server)
    }
}

const DANE: Vouching = Vouching {
    dane: Dane::On,
    mta_sts: MtaSts::Off,
};

fn with_dane(server: &FakeUpstream, resolver: StaticResolver) -> SmtpUpstream {
    let settings = by_domain(server, DANE);
    SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap()
}

#[track_caller]
fn assert_secured(server: &FakeUpstream, count: usize) {
    let messages = server.messages();
    assert_eq!(messages.len(), count);
    assert!(messages.iter().all(|message| message.is_encrypted));
}

#[tokio::test]
async fn a_certificate_that_its_zone_names_is_taken_whatever_it_says() {
    let mut expired = named("somebody.else.example");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 1);
    let server = FakeUpstream::start_showing(encrypting(), expired).await;
    let port = server.address.port();
    let resolver = domain().with_proof("a.example");
    let right = resolver
        .clone()
        .with_tlsa("mx1.example", port, &[tlsa(3, &server.chain[0])]);
    assert_relayed(&relay_one(&with_dane(&server, right)).await);
    assert_secured(&server, 1);
    let wrong = resolver.with_tlsa("mx1.example", port, &[tlsa(3, b"another")]);
    let attempt = relay_one(&with_dane(&server, wrong)).await;
    let text = assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
    assert!(
        text.contains("TLSA records") && text.contains("(DANE)"),
        "{text}"
    );
    assert_secured(&server, 1);
}

#[tokio::test]
async fn an_authority_that_the_zone_names_must_have_issued_it_for_the_server() {
    for (name, is_right) in [
        ("mx1.example", true),
        ("a.example", true),
        ("mx2.example", false),
    ] {
        let identity = Identity::issued(&named(name));
        let server = FakeUpstream::start_as(encrypting(), identity).await;
        let records = [tlsa(2, &server.chain[1])];
        let resolver = domain().with_proof("a.example").with_tlsa(
            "mx1.example",
            server.address.port(),
            &records,
        );
        let attempt = relay_one(&with_dane(&server, resolver)).await;
        if is_right {
            assert_relayed(&attempt);
            assert_secured(&server, 1);
        } else {
            assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
            assert!(server.messages().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_with_tlsa_records_never_gets_plain_text() {
    for usage in [1, 3] {
        let server = FakeUpstream::start(Script::default()).await;
        let resolver = domain().with_proof("a.example").with_tlsa(
            "mx1.example",
            server.address.port(),
            &[tlsa(usage, b"")],
        );
        let attempt = relay_one(&with_dane(&server, resolver)).await;
        let text = assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
        assert!(text.contains("STARTTLS"), "{text}");
        assert!(server.messages().is_empty());
    }
}

#[tokio::test]
async fn records_that_cannot_be_used_ask_for_encryption_alone() {
    let server = FakeUpstream::start(encrypting()).await;
    let resolver = domain().with_proof("a.example").with_tlsa(
        "mx1.example",
        server.address.port(),
        &[tlsa(1, b"")],
    );
    assert_relayed(&relay_one(&with_dane(&server, resolver)).await);
    assert_secured(&server, 1);
}

#[tokio::test]
async fn a_handshake_that_fails_is_no_way_to_plain_text() {
    let script = Script::default().tls(Tls::StartTlsAnswered("502 5.5.1 no\r\n".to_owned()));
    let server = FakeUpstream::start(script).await;
    let resolver = domain().with_proof("a.example").with_tlsa(
        "mx1.example",
        server.address.port(),
        &[tlsa(3, b"")],
    );
    assert_deferred(
        &relay_one(&with_dane(&server, resolver)).await,
        Stage::Tls,
        UNREACHABLE,
    );
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn a_server_whose_records_are_forged_is_left_out() {
    let server = FakeUpstream::start(encrypting()).await;
    let forged = domain()
        .with_proof("a.example")
        .with_wrong_signatures("mx1.example");
    let attempt = relay_one(&with_dane(&server, forged)).await;
    assert_deferred(&attempt, Stage::Resolve, UNREACHABLE);
    assert_eq!(server.connections(), 0);
    let two = StaticResolver::default()
        .with_exchangers("a.example", &["mx1.example", "mx2.example"])
        .with_host("mx1.example", &[localhost(1)])
        .with_host("mx2.example", &[localhost(1)])
        .with_proof("a.example")
        .with_wrong_signatures("mx1.example");
    let attempt = relay_one(&with_dane(&server, two)).await;
    assert_relayed(&attempt);
    assert_eq!(attempt.host.as_deref(), Some("mx2.example"));
}

#[tokio::test]
async fn a_list_of_servers_that_is_forged_leads_nowhere() {
    let server = FakeUpstream::start(encrypting()).await;
    let forged = domain().with_wrong_signatures("a.example");
    let attempt = relay_one(&with_dane(&server, forged)).await;
    assert_deferred(&attempt, Stage::Resolve, UNREACHABLE);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_records_of_names_that_anybody_may_have_written_do_not_count() {
    let server = FakeUpstream::start(Script::default()).await;
    let port = server.address.port();
    let resolver = domain().with_tlsa("mx1.example", port, &[tlsa(3, b"another")]);
    assert_relayed(&relay_one(&with_dane(&server, resolver)).await);
}

#[tokio::test]
async fn a_configured_host_has_records_of_its_own() {
    let server = FakeUpstream::start(encrypting()).await;
    let port = server.address.port();
    let settings = Settings {
        host: "mx1.example".to_owned(),
        tls: TlsPolicy::Required,
        vouching: DANE,
        ..settings(&server)
    };
    let resolver = domain().with_tlsa("mx1.example", port, &[tlsa(3, &server.chain[0])]);
    let upstream = SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap();
    assert_relayed(&relay_one(&upstream).await);
}

#[tokio::test]
async fn where_nothing_can_be_proved_mail_waits_only_if_it_was_told_to() {
    let server = FakeUpstream::start(encrypting()).await;
    let resolver = domain().without_signatures();
    let attempt = relay_one(&with_dane(&server, resolver.clone())).await;
    assert_deferred(&attempt, Stage::Resolve, UNREACHABLE);
    let where_possible = Vouching {
        dane: Dane::WherePossible,
        ..DANE
    };
    let settings = by_domain(&server, where_possible);
    let upstream = SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap();
    assert_relayed(&relay_one(&upstream).await);
}

async fn relay_waived(upstream: &SmtpUpstream) -> Attempt {
    let envelope = Envelope {
        tls: TlsRequest::Optional,
        ..envelope(&["r@example.net"])
    };
    let recipients = all(&envelope);
    upstream
        .attempt(order(&envelope, &recipients, MESSAGE.as_bytes()))
        .await
}

#[tokio::test]
async fn a_sender_may_waive_what_the_domain_asks_for_but_only_its_own() {
    let server = FakeUpstream::start(encrypting()).await;
    let wrong = domain().with_proof("a.example").with_tlsa(
        "mx1.example",
        server.address.port(),
        &[tlsa(3, b"another")],
    );
    let forged = domain().with_wrong_signatures("a.example");
    for (sent, resolver) in [wrong, forged].into_iter().enumerate() {
        let upstream = with_dane(&server, resolver);
        assert_relayed(&relay_waived(&upstream).await);
        let attempt = relay_one(&upstream).await;
        assert!(matches!(attempt.health, Health::Unreachable), "{attempt:?}");
        assert_secured(&server, sent + 1);
    }
}

#[tokio::test]
async fn a_sender_waives_nothing_that_the_settings_ask_for() {
    let server = FakeUpstream::start(Script::default()).await;
    let settings = Settings {
        tls: TlsPolicy::Required,
        ..by_domain(&server, DANE)
    };
    let upstream = SmtpUpstream::new(settings, Arc::new(domain()), Arc::new(SystemClock)).unwrap();
    assert_deferred(
        &relay_waived(&upstream).await,
        Stage::Tls,
        &Health::Unusable,
    );
    assert!(server.messages().is_empty());
}

/// An upstream by a domain with a policy, and what it needs.
struct Scene {
    web: PolicyServer,
    resolver: StaticResolver,
    vouching: Vouching,
    files: tempfile::TempDir,
}

impl Scene {
    async fn new(policy: &str) -> Self {
        Self {
            web: PolicyServer::start(policy).await,
            resolver: domain().with_text("_mta-sts.a.example", "v=STSv1; id=1;"),
            vouching: Vouching {
                dane: Dane::Off,
                mta_sts: MtaSts::On,
            },
            files: tempfile::tempdir().unwrap(),
        }
    }

    fn policies(&self, resolver: StaticResolver) -> Arc<Policies> {
        let trusted = self.files.path().join("web.pem");
        let mut file = std::fs::File::create(&trusted).unwrap();
        std::io::Write::write_all(&mut file, self.web.authority.as_bytes()).unwrap();
        let source = Source {
            resolver: Arc::new(resolver),
            dialer: self.web.dialer(),
            trust: Trust::Authority(trusted),
            clock: Arc::new(SystemClock),
        };
        Arc::new(Policies::kept_in(
            source,
            self.files.path().join("mta-sts.json"),
        ))
    }

    /// The upstream trusts the authorities of these servers.
    fn upstream(&self, servers: &[&FakeUpstream]) -> SmtpUpstream {
        self.upstream_with(servers, self.policies(self.resolver.clone()))
    }

    fn upstream_with(&self, servers: &[&FakeUpstream], policies: Arc<Policies>) -> SmtpUpstream {
        let trusted = self.files.path().join("mail.pem");
        let mut file = std::fs::File::create(&trusted).unwrap();
        for server in servers {
            file.write_all(server.certificate.as_bytes()).unwrap();
        }
        let settings = Settings {
            verification: Verification::Authority(trusted),
            ..by_domain(servers[0], self.vouching)
        };
        let resolver = Arc::new(self.resolver.clone());
        let upstream = SmtpUpstream::new(settings, resolver, Arc::new(SystemClock)).unwrap();
        upstream.with_policies(policies)
    }
}

async fn for_mx1(script: Script) -> FakeUpstream {
    FakeUpstream::start_showing(script, named("mx1.example")).await
}

#[tokio::test]
async fn a_server_that_fits_the_policy_gets_mail() {
    let scene = Scene::new(ENFORCE).await;
    let server = for_mx1(encrypting()).await;
    assert_relayed(&relay_one(&scene.upstream(&[&server])).await);
    assert_secured(&server, 1);
    assert_eq!(
        scene.web.requests(),
        ["GET /.well-known/mta-sts.txt HTTP/1.1 at mta-sts.a.example"]
    );
}

#[tokio::test]
async fn an_enforced_policy_never_ends_in_plain_text() {
    let scene = Scene::new(ENFORCE).await;
    let server = for_mx1(Script::default()).await;
    let attempt = relay_one(&scene.upstream(&[&server])).await;
    let text = assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
    assert!(text.contains("(MTA-STS)"), "{text}");
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_does_not_fit_the_policy() {
    let scene = Scene::new(ENFORCE).await;
    let server = FakeUpstream::start_showing(encrypting(), named("mx2.example")).await;
    assert_deferred(
        &relay_one(&scene.upstream(&[&server])).await,
        Stage::Tls,
        UNREACHABLE,
    );
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn a_server_that_the_policy_does_not_name_is_left_out() {
    let mut scene = Scene::new(ENFORCE).await;
    scene.resolver = scene
        .resolver
        .with_exchangers("a.example", &["evil.example", "mx1.example"])
        .with_host("evil.example", &[localhost(1)]);
    let server = for_mx1(encrypting()).await;
    let attempt = relay_one(&scene.upstream(&[&server])).await;
    assert_relayed(&attempt);
    assert_eq!(attempt.host.as_deref(), Some("mx1.example"));
    scene.resolver = scene
        .resolver
        .with_exchangers("a.example", &["evil.example"]);
    let attempt = relay_one(&scene.upstream(&[&server])).await;
    let text = assert_deferred(&attempt, Stage::Resolve, UNREACHABLE);
    assert!(
        text.contains("does not name the server evil.example"),
        "{text}"
    );
}

#[tokio::test]
async fn a_policy_that_is_tested_or_given_up_stops_nothing() {
    for mode in ["testing", "none"] {
        let policy = ENFORCE.replace("enforce", mode).replace("mx1", "other");
        let scene = Scene::new(&policy).await;
        let server = for_mx1(Script::default()).await;
        assert_relayed(&relay_one(&scene.upstream(&[&server])).await);
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_again_when_it_is_announced_to_have_changed() {
    let scene = Scene::new(ENFORCE).await;
    let server =
        for_mx1(Script::default().quirk(crate::fake_upstream::Quirk::CloseAfterMessage)).await;
    let upstream = scene.upstream(&[&server]);
    assert_deferred(&relay_one(&upstream).await, Stage::Tls, UNREACHABLE);
    assert_deferred(&relay_one(&upstream).await, Stage::Tls, UNREACHABLE);
    assert_eq!(scene.web.requests().len(), 1);
    scene.web.show("version: STSv1\nmode: none\nmax_age: 60\n");
    let changed = domain().with_text("_mta-sts.a.example", "v=STSv1; id=2;");
    let upstream = scene.upstream_with(&[&server], scene.policies(changed));
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(scene.web.requests().len(), 2);
}

#[tokio::test]
async fn who_hides_a_policy_later_gains_nothing_not_even_after_a_restart() {
    let scene = Scene::new(ENFORCE).await;
    let server = for_mx1(Script::default()).await;
    assert_deferred(
        &relay_one(&scene.upstream(&[&server])).await,
        Stage::Tls,
        UNREACHABLE,
    );
    let hidden = scene.policies(domain());
    let attempt = relay_one(&scene.upstream_with(&[&server], hidden)).await;
    assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
    scene
        .web
        .answer("HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n");
    let changed = domain().with_text("_mta-sts.a.example", "v=STSv1; id=3;");
    let attempt = relay_one(&scene.upstream_with(&[&server], scene.policies(changed))).await;
    assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_of_the_domain_is_no_policy() {
    let large = "a".repeat(70_000);
    for answer in [
        "HTTP/1.1 301 away\r\nLocation: https://mta-sts.a.example/2\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{ENFORCE}",
            ENFORCE.len()
        ),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{ENFORCE}{large}",
            ENFORCE.len() + large.len()
        ),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let scene = Scene::new(ENFORCE).await;
        scene.web.answer(&answer);
        let server = for_mx1(Script::default()).await;
        assert_relayed(&relay_one(&scene.upstream(&[&server])).await);
        assert_eq!(scene.web.requests().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn the_server_of_a_policy_must_prove_its_name() {
    let mut scene = Scene::new(ENFORCE).await;
    scene.web = PolicyServer::start_as("www.a.example", ENFORCE).await;
    let server = for_mx1(Script::default()).await;
    assert_relayed(&relay_one(&scene.upstream(&[&server])).await);
    assert!(scene.web.requests().is_empty());
}

#[tokio::test]
async fn dane_counts_before_mta_sts() {
    let mut scene = Scene::new(ENFORCE).await;
    scene.vouching.dane = Dane::On;
    let server = FakeUpstream::start_showing(encrypting(), named("mx2.example")).await;
    let port = server.address.port();
    let resolver = scene.resolver.clone().with_proof("a.example");
    scene.resolver = resolver
        .clone()
        .with_tlsa("mx1.example", port, &[tlsa(3, &server.chain[0])]);
    assert_relayed(&relay_one(&scene.upstream(&[&server])).await);
    let fitting = for_mx1(encrypting()).await;
    let records = [tlsa(3, b"another")];
    scene.resolver = resolver.with_tlsa("mx1.example", fitting.address.port(), &records);
    let attempt = relay_one(&scene.upstream(&[&fitting])).await;
    assert_deferred(&attempt, Stage::Tls, UNREACHABLE);
}

#[tokio::test]
async fn a_policy_makes_names_good_enough_for_requiretls() {
    let script = encrypting().extensions(&["REQUIRETLS"]);
    for (policy, is_relayed) in [
        (ENFORCE.to_owned(), true),
        (ENFORCE.replace("enforce", "testing"), false),
    ] {
        let scene = Scene::new(&policy).await;
        let server = for_mx1(script.clone()).await;
        let envelope = Envelope {
            tls: TlsRequest::Required,
            ..envelope(&["r@example.net"])
        };
        let recipients = all(&envelope);
        let order = order(&envelope, &recipients, MESSAGE.as_bytes());
        let attempt = scene.upstream(&[&server]).attempt(order).await;
        assert_eq!(server.messages().len() == 1, is_relayed, "{attempt:?}");
    }
}
