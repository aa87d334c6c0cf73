//! `upstream::graph` against a fake Graph on loopback, and a fake SMTP server for what Graph does not take.

use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock, ManualClock, SystemClock};
use posthouse::dial::Dialer;
use posthouse::dns::StaticResolver;
use posthouse::http::{self, Client, Trust};
use posthouse::identity::UpstreamName;
use posthouse::mail::status::Class;
use posthouse::mail::{
    Attempt, DeliverBy, DeliverByMode, DeliverByTrace, Envelope, Health, Outcome, ReversePath,
    TlsRequest,
};
use posthouse::oauth::{self, Audience, Authentication, ClientCredentials, Grant, Tokens};
use posthouse::schedule::{Availability, Condition, Moment, Reason, Report};
use posthouse::secret::Secret;
use posthouse::upstream::Upstream;
use posthouse::upstream::graph::{
    Foreign, GraphUpstream, PER_MAILBOX, Parts, Settings, Submission,
};
use posthouse::upstream::smtp::SmtpUpstream;
use tokio::task::JoinSet;

use crate::fake_graph::{CLIENT, FakeGraph, GRAPH_SCOPE, MAILBOX, OUT_OF_SCOPE, SECRET, Sent};
use crate::fake_upstream::{FakeUpstream, ReservedPort, Script};
use crate::support::{all, envelope, mailbox, order, short};

const MESSAGE: &str =
    "From: s@example.com\r\nTo: R <r@example.net>\r\nSubject: test\r\n\r\n.dot\r\nend\r\n";

fn settings(graph: &FakeGraph) -> Settings {
    Settings {
        name: UpstreamName::parse("office").unwrap(),
        endpoint: graph.url().parse().unwrap(),
        mailbox: None,
        message_size: 3_000_000,
        foreign: Foreign::Rewrite,
        connections: 20,
        recipients_per_message: 500,
        timeout: Duration::from_secs(20),
    }
}

/// What an upstream is made of.
struct Scene {
    settings: Settings,
    submission: Option<Submission>,
    clock: Arc<dyn Clock>,
}

impl Scene {
    fn of(graph: &FakeGraph) -> Self {
        Self {
            settings: settings(graph),
            submission: None,
            clock: Arc::new(SystemClock),
        }
    }

    fn start(self, graph: &FakeGraph) -> GraphUpstream {
        let localhost = [std::net::Ipv4Addr::LOCALHOST.into()];
        let resolver = StaticResolver::default().with_host("localhost", &localhost);
        let dial = Arc::new(Dialer::new(Arc::new(resolver), None));
        let client = Client::new(&http::Settings::default(), dial).unwrap();
        let grant = ClientCredentials {
            client_id: CLIENT.to_owned(),
            authentication: Authentication::Post(Secret::new(SECRET.to_owned())),
            audience: Audience {
                scope: Some(GRAPH_SCOPE.to_owned()),
                audience: None,
            },
        };
        let tokens = oauth::Settings {
            token_url: graph.token_url().parse().unwrap(),
            grant: Grant::ClientCredentials(grant),
            trust: Trust::SystemRoots,
        };
        let tokens = Tokens::new(tokens, client.clone(), Arc::clone(&self.clock));
        let parts = Parts {
            client,
            tokens: Arc::new(tokens),
            submission: self.submission,
            clock: self.clock,
        };
        GraphUpstream::new(self.settings, parts)
    }
}

fn start(graph: &FakeGraph) -> GraphUpstream {
    Scene::of(graph).start(graph)
}

/// Sends what Graph does not take to this server.
fn by_smtp(server: &FakeUpstream) -> Submission {
    let settings = crate::support::settings(server);
    let make = move |_: &_| {
        let localhost = [std::net::Ipv4Addr::LOCALHOST.into()];
        let resolver = StaticResolver::default().with_host("localhost", &localhost);
        SmtpUpstream::new(settings.clone(), Arc::new(resolver), Arc::new(SystemClock))
    };
    Submission::new(make, Arc::new(SystemClock))
}

async fn relay(upstream: &GraphUpstream, recipients: &[&str], message: &str) -> Attempt {
    let envelope = envelope(recipients);
    let indices = all(&envelope);
    upstream
        .attempt(order(&envelope, &indices, message.as_bytes()))
        .await
}

async fn relay_one(upstream: &GraphUpstream) -> Attempt {
    relay(upstream, &["r@example.net"], MESSAGE).await
}

