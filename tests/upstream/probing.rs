//! The way to an upstream without a message.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use posthouse::clock::SystemClock;
use posthouse::dns::StaticResolver;
use posthouse::mail::{Health, Stage};
use posthouse::upstream::probe::{Passed, Step};
use posthouse::upstream::smtp::{
    Line, PlainTextLogin, Settings, SmtpUpstream, TlsPolicy, Transcript, Verification,
};

use crate::fake_upstream::{FakeUpstream, Script, Tls};
use crate::support::{login, settings, start, trusting};

/// Keeps the steps.
#[derive(Default)]
struct Steps(Mutex<Vec<Step>>);

impl Transcript for Steps {
    fn line(&self, _: Line<'_>) {}

    fn step(&self, step: &Step) {
        self.0.lock().unwrap().push(step.clone());
    }
}

impl Steps {
    fn names(&self) -> Vec<&'static str> {
        let name = |step: &Step| match step.passed {
            Passed::Connected { .. } => "connected",
            Passed::Greeted { .. } => "greeted",
            Passed::Introduced { .. } => "introduced",
            Passed::Left => "left",
            Passed::LoggedIn { .. } => "logged in",
            Passed::PassedOver { .. } => "passed over",
            Passed::Resolved { .. } => "resolved",
            Passed::Secured { .. } => "secured",
        };
        self.0.lock().unwrap().iter().map(name).collect()
    }
}

#[tokio::test]
async fn every_step_is_told_and_nothing_is_sent() {
    let server =
        FakeUpstream::start(Script::default().tls(Tls::StartTls).mechanisms("LOGIN")).await;
    let (trusting, _file) = trusting(&server, TlsPolicy::Required);
    let upstream = start(Settings {
        login: Some(login(PlainTextLogin::Forbidden)),
        ..trusting
    });
    let steps = Arc::new(Steps::default());
    let watching = Arc::<Steps>::clone(&steps);
    upstream.probe(watching).await.unwrap();
    let expected = [
        "resolved",
        "connected",
        "greeted",
        "introduced",
        "secured",
        "introduced",
        "logged in",
        "left",
    ];
    assert_eq!(steps.names(), expected);
    let text = format!("{:?}", steps.0.lock().unwrap());
    assert!(text.contains(&server.fingerprint), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let lines = server.lines();
    assert_eq!(lines.last().map(String::as_str), Some("QUIT"));
    assert!(!lines.iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_shown_and_gets_no_login() {
    let other = FakeUpstream::start(Script::default()).await;
    for (tls, policy) in [
        (Tls::StartTls, TlsPolicy::Required),
        (Tls::Implicit, TlsPolicy::Implicit),
    ] {
        let server = FakeUpstream::start(Script::default().tls(tls).mechanisms("PLAIN")).await;
        let (trusting, _file) = trusting(&other, policy);
        let upstream = start(Settings {
            port: server.address.port(),
            login: Some(login(PlainTextLogin::Forbidden)),
            ..trusting
        });
        let steps = Arc::new(Steps::default());
        let trouble = upstream.probe(steps).await.unwrap_err();
        assert_eq!(trouble.failure.stage, Stage::Tls);
        assert_eq!(trouble.health, Health::Unusable);
        let shown: Vec<_> = trouble.shown.iter().map(|c| &*c.fingerprint).collect();
        assert_eq!(shown, [server.fingerprint.as_str()]);
        let lines = server.lines();
        assert!(
            !lines.iter().any(|line| line.starts_with("AUTH")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_told_and_passed_over() {
    let server = FakeUpstream::start(Script::default()).await;
    let dead = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254));
    let addresses = [dead, IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let resolver = Arc::new(StaticResolver::default().with_host("localhost", &addresses));
    let upstream = SmtpUpstream::new(settings(&server), resolver, Arc::new(SystemClock)).unwrap();
    let steps = Arc::new(Steps::default());
    let watching = Arc::<Steps>::clone(&steps);
    upstream.probe(watching).await.unwrap();
    assert_eq!(steps.names()[..3], ["resolved", "passed over", "connected"]);
}

#[tokio::test]
async fn a_refused_login_ends_it_with_the_words_of_the_upstream() {
    let script = Script::default()
        .mechanisms("PLAIN")
        .reply("AUTH", "535 5.7.8 wrong");
    let server = FakeUpstream::start(script).await;
    let upstream = start(Settings {
        verification: Verification::SystemRoots,
        login: Some(login(PlainTextLogin::Allowed)),
        ..settings(&server)
    });
    let steps = Arc::new(Steps::default());
    let watching = Arc::<Steps>::clone(&steps);
    let trouble = upstream.probe(watching).await.unwrap_err();
    assert_eq!(
        trouble.failure.to_string(),
        "logging in: the upstream answered 535 5.7.8 wrong"
    );
    assert!(trouble.shown.is_empty());
    assert_eq!(steps.names().last(), Some(&"introduced"));
}
