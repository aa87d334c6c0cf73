//! What the relay makes of an attempt: whether it counts, and when the next one is. In virtual time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use posthouse::clock::{Clock, Timestamp};
use posthouse::identity::{Route, UpstreamName};
use posthouse::journal::Journal;
use posthouse::mail::{
    Attempt, Channel, Domain, Duty, Handover, Health, Outcome, Priority, RecipientIndex, Response,
    ReversePath,
};
use posthouse::relay::{Arrangement, Lane, Relay, Settings};
use posthouse::schedule::{Bounds, Chance, RetryPlan};
use posthouse::spool::memory::MemorySpool;
use posthouse::spool::{Message, Spool as _, SpoolAdmin as _};
use posthouse::upstream::{Order, Upstream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{envelope, mailbox};

/// What comes after an attempt.
pub(crate) struct Next {
    /// When the message is tried again after the attempt; `None` where it has bounced.
    again: Option<Duration>,
    /// What is known of the upstream in between: `good`, `throttled`, `unreachable`, `parked`.
    condition: &'static str,
    /// How many attempts count.
    counted: u32,
}

impl Next {
    pub(crate) fn counts(&self) -> &'static str {
        match (self.again, self.counted) {
            (None, _) => "–",
            (Some(_), 0) => "no",
            (Some(_), _) => "yes",
        }
    }

    /// In the words of the table. Up to a quarter is added to a minute by chance.
    pub(crate) fn words(&self) -> String {
        let Some(again) = self.again else {
            return "never".to_owned();
        };
        let seconds = again.as_secs();
        let span = if seconds < 60 {
            format!("{seconds} s")
        } else {
            format!("{} min", seconds / 60)
        };
        match self.condition {
            "parked" => format!("parked, probed after {span}"),
            _ => span,
        }
    }
}

/// Gives the relay this attempt, and then takes everything.
pub(crate) fn next_try(attempt: &Attempt) -> Next {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(watch_relay(attempt))
}

async fn watch_relay(attempt: &Attempt) -> Next {
    let clock = Arc::new(PausedClock::new());
    let spool = Arc::new(MemorySpool::new(Arc::clone(&clock) as _));
    let mut draft = spool.draft().await.unwrap();
    let octets = Bytes::from_static(b"Subject: x\r\n\r\nbody\r\n");
    draft.write(octets).await.unwrap();
    spool.commit(draft, message()).await.unwrap();
    let upstream = Arc::new(Replay::new(attempt.clone()));
    let relay = relay(&spool, &clock);
    relay.replace(Arrangement {
        lanes: vec![Lane {
            upstream: Arc::clone(&upstream) as _,
            plan: RetryPlan::default(),
            bounds: Bounds {
                connections: 4,
                ..Bounds::default()
            },
        }],
        ..Arrangement::default()
    });
    let stop = CancellationToken::new();
    let running = JoinSet::from_iter([Arc::clone(&relay).run(stop.clone())]);
    upstream.wait_for(1).await;
    // The relay takes note before it waits for anything that time could bring.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let entries = spool.list(None, 9).await.unwrap();
    let counted = entries.first().map_or(0, |entry| entry.attempts);
    let condition = relay.upstreams()[0].state.word();
    upstream.wait_for(2).await;
    stop.cancel();
    running.join_all().await;
    let calls = upstream.calls.lock().unwrap();
    let is_report = calls[1].1 == ReversePath::Null;
    Next {
        again: (!is_report).then(|| calls[1].0.duration_since(calls[0].0)),
        condition,
        counted,
    }
}

fn relay(spool: &Arc<MemorySpool>, clock: &Arc<PausedClock>) -> Arc<Relay> {
    Relay::new(
        Arc::clone(spool) as _,
        Arc::clone(clock) as _,
        Settings {
            hostname: Domain::parse("relay.example").unwrap(),
            sender: mailbox("postmaster@relay.example"),
            sender_name: "Mail".to_owned(),
            grace: Duration::ZERO,
            alerts: posthouse::alert::Alerts::off(),
        },
        Chance::new(1),
        Arc::new(Journal::off(Arc::clone(clock) as _)),
    )
}

fn message() -> Message {
    Message {
        envelope: envelope(&["r@example.net"]),
        account: None,
        tenant: None,
        route: Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap(),
        priority: Priority::Normal,
        accepted: START,
        due: START,
        peer: None,
        message_id: None,
        held: None,
    }
}

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// Gives what it was told first, and relays from then on.
struct Replay {
    name: UpstreamName,
    first: Attempt,
    /// When it was asked, and for whose messages.
    calls: Mutex<Vec<(tokio::time::Instant, ReversePath)>>,
    count: watch::Sender<usize>,
}

impl Replay {
    fn new(first: Attempt) -> Self {
        Self {
            name: UpstreamName::parse("main").unwrap(),
            first,
            calls: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    async fn wait_for(&self, calls: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|count| *count >= calls).await.unwrap();
    }
}

#[async_trait]
impl Upstream for Replay {
    fn name(&self) -> &UpstreamName {
        &self.name
    }

    fn recipients(&self) -> usize {
        1
    }

    #[expect(clippy::disallowed_methods, reason = "the paused time of the runtime")]
    async fn attempt(&self, order: Order<'_>) -> Attempt {
        let is_first = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((
                tokio::time::Instant::now(),
                order.envelope.reverse_path.clone(),
            ));
            calls.len() == 1
        };
        self.count.send_modify(|count| *count += 1);
        if is_first {
            return self.first.clone();
        }
        let response = Response {
            code: 250,
            status: None,
            text: "ok".into(),
        };
        let handover = Handover::Onward {
            dsn: Duty::Ours,
            deliver_by: Duty::Ours,
        };
        Attempt {
            outcomes: vec![(RecipientIndex(0), Outcome::Relayed(response, handover))],
            health: Health::Good,
            host: None,
            via: self.first.via.filter(|via| via.channel != Channel::Failed),
        }
    }

    async fn tidy(&self, _: Instant) {}
}

/// The paused time of the runtime.
struct PausedClock(tokio::time::Instant);

impl PausedClock {
    #[expect(clippy::disallowed_methods, reason = "the paused time of the runtime")]
    fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        START.after(self.0.elapsed())
    }

    fn instant(&self) -> Instant {
        (self.0 + self.0.elapsed()).into_std()
    }
}
