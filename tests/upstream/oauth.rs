//! Logins by token: XOAUTH2 and OAUTHBEARER, and what becomes of a token that is refused.

use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock as _, ManualClock, SystemClock};
use posthouse::dns::StaticResolver;
use posthouse::http::Trust;
use posthouse::mail::{Health, Outcome, Stage};
use posthouse::oauth::{self, Audience, Authentication, ClientCredentials, Grant};
use posthouse::secret::Secret;
use posthouse::upstream::Upstream as _;
use posthouse::upstream::probe::{Passed, Step};
use posthouse::upstream::repair::repair;
use posthouse::upstream::smtp::{
    Credential, Line, Login, PlainTextLogin, Settings, SmtpUpstream, TlsPolicy, Transcript,
};

use crate::fake_upstream::{FakeUpstream, Script, Tls};
use crate::support::{
    Lines, MESSAGE, all, assert_deferred, assert_relayed, envelope, order, relay_one, settings,
    start, trusting,
};
use crate::token_server::{CLIENT_ID, Registration, SECRET, TokenServer};

fn login(tokens: &TokenServer, secret: &str) -> Login {
    let credentials = ClientCredentials {
        client_id: CLIENT_ID.to_owned(),
        authentication: Authentication::Post(Secret::new(secret.to_owned())),
        audience: Audience {
            scope: Some("https://outlook.office365.com/.default".to_owned()),
            audience: None,
        },
    };
    Login {
        username: "user".to_owned(),
        credential: Credential::Token(Box::new(oauth::Settings {
            token_url: tokens.microsoft_url().parse().unwrap(),
            grant: Grant::ClientCredentials(credentials),
            trust: Trust::SystemRoots,
        })),
        over_plain_text: PlainTextLogin::Allowed,
    }
}

fn logged_in(upstream: &FakeUpstream, tokens: &TokenServer) -> Settings {
    Settings {
        login: Some(login(tokens, SECRET)),
        ..settings(upstream)
    }
}

/// An upstream that takes every token of [`TokenServer`].
fn offering(mechanisms: &str) -> Script {
    Script::default().mechanisms(mechanisms).tokens(&["token-"])
}

fn at(clock: &Arc<ManualClock>, settings: Settings) -> SmtpUpstream {
    let localhost = [std::net::Ipv4Addr::LOCALHOST.into()];
    let resolver = StaticResolver::default().with_host("localhost", &localhost);
    let clock = Arc::clone(clock);
    SmtpUpstream::new(settings, Arc::new(resolver), clock).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock.now()))
}

#[tokio::test]
async fn a_long_token_goes_in_a_line_of_its_own() {
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        let tokens = TokenServer::start(Registration::default());
        let upstream = FakeUpstream::start(offering(mechanism)).await;
        assert_relayed(&relay_one(&start(logged_in(&upstream, &tokens))).await);
        let bare = format!("AUTH {mechanism}");
        assert!(upstream.lines().contains(&bare), "{:?}", upstream.lines());
        assert_eq!(upstream.messages()[0].login.as_deref(), Some("user"));
    }
}

#[tokio::test]
async fn a_short_token_goes_with_the_command() {
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        let tokens = TokenServer::start(Registration {
            length: 100,
            ..Registration::default()
        });
        let upstream = FakeUpstream::start(offering(mechanism)).await;
        assert_relayed(&relay_one(&start(logged_in(&upstream, &tokens))).await);
        let command = format!("AUTH {mechanism} ");
        let lines = upstream.lines();
        assert!(
            lines.iter().any(|line| line.starts_with(&command)),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn microsoft_offers_xoauth2_beside_login() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("LOGIN XOAUTH2").tls(Tls::StartTls)).await;
    let (settings, _file) = trusting(&upstream, TlsPolicy::Required);
    let login = Login {
        over_plain_text: PlainTextLogin::Forbidden,
        ..login(&tokens, SECRET)
    };
    let settings = Settings {
        login: Some(login),
        ..settings
    };
    assert_relayed(&relay_one(&start(settings)).await);
    assert!(upstream.messages()[0].is_encrypted);
}

