//! How connections are kept, used again and closed.

use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};
use posthouse::mail::{Health, Stage};
use posthouse::upstream::Upstream as _;
use posthouse::upstream::smtp::Settings;

use crate::fake_upstream::{FakeUpstream, Quirk, Script};
use crate::support::{assert_deferred, assert_relayed, relay_one, settings, start};

#[tokio::test]
async fn a_connection_is_used_again_without_reset() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(settings(&server));
    for _ in 0..3 {
        assert_relayed(&relay_one(&upstream).await);
    }
    assert_eq!((server.connections(), server.messages().len()), (1, 3));
    assert!(!server.lines().iter().any(|line| line == "RSET"));
}

#[tokio::test]
async fn a_connection_is_left_after_its_number_of_messages() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(Settings {
        messages_per_connection: 2,
        ..settings(&server)
    });
    for _ in 0..3 {
        assert_relayed(&relay_one(&upstream).await);
    }
    server.wait_for_line("QUIT").await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_unnoticed() {
    for way in [&["8BITMIME"][..], &["PIPELINING", "CHUNKING"]] {
        let script = Script::default()
            .extensions(way)
            .quirk(Quirk::CloseAfterMessage);
        let server = FakeUpstream::start(script).await;
        let upstream = start(settings(&server));
        for _ in 0..3 {
            assert_relayed(&relay_one(&upstream).await);
        }
        assert_eq!((server.connections(), server.messages().len()), (3, 3));
    }
}

#[tokio::test]
async fn a_farewell_to_the_first_command_of_a_kept_connection_is_no_failure() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(settings(&server));
    assert_relayed(&relay_one(&upstream).await);
    server.set_script(Script::default().reply_times("MAIL", "421 4.4.2 too late", 1));
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!((server.connections(), server.messages().len()), (2, 2));
}

#[tokio::test]
async fn a_farewell_on_a_new_connection_throttles() {
    let script = Script::default().reply("MAIL", "421 4.3.2 too busy");
    let server = FakeUpstream::start(script).await;
    let attempt = relay_one(&start(settings(&server))).await;
    assert_deferred(&attempt, Stage::Sender, &Health::Throttled { pause: None });
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(settings(&server));
    assert_relayed(&relay_one(&upstream).await);
    let now = SystemClock.instant();
    upstream.tidy(now + Duration::from_secs(30)).await;
    assert!(!server.lines().contains(&"QUIT".to_owned()));
    upstream.tidy(now + Duration::from_secs(90)).await;
    server.wait_for_line("QUIT").await;
    assert_relayed(&relay_one(&upstream).await);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let server = FakeUpstream::start(Script::default()).await;
    let upstream = start(Settings {
        connections: 2,
        ..settings(&server)
    });
    let attempts = (0..5).map(|_| relay_one(&upstream));
    let attempts = futures_join(attempts.collect()).await;
    attempts.iter().for_each(assert_relayed);
    assert!(server.connections() <= 2, "{}", server.connections());
}

/// Polls all futures together until each has ended.
async fn futures_join<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