/// The words of the first failure.
fn words(attempt: &Attempt) -> String {
    match &attempt.outcomes[0].1 {
        Outcome::Relayed(..) => String::new(),
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            failure.to_string()
        }
    }
}

#[tokio::test]
async fn a_message_is_sent_as_it_is_from_its_senders_mailbox() {
    let graph = FakeGraph::start().await;
    let attempt = relay_one(&start(&graph)).await;
    assert_eq!(short(&attempt), ["relayed 250"], "{attempt:?}");
    assert_eq!(attempt.health, Health::Good);
    assert_eq!(attempt.host.as_deref(), Some("127.0.0.1"));
    let [sent] = &graph.sent()[..] else {
        panic!("{:?}", graph.answers())
    };
    assert_eq!(sent.text(), MESSAGE);
    assert_eq!(sent.mailbox, MAILBOX);
    assert_eq!(sent.recipients, ["r@example.net"]);
}

#[tokio::test]
async fn the_recipients_are_exactly_those_of_the_attempt() {
    let graph = FakeGraph::start().await;
    let upstream = start(&graph);
    let message = "From: s@example.com\r\nTo: A <a@example.net>, \"list, the\" <list@example.net>\r\n\
                   Cc: b@example.net\r\nSubject: s\r\n\r\nhello\r\n";
    let envelope = envelope(&["A@example.NET", "hidden@example.net", "b@example.net"]);
    let indices = &all(&envelope)[..2];
    let attempt = upstream
        .attempt(order(&envelope, indices, message.as_bytes()))
        .await;
    assert_eq!(short(&attempt), ["relayed 250", "relayed 250"]);
    let [sent] = &graph.sent()[..] else {
        panic!("{:?}", graph.answers())
    };
    assert_eq!(sent.recipients, ["a@example.net", "hidden@example.net"]);
    assert_eq!(
        sent.text(),
        "From: s@example.com\r\nTo: A <a@example.net>\r\n\
         X-Header-To: A <a@example.net>, \"list, the\" <list@example.net>\r\n\
         X-Header-Cc: b@example.net\r\nSubject: s\r\n\r\nhello\r\n"
    );
}

#[tokio::test]
async fn a_configured_mailbox_sends_for_everybody() {
    let graph = FakeGraph::start().await;
    graph.add_mailbox("relay@example.com");
    let mut scene = Scene::of(&graph);
    scene.settings.mailbox = Some(mailbox("relay@example.com"));
    let upstream = scene.start(&graph);
    let message = MESSAGE.replace("s@example.com", "relay@example.com");
    let attempt = relay(&upstream, &["r@example.net"], &message).await;
    assert_eq!(short(&attempt), ["relayed 250"]);
    assert_eq!(graph.sent()[0].mailbox, "relay@example.com");
}

#[tokio::test]
async fn a_report_goes_from_the_mailbox_of_its_header() {
    let graph = FakeGraph::start().await;
    let envelope = Envelope {
        reverse_path: ReversePath::Null,
        ..envelope(&["r@example.net"])
    };
    let indices = all(&envelope);
    let order = order(&envelope, &indices, MESSAGE.as_bytes());
    let attempt = start(&graph).attempt(order).await;
    assert_eq!(short(&attempt), ["relayed 250"]);
    assert_eq!(graph.sent()[0].mailbox, MAILBOX);
}

#[tokio::test]
async fn a_sender_that_could_be_a_path_is_refused_and_asked_for_nowhere() {
    let graph = FakeGraph::start().await;
    let upstream = start(&graph);
    for sender in [
        "\"../../me\"@example.com",
        "a/b@example.com",
        "a%2fb@example.com",
        "a?b@example.com",
    ] {
        let envelope = Envelope {
            reverse_path: ReversePath::Mailbox(mailbox(sender)),
            ..envelope(&["r@example.net"])
        };
        let indices = all(&envelope);
        let attempt = upstream
            .attempt(order(&envelope, &indices, MESSAGE.as_bytes()))
            .await;
        assert_eq!(short(&attempt), ["rejected Sender"], "{sender}");
    }
    assert_eq!(graph.paths(), [""; 0]);
}