#[tokio::test]
async fn a_token_goes_over_no_open_connection() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let login = Login {
        over_plain_text: PlainTextLogin::Forbidden,
        ..login(&tokens, SECRET)
    };
    let settings = Settings {
        login: Some(login),
        ..settings(&upstream)
    };
    let attempt = relay_one(&start(settings)).await;
    assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
    assert_eq!(tokens.token_requests(), 0);
}

#[tokio::test]
async fn a_server_without_a_mechanism_for_tokens_is_not_given_one() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("PLAIN LOGIN CRAM-MD5")).await;
    let attempt = relay_one(&start(logged_in(&upstream, &tokens))).await;
    let text = assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
    assert!(text.contains("XOAUTH2 and OAUTHBEARER"), "{text}");
    assert!(!upstream.lines().iter().any(|line| line.starts_with("AUTH")));
}

#[tokio::test]
async fn a_second_mechanism_is_tried_where_the_first_is_not_known_after_all() {
    let tokens = TokenServer::start(Registration::default());
    let script = offering("XOAUTH2 OAUTHBEARER").reply("AUTH XOAUTH2", "504 5.5.4 no");
    let upstream = FakeUpstream::start(script).await;
    assert_relayed(&relay_one(&start(logged_in(&upstream, &tokens))).await);
    assert_eq!(tokens.token_requests(), 1);
}

#[tokio::test]
async fn a_hundred_messages_take_one_token() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let settings = Settings {
        messages_per_connection: 5,
        ..logged_in(&upstream, &tokens)
    };
    let relay = start(settings);
    for _ in 0..10 {
        let envelope = envelope(&["r@example.net"]);
        let all = all(&envelope);
        let attempts = (0..10).map(|_| relay.attempt(order(&envelope, &all, MESSAGE.as_bytes())));
        let mut attempts: Vec<_> = attempts.collect();
        for attempt in futures(&mut attempts).await {
            assert_relayed(&attempt);
        }
    }
    assert_eq!(upstream.messages().len(), 100);
    assert!(upstream.connections() >= 20, "{}", upstream.connections());
    assert_eq!(tokens.token_requests(), 1);
}

/// Waits for all of these at once.
async fn futures<F: Future + Unpin>(all: &mut [F]) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (future, output) in all.iter_mut().zip(&mut done) {
            if output.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("XOAUTH2").tokens(&["token-1-"])).await;
    let clock = clock();
    let settings = Settings {
        messages_per_connection: 1,
        ..logged_in(&upstream, &tokens)
    };
    let relay = at(&clock, settings);
    assert_relayed(&relay_one(&relay).await);
    clock.advance(Duration::from_mins(5));
    // The provider takes the token back; the next one it gives is good.
    upstream.set_script(offering("XOAUTH2").tokens(&["token-2-"]));
    assert_relayed(&relay_one(&relay).await);
    assert_eq!(tokens.token_requests(), 2);
    assert_eq!(
        upstream.connections(),
        3,
        "the new token has a connection of its own"
    );
}

#[tokio::test]
async fn where_new_tokens_are_refused_too_no_more_are_asked_for() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let clock = clock();
    let settings = Settings {
        messages_per_connection: 1,
        ..logged_in(&upstream, &tokens)
    };
    let relay = at(&clock, settings);
    assert_relayed(&relay_one(&relay).await);
    clock.advance(Duration::from_mins(5));
    upstream.set_script(offering("XOAUTH2").tokens(&["nothing"]));
    let attempt = relay_one(&relay).await;
    let text = assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
    assert!(text.contains("535 5.7.8"), "{text}");
    assert!(text.contains("status invalid_token"), "{text}");
    assert_eq!(tokens.token_requests(), 2);
    // Those that come at once get nothing new; a probe some minutes later does.
    relay_one(&relay).await;
    assert_eq!(tokens.token_requests(), 2);
    clock.advance(Duration::from_mins(5));
    relay_one(&relay).await;
    assert_eq!(tokens.token_requests(), 3);
}

