use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alert::Alerts;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::identity::{Route, UpstreamName};
use crate::journal::Journal;
use crate::mail::{
    DeliverBy, DeliverByMode, DeliverByTrace, Domain, Duty, Envelope, Handover, Health, Mailbox,
    Outcome, Priority, QueueId, Recipient, Response,
};
use crate::relay::neglect::Neglected;
use crate::relay::{Arrangement, Park, Settings};
use crate::schedule::{Bounds, Chance, Reason};
use crate::spool::memory::MemorySpool;
use crate::spool::{Claim, Message, Spool, Wanted, Which};
use crate::upstream::Upstream;

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

/// A relay over a spool in memory, with a clock that stands.
struct Bench {
    relay: Arc<Relay>,
    spool: Arc<MemorySpool>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let spool = Arc::new(MemorySpool::new(Arc::clone(&shared)));
        let settings = Settings {
            hostname: Domain::parse("relay.example").unwrap(),
            sender: Mailbox::parse("postmaster@relay.example").unwrap(),
            sender_name: "Mail".to_owned(),
            grace: Duration::ZERO,
            alerts: Alerts::off(),
        };
        let relay = Relay::new(
            Arc::<MemorySpool>::clone(&spool),
            Arc::clone(&shared),
            settings,
            Chance::new(1),
            Arc::new(Journal::off(Arc::clone(&shared))),
        );
        Self {
            relay,
            spool,
            clock,
        }
    }

    async fn commit(&self, deliver_by: Option<DeliverBy>) {
        let mut draft = self.spool.draft().await.unwrap();
        let octets = Bytes::from_static(b"Subject: x\r\n\r\nbody\r\n");
        draft.write(octets).await.unwrap();
        let mailbox = |text: &str| Mailbox::parse(text).unwrap();
        let message = Message {
            envelope: Envelope {
                deliver_by,
                recipients: vec![Recipient::new(mailbox("you@there.example").into())],
                ..Envelope::new(ReversePath::Mailbox(mailbox("me@own.example")))
            },
            account: None,
            tenant: None,
            route: route(),
            priority: Priority::Normal,
            accepted: START,
            due: START,
            peer: None,
            message_id: None,
            held: None,
        };
        self.spool.commit(draft, message).await.unwrap();
    }

    /// Claims all that is due: the message of the test, then reports on it.
    async fn claim(&self) -> Vec<Lease> {
        let now = self.clock.now();
        let claim = Claim {
            routes: &[route()],
            wanted: Wanted::Aged {
                from: QueueId::from_number(0),
                before: Timestamp::MAX,
                which: Which::Any,
            },
            at_most: 9,
            recipients: 9,
            now,
            until: now.after(HOUR),
        };
        self.spool.claim(claim).await.unwrap()
    }

    /// Claims the message at this place of what is due, and leaves the rest.
    async fn claim_one(&self, place: usize) -> Lease {
        let mut leases = self.claim().await;
        let lease = leases.remove(place);
        self.give_back(leases).await;
        lease
    }

    async fn give_back(&self, leases: Vec<Lease>) {
        for lease in leases {
            self.spool.give_back(lease).await;
        }
    }

    async fn text(&self, lease: &Lease) -> String {
        let mut body = self.spool.body(lease.id).await.unwrap();
        let mut octets = Vec::new();
        while let Some(piece) = body.next().await.unwrap() {
            octets.extend_from_slice(&piece);
        }
        String::from_utf8(octets).unwrap()
    }
}

fn route() -> Route {
    Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap()
}

/// An upstream that takes everything, and counts.
struct Willing {
    name: UpstreamName,
    taken: AtomicUsize,
}

#[async_trait]
impl Upstream for Willing {
    fn name(&self) -> &UpstreamName {
        &self.name
    }

    fn recipients(&self) -> usize {
        1
    }

    async fn attempt(&self, order: Order<'_>) -> Attempt {
        self.taken.fetch_add(1, Ordering::Relaxed);
        let response = Response {
            code: 250,
            status: None,
            text: "ok".into(),
        };
        let handover = Handover::Onward {
            dsn: Duty::Ours,
            deliver_by: Duty::Ours,
        };
        let relayed = Outcome::Relayed(response, handover);
        let outcomes = order.recipients.iter();
        Attempt {
            outcomes: outcomes.map(|index| (*index, relayed.clone())).collect(),
            health: Health::Good,
            host: None,
            via: None,
        }
    }