#[tokio::test]
async fn one_token_serves_all_messages() {
    let graph = FakeGraph::start().await;
    let upstream = start(&graph);
    for _ in 0..20 {
        assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
    }
    assert_eq!(graph.issued(), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let graph = FakeGraph::start().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut scene = Scene::of(&graph);
    scene.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let upstream = scene.start(&graph);
    assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
    graph.expire_tokens();
    clock.advance(Duration::from_mins(5));
    assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
    assert_eq!(
        graph.answers(),
        ["202", "401 InvalidAuthenticationToken", "202"]
    );
    assert_eq!(graph.issued(), 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_makes_the_upstream_unusable() {
    let graph = FakeGraph::start().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let mut scene = Scene::of(&graph);
    scene.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let upstream = scene.start(&graph);
    assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
    clock.advance(Duration::from_mins(5));
    for _ in 0..2 {
        graph.answer("401 InvalidAuthenticationToken", &[]);
    }
    let attempt = relay_one(&upstream).await;
    assert_eq!(short(&attempt), ["deferred Authenticate"]);
    assert_eq!(attempt.health, Health::Unusable);
    assert_eq!(graph.issued(), 2, "asked for once more, and no further");
    assert_eq!(graph.answers().len(), 3);
}

#[tokio::test]
async fn an_expired_secret_makes_the_upstream_unusable_and_says_so() {
    let graph = FakeGraph::start().await;
    graph.refuse_token(7_000_222);
    let attempt = relay_one(&start(&graph)).await;
    assert_eq!(short(&attempt), ["deferred Authenticate"]);
    assert_eq!(attempt.health, Health::Unusable);
    let words = words(&attempt);
    assert!(words.contains("7000222"), "{words}");
    assert!(!words.contains(SECRET), "{words}");
    assert_eq!(graph.answers(), [""; 0]);
}

#[tokio::test]
async fn a_denied_mailbox_is_refused_with_words_that_help() {
    let graph = FakeGraph::start().await;
    let envelope = Envelope {
        reverse_path: ReversePath::Mailbox(mailbox(OUT_OF_SCOPE)),
        ..envelope(&["r@example.net"])
    };
    let indices = all(&envelope);
    let upstream = start(&graph);
    let attempt = upstream
        .attempt(order(&envelope, &indices, MESSAGE.as_bytes()))
        .await;
    assert_eq!(short(&attempt), ["rejected Sender 550"]);
    assert_eq!(attempt.health, Health::Good);
    let words = words(&attempt);
    assert!(
        words.contains("5.7.1") && words.contains("Mail.Send"),
        "{words}"
    );
}

#[tokio::test]
async fn a_from_that_the_mailbox_may_not_use_is_refused() {
    let graph = FakeGraph::start().await;
    let message = MESSAGE.replace("From: s@", "From: other@");
    let attempt = relay(&start(&graph), &["r@example.net"], &message).await;
    assert_eq!(short(&attempt), ["rejected Sender 550"]);
    let words = words(&attempt);
    assert!(words.contains("ErrorSendAsDenied"), "{words}");
}

#[tokio::test]
async fn a_sender_without_mailbox_is_refused_and_a_configured_mailbox_that_is_none_parks() {
    let graph = FakeGraph::start().await;
    let mut scene = Scene::of(&graph);
    scene.settings.mailbox = Some(mailbox("typo@example.com"));
    let attempt = relay_one(&scene.start(&graph)).await;
    assert_eq!(short(&attempt), ["deferred Authenticate"]);
    assert_eq!(attempt.health, Health::Unusable);
    let envelope = Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("nobody@example.com")),
        ..envelope(&["r@example.net"])
    };
    let indices = all(&envelope);
    let order = order(&envelope, &indices, MESSAGE.as_bytes());
    let attempt = start(&graph).attempt(order).await;
    assert_eq!(short(&attempt), ["rejected Sender 550"]);
    assert_eq!(attempt.health, Health::Good);
}

#[tokio::test]
async fn a_pause_is_passed_on_as_seconds_or_as_a_date() {
    let graph = FakeGraph::start().await;
    let upstream = start(&graph);
    for (status, after) in [
        ("429 ApplicationThrottled", "17"),
        ("503 ErrorServerBusy", "90"),
        ("504", "5"),
    ] {
        graph.answer(status, &[("Retry-After", after)]);
        let attempt = relay_one(&upstream).await;
        assert_eq!(short(&attempt), ["deferred Greeting 451"], "{status}");
        let pause = Some(Duration::from_secs(after.parse().unwrap()));
        assert_eq!(attempt.health, Health::Throttled { pause }, "{status}");
    }
    graph.answer(
        "429 ApplicationThrottled",
        &[("Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT")],
    );
    let attempt = relay_one(&upstream).await;
    let Health::Throttled { pause: Some(pause) } = attempt.health else {
        panic!("{attempt:?}")
    };
    assert!(pause > Duration::from_hours(24));
}

#[tokio::test]
async fn a_mailbox_has_four_requests_at_once_and_no_fifth() {
    let graph = FakeGraph::start().await;
    let upstream = Arc::new(start(&graph));
    graph.hold();
    let mut attempts = JoinSet::new();
    for _ in 0..12 {
        let upstream = Arc::clone(&upstream);
        attempts.spawn(async move { short(&relay_one(&upstream).await) });
    }
    graph.wait_for_busy(PER_MAILBOX).await;
    graph.release();
    while let Some(outcome) = attempts.join_next().await {
        assert_eq!(outcome.unwrap(), ["relayed 250"]);
    }
    assert_eq!(graph.most(), PER_MAILBOX);
}

#[tokio::test]
async fn another_mailbox_does_not_wait_for_the_first() {
    let graph = FakeGraph::start().await;
    graph.add_mailbox("t@example.com");
    let upstream = Arc::new(start(&graph));
    graph.hold();
    let mut attempts = JoinSet::new();
    for number in 0..10 {
        let upstream = Arc::clone(&upstream);
        attempts.spawn(async move {
            let sender = ["s@example.com", "t@example.com"][number % 2];
            let envelope = Envelope {
                reverse_path: ReversePath::Mailbox(mailbox(sender)),
                ..envelope(&["r@example.net"])
            };
            let indices = all(&envelope);
            let message = MESSAGE.replace("s@example.com", sender);
            let order = order(&envelope, &indices, message.as_bytes());
            short(&upstream.attempt(order).await)
        });
    }
    graph.wait_for_busy(2 * PER_MAILBOX).await;
    graph.release();
    while let Some(outcome) = attempts.join_next().await {
        assert_eq!(outcome.unwrap(), ["relayed 250"]);
    }
}

#[tokio::test]
async fn a_success_that_is_not_202_is_none() {
    let graph = FakeGraph::start().await;
    graph.answer("200", &[]);
    let attempt = relay_one(&start(&graph)).await;
    assert_eq!(short(&attempt), ["deferred Final 451"]);
    assert_eq!(graph.sent().len(), 0);
}

#[tokio::test]
async fn what_is_answered_with_200_goes_by_smtp_where_that_is_configured() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default()).await,
    );
    graph.answer("200", &[]);
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    let attempt = relay_one(&scene.start(&graph)).await;
    assert_eq!(short(&attempt), ["relayed 250"]);
    let received = server.wait_for(1).await;
    assert_eq!(received[0].octets, MESSAGE.as_bytes());
    assert_eq!(received[0].recipients, ["<r@example.net>"]);
}