#[tokio::test]
async fn an_expired_secret_is_unusable_and_says_what_to_do() {
    let tokens = TokenServer::start(Registration {
        is_expired: true,
        ..Registration::default()
    });
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let attempt = relay_one(&start(logged_in(&upstream, &tokens))).await;
    let text = assert_deferred(&attempt, Stage::Authenticate, &Health::Unusable);
    assert!(text.contains("AADSTS7000222"), "{text}");
    let Outcome::Deferred(failure) = &attempt.outcomes[0].1 else {
        panic!("{attempt:?}")
    };
    let advice = repair(failure).unwrap();
    assert!(advice.contains("Make a new one in Entra ID"), "{advice}");
    assert!(upstream.messages().is_empty());
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_is_no_reason_to_park() {
    let tokens = TokenServer::start(Registration {
        outage: Some((503, None)),
        ..Registration::default()
    });
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let attempt = relay_one(&start(logged_in(&upstream, &tokens))).await;
    assert_deferred(&attempt, Stage::Authenticate, &Health::Unreachable);
    tokens.change(|known| known.outage = Some((429, Some(30))));
    let attempt = relay_one(&start(logged_in(&upstream, &tokens))).await;
    let pause = Some(Duration::from_secs(30));
    assert_deferred(&attempt, Stage::Authenticate, &Health::Throttled { pause });
}

#[tokio::test]
async fn nobody_who_reads_along_sees_a_token() {
    for length in [100, 1800] {
        let tokens = TokenServer::start(Registration {
            length,
            ..Registration::default()
        });
        let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
        let relay = start(logged_in(&upstream, &tokens));
        let lines = Arc::new(Lines::default());
        let envelope = envelope(&["r@example.net"]);
        let all = all(&envelope);
        let order = order(&envelope, &all, MESSAGE.as_bytes());
        let attempt = relay.attempt_observed(order, Arc::clone(&lines) as _).await;
        assert_relayed(&attempt);
        let text = lines.text();
        assert!(text.contains("C: AUTH XOAUTH2"), "{text}");
        assert!(text.contains("***"), "{text}");
        // `dXNlcj` is `user` in base64.
        assert!(
            !text.contains("token-1-") && !text.contains("dXNlcj"),
            "{text}"
        );
    }
}

/// Keeps what has been got through.
#[derive(Default)]
struct Steps(std::sync::Mutex<Vec<Passed>>);

impl Transcript for Steps {
    fn line(&self, _: Line<'_>) {}

    fn step(&self, step: &Step) {
        self.0.lock().unwrap().push(step.passed.clone());
    }
}

#[tokio::test]
async fn a_probe_tells_where_the_token_comes_from_and_how_long_it_lasts() {
    let tokens = TokenServer::start(Registration::default());
    let upstream = FakeUpstream::start(offering("XOAUTH2")).await;
    let steps = Arc::new(Steps::default());
    let watching = Arc::<Steps>::clone(&steps);
    let relay = start(logged_in(&upstream, &tokens));
    relay.probe(watching).await.unwrap();
    let steps = steps.0.lock().unwrap();
    let found = steps.iter().find_map(|passed| {
        let Passed::Token {
            endpoint,
            remaining,
        } = passed
        else {
            return None;
        };
        Some((endpoint.clone(), *remaining))
    });
    let (endpoint, remaining) = found.unwrap();
    assert_eq!(&*endpoint, "127.0.0.1");
    assert!(
        remaining.unwrap() > Duration::from_mins(30),
        "{remaining:?}"
    );
    assert!(!format!("{steps:?}").contains("token-1"), "{steps:?}");
}