    async fn tidy(&self, _now: Instant) {}
}

#[tokio::test]
async fn a_message_that_nobody_attempts_is_warned_of_once_and_stays_due() {
    let bench = Bench::new();
    bench.commit(None).await;
    let plan = RetryPlan::default();
    let warn = async |since: Duration| {
        bench.clock.advance(since);
        let lease = bench.claim_one(0).await;
        assert_eq!(bench.relay.attend(plan, lease).await, Recorded::Yes);
        let leases = bench.claim().await;
        let count = leases.len();
        bench.give_back(leases).await;
        count
    };
    assert_eq!(warn(3 * HOUR).await, 1);
    assert_eq!(warn(HOUR).await, 2);
    assert_eq!(warn(HOUR).await, 2);
    let leases = bench.claim().await;
    assert_eq!((leases[0].attempts, leases[0].warned.of_delay), (0, true));
    assert_eq!(leases[1].message.envelope.reverse_path, ReversePath::Null);
    let report = bench.text(&leases[1]).await;
    assert!(report.contains("Action: delayed\r\n"), "{report}");
    assert!(!report.contains("Last-Attempt-Date"), "{report}");
}

#[tokio::test]
async fn what_is_to_be_returned_at_its_deadline_is_not_relayed_any_more() {
    let bench = Bench::new();
    let upstream = Arc::new(Willing {
        name: UpstreamName::parse("main").unwrap(),
        taken: AtomicUsize::new(0),
    });
    let lane = Lane {
        upstream: Arc::<Willing>::clone(&upstream),
        plan: RetryPlan::default(),
        bounds: Bounds::default(),
    };
    for (place, mode) in [DeliverByMode::Notify, DeliverByMode::Return]
        .into_iter()
        .enumerate()
    {
        bench
            .commit(Some(DeliverBy {
                deadline: bench.clock.now().after(HOUR),
                mode,
                trace: DeliverByTrace::Off,
            }))
            .await;
        bench.clock.advance(HOUR);
        // The report on the first message comes before the second.
        let lease = bench.claim_one(place).await;
        bench.relay.attempt(&lane, lease).await;
        assert_eq!(upstream.taken.load(Ordering::Relaxed), 1, "{mode:?}");
    }
    let reports = bench.claim().await;
    let last = bench.text(reports.last().unwrap()).await;
    assert!(last.contains("Status: 5.4.7\r\n"), "{last}");
    assert_eq!(reports.len(), 2);
}

#[tokio::test]
async fn a_message_does_not_expire_for_time_in_which_its_upstream_was_parked() {
    let (bench, day) = (Bench::new(), Duration::from_hours(24));
    let main = UpstreamName::parse("main").unwrap();
    let upstream = Willing {
        name: main.clone(),
        taken: AtomicUsize::new(0),
    };
    bench.relay.replace(Arrangement {
        lanes: vec![Lane {
            upstream: Arc::new(upstream),
            plan: RetryPlan::default(),
            bounds: Bounds::default(),
        }],
        ..Arrangement::default()
    });
    bench.commit(None).await;
    let look = async || {
        let neglected = Neglected {
            waiting: Vec::new(),
            stranded: vec![route()],
        };
        let relay = Arc::clone(&bench.relay);
        relay.look_after(neglected, CancellationToken::new()).await;
        let leases = bench.claim().await;
        let is_there = leases
            .iter()
            .any(|lease| lease.message.envelope.reverse_path != ReversePath::Null);
        bench.give_back(leases).await;
        is_there
    };
    bench.clock.advance(day);
    let park = Park {
        since: bench.clock.now(),
        reason: Reason::default(),
    };
    bench.relay.park([(main, park)].into());
    bench.clock.advance(30 * day);
    assert!(look().await, "while it is parked");
    // Nor is it looked at again and again.
    let standstill = bench.relay.board().standstill(&route(), bench.clock.now());
    assert!(standstill.began(RetryPlan::default().lifetime()) < Some(START));
    bench.relay.park(BTreeMap::new());
    assert!(look().await, "right after the end");
    bench.clock.advance(4 * day);
    assert!(look().await, "when five days of use are not quite over");
    bench.clock.advance(Duration::from_secs(1));
    assert!(!look().await, "then");
}