fn large() -> String {
    let line = "x".repeat(998) + "\r\n";
    let message = MESSAGE.replace("To: R <r@example.net>", "To: list@example.net");
    message + &line.repeat(3001)
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let graph = FakeGraph::start().await;
    let attempt = relay(&start(&graph), &["r@example.net"], &large()).await;
    assert_eq!(short(&attempt), ["rejected Content"]);
    let Outcome::Rejected(failure) = &attempt.outcomes[0].1 else {
        panic!("{attempt:?}")
    };
    assert_eq!(failure.status(Class::PermanentFailure).to_string(), "5.3.4");
    assert_eq!(graph.paths(), [""; 0], "it is not tried");
}

#[tokio::test]
async fn a_message_that_is_too_large_goes_by_smtp_as_it_is() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default()).await,
    );
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    let upstream = scene.start(&graph);
    let large = large();
    let attempt = relay(&upstream, &["r@example.net", "q@example.net"], &large).await;
    assert_eq!(short(&attempt), ["relayed 250", "relayed 250"]);
    assert!(attempt.via.is_some());
    let received = server.wait_for(1).await;
    assert!(received[0].octets == large.as_bytes());
    assert_eq!(
        received[0].recipients,
        ["<r@example.net>", "<q@example.net>"]
    );
    assert_eq!(graph.answers(), [""; 0]);
}

#[tokio::test]
async fn the_largest_message_that_fits_is_taken() {
    let graph = FakeGraph::start().await;
    let mut message = MESSAGE.to_owned();
    let missing = 3_000_000 - message.len();
    let line = "x".repeat(998) + "\r\n";
    message.push_str(&line.repeat(missing / 1000));
    message.push_str(&"y".repeat(missing % 1000));
    assert_eq!(message.len(), 3_000_000);
    let attempt = relay(&start(&graph), &["r@example.net"], &message).await;
    assert_eq!(short(&attempt), ["relayed 250"], "{attempt:?}");
    assert_eq!(graph.sent()[0].octets.len(), message.len());
}

#[tokio::test]
async fn what_graph_finds_too_large_goes_by_smtp_or_is_refused() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default()).await,
    );
    graph.answer("413", &[]);
    let attempt = relay_one(&start(&graph)).await;
    assert_eq!(short(&attempt), ["rejected Final 552"]);
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    graph.answer("400 ErrorMessageSizeExceeded", &[]);
    let attempt = relay_one(&scene.start(&graph)).await;
    assert_eq!(short(&attempt), ["relayed 250"]);
    server.wait_for(1).await;
}

#[tokio::test]
async fn smtp_that_lets_nobody_in_does_not_park_graph() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default().reply("MAIL", "530 5.7.57 not authenticated")).await,
    );
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    let upstream = scene.start(&graph);
    let attempt = relay(&upstream, &["r@example.net"], &large()).await;
    assert_eq!(short(&attempt), ["deferred Sender 530"]);
    assert_eq!(attempt.health, Health::Good);
    assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
}

#[tokio::test]
async fn an_expired_secret_is_seen_by_a_large_message_too() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default()).await,
    );
    graph.refuse_token(7_000_222);
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    let attempt = relay(&scene.start(&graph), &["r@example.net"], &large()).await;
    assert_eq!(attempt.health, Health::Unusable);
}

#[tokio::test]
async fn a_header_that_names_others_can_go_by_smtp_untouched() {
    let (graph, server) = (
        FakeGraph::start().await,
        FakeUpstream::start(Script::default()).await,
    );
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    scene.settings.foreign = Foreign::Smtp;
    let upstream = scene.start(&graph);
    let message = MESSAGE.replace("R <r@example.net>", "list@example.net");
    assert_eq!(
        short(&relay(&upstream, &["r@example.net"], &message).await),
        ["relayed 250"]
    );
    assert_eq!(server.wait_for(1).await[0].octets, message.as_bytes());
    assert_eq!(short(&relay_one(&upstream).await), ["relayed 250"]);
    assert_eq!(graph.sent().len(), 1, "others go by graph");
}

#[tokio::test]
async fn a_bad_recipient_does_not_fail_the_others() {
    let graph = FakeGraph::start().await;
    let recipients = [
        "a@example.net",
        "b@example.net",
        "bad@localhost",
        "c@example.net",
        "d@example.net",
    ];
    let attempt = relay(&start(&graph), &recipients, MESSAGE).await;
    let mut outcomes = attempt.outcomes.clone();
    outcomes.sort_by_key(|(index, _)| *index);
    let attempt = Attempt {
        outcomes,
        ..attempt
    };
    assert_eq!(
        short(&attempt),
        [
            "relayed 250",
            "relayed 250",
            "rejected Recipient 553",
            "relayed 250",
            "relayed 250"
        ]
    );
    let mut copies: Vec<String> = graph
        .sent()
        .into_iter()
        .flat_map(|sent: Sent| sent.recipients)
        .collect();
    copies.sort();
    assert_eq!(
        copies,
        [
            "a@example.net",
            "b@example.net",
            "c@example.net",
            "d@example.net"
        ]
    );
}

#[tokio::test]
async fn many_bad_recipients_are_searched_in_bounded_steps() {
    let graph = FakeGraph::start().await;
    let recipients: Vec<String> = (0..100).map(|n| format!("r{n}@localhost")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let attempt = relay(&start(&graph), &recipients, MESSAGE).await;
    assert_eq!(attempt.outcomes.len(), 100);
    assert_eq!(graph.answers().len(), 32);
    let short = short(&attempt);
    assert!(
        short.iter().any(|text| text == "rejected Recipient 553"),
        "{short:?}"
    );
    assert!(
        short.iter().any(|text| text == "deferred Recipient"),
        "{short:?}"
    );
}

#[tokio::test]
async fn an_international_local_part_is_refused_alone() {
    let graph = FakeGraph::start().await;
    let recipients = ["r@example.net", "gr\u{fc}n@example.net"];
    let attempt = relay(&start(&graph), &recipients, MESSAGE).await;
    let mut outcomes = short(&attempt);
    outcomes.sort();
    assert_eq!(outcomes, ["rejected Recipient", "relayed 250"]);
    assert_eq!(graph.sent()[0].recipients, ["r@example.net"]);
}

#[tokio::test]
async fn a_message_that_needs_tls_all_the_way_is_refused() {
    let graph = FakeGraph::start().await;
    let envelope = Envelope {
        tls: TlsRequest::Required,
        ..envelope(&["r@example.net"])
    };
    let indices = all(&envelope);
    let order = order(&envelope, &indices, MESSAGE.as_bytes());
    let attempt = start(&graph).attempt(order).await;
    assert_eq!(short(&attempt), ["rejected Sender"]);
    assert!(words(&attempt).contains("REQUIRETLS"), "{attempt:?}");
    assert_eq!(graph.paths(), [""; 0]);
}

#[tokio::test]
async fn a_message_that_must_not_be_late_is_refused_or_goes_by_smtp() {
    let graph = FakeGraph::start().await;
    let server = FakeUpstream::start(Script::default().extensions(&["DELIVERBY 1"])).await;
    let envelope = Envelope {
        deliver_by: Some(DeliverBy {
            mode: DeliverByMode::Return,
            trace: DeliverByTrace::Off,
            deadline: SystemClock.now().after(Duration::from_hours(1)),
        }),
        ..envelope(&["r@example.net"])
    };
    let indices = all(&envelope);
    let order = || order(&envelope, &indices, MESSAGE.as_bytes());
    let attempt = start(&graph).attempt(order()).await;
    assert_eq!(short(&attempt), ["rejected Sender"]);
    assert!(words(&attempt).contains("DELIVERBY"), "{attempt:?}");
    let mut scene = Scene::of(&graph);
    scene.submission = Some(by_smtp(&server));
    let attempt = scene.start(&graph).attempt(order()).await;
    assert_eq!(short(&attempt), ["relayed 250"]);
}

#[tokio::test]
async fn no_answer_in_time_leaves_it_open_whether_the_message_was_sent() {
    let graph = FakeGraph::start().await;
    let mut scene = Scene::of(&graph);
    scene.settings.timeout = Duration::from_millis(300);
    let upstream = scene.start(&graph);
    graph.hold();
    let attempt = relay_one(&upstream).await;
    assert_eq!(short(&attempt), ["unknown Final"]);
    assert_eq!(attempt.health, Health::Good);
}

#[tokio::test]
async fn a_graph_that_cannot_be_reached_makes_mail_wait() {
    let (graph, nobody) = (FakeGraph::start().await, ReservedPort::new());
    let mut scene = Scene::of(&graph);
    scene.settings.endpoint = format!("http://{}/", nobody.address).parse().unwrap();
    let attempt = relay_one(&scene.start(&graph)).await;
    assert_eq!(short(&attempt), ["deferred Connect"], "{attempt:?}");
    assert_eq!(attempt.health, Health::Unreachable);
}

#[tokio::test]
async fn a_wished_pause_closes_the_upstream_for_as_long() {
    let graph = FakeGraph::start().await;
    graph.answer("429 ApplicationThrottled", &[("Retry-After", "77")]);
    let attempt = relay_one(&start(&graph)).await;
    let (mut condition, now) = (Condition::default(), SystemClock.instant());
    let report = Report {
        health: attempt.health,
        reason: Reason::default(),
        began: now,
    };
    let pause = Duration::from_secs(77);
    let moment = Moment {
        civil: SystemClock.now(),
        instant: now,
    };
    condition.record(report, moment);
    let until = now + pause;
    assert_eq!(
        condition.availability(now + Duration::from_secs(76)),
        Availability::Closed { until }
    );
    assert_eq!(condition.availability(until), Availability::Probe);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays() {
    let (graph, other) = (FakeGraph::start().await, FakeGraph::start().await);
    graph.answer(
        "307",
        &[(
            "Location",
            &format!("{}/v1.0/users/s@example.com/sendMail", other.url()),
        )],
    );
    let attempt = relay_one(&start(&graph)).await;
    assert_eq!(attempt.health, Health::Unusable);
    assert_eq!(other.paths(), [""; 0]);
}

#[tokio::test]
async fn nothing_goes_over_plain_http_to_another_machine() {
    let graph = FakeGraph::start().await;
    let mut scene = Scene::of(&graph);
    scene.settings.endpoint = "http://graph.example/".parse().unwrap();
    let attempt = relay_one(&scene.start(&graph)).await;
    assert_eq!(attempt.health, Health::Unusable);
    assert_eq!(short(&attempt), ["deferred Connect"]);
}
