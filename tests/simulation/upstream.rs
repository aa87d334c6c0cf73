//! An upstream that behaves well and badly by a plan, and that sees whether it is given more than it may.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use posthouse::clock::Clock as _;
use posthouse::identity::UpstreamName;
use posthouse::mail::{
    Attempt, Cause, Duty, Failure, Handover, Health, Outcome, Priority, QueueId, RecipientIndex,
    Response, Stage,
};
use posthouse::schedule::{Bounds, Rate};
use posthouse::upstream::{Order, Upstream};

use crate::chance::Dice;
use crate::spool::Machine;

/// How an upstream behaves for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    /// It takes everything.
    Well,
    /// It takes everything, in its time.
    Slow,
    /// It does not answer to connections.
    Dead,
    /// It asks for less.
    Throttling,
    /// It puts off some recipients.
    Greylisting,
    /// It refuses some recipients for good.
    Refusing,
    /// It takes the message, and its last reply is lost.
    LosingReplies,
    /// It falls silent in the middle of the content.
    Stalling,
    /// It cannot be used as configured.
    Misconfigured,
}

pub(crate) const MOODS: [Mood; 9] = [
    Mood::Well,
    Mood::Slow,
    Mood::Dead,
    Mood::Throttling,
    Mood::Greylisting,
    Mood::Refusing,
    Mood::LosingReplies,
    Mood::Stalling,
    Mood::Misconfigured,
];

/// The plan of an upstream: until when it is in which mood. Afterwards it is well.
pub(crate) type Moods = Vec<(Duration, Mood)>;

pub(crate) struct SimulatedUpstream {
    name: UpstreamName,
    machine: Arc<Machine>,
    moods: Moods,
    batch: usize,
    pub(crate) bounds: Bounds,
    dice: Mutex<Dice>,
    seen: Mutex<Seen>,
}

/// What it is given.
#[derive(Debug, Default)]
struct Seen {
    urgent: usize,
    other: usize,
    /// When attempts began, as far back as its longest rate asks.
    begun: VecDeque<Instant>,
}

impl SimulatedUpstream {
    pub(crate) fn new(
        name: UpstreamName,
        machine: Arc<Machine>,
        moods: Moods,
        dice: &mut Dice,
    ) -> Arc<Self> {
        let connections = usize::try_from(dice.between(1, 7)).unwrap();
        let reserved = usize::try_from(dice.between(0, 3)).unwrap();
        let rate = ["3/s", "20/m", "90/m"].map(|rate| Rate::parse(rate).unwrap());
        let rates = if dice.once_in(4) {
            vec![*dice.one_of(&rate)]
        } else {
            Vec::new()
        };
        Arc::new(Self {
            name,
            machine,
            moods,
            batch: usize::try_from(dice.between(1, 5)).unwrap(),
            bounds: Bounds {
                connections,
                reserved: reserved.min(connections - 1),
                rates,
            },
            dice: Mutex::new(dice.split()),
            seen: Mutex::default(),
        })
    }

    pub(crate) fn mood(&self) -> Mood {
        let elapsed = self.machine.clock.elapsed();
        let current = self.moods.iter().find(|(until, _)| elapsed < *until);
        current.map_or(Mood::Well, |(_, mood)| *mood)
    }

    /// The process has ended, and its connections and what it counted for rates with it.
    pub(crate) fn disconnected(&self) {
        *self.seen.lock().unwrap() = Seen::default();
    }

    fn begin(&self, priority: Priority) -> Running<'_> {
        let mut seen = self.seen.lock().unwrap();
        let is_urgent = priority <= Priority::High;
        if is_urgent {
            seen.urgent += 1;
        } else {
            seen.other += 1;
        }
        let Bounds {
            connections,
            reserved,
            rates,
        } = &self.bounds;
        assert!(
            seen.urgent + seen.other <= *connections,
            "{} has more than {connections} attempts",
            self.name
        );
        assert!(
            seen.other <= connections - reserved,
            "{} has bulk on what is reserved",
            self.name
        );
        let now = self.machine.clock.instant();
        seen.begun.push_back(now);
        for rate in rates {
            let within = |begun: &&Instant| now.duration_since(**begun) < rate.span();
            let count = seen.begun.iter().filter(within).count() as u64;
            assert!(
                count <= rate.count().get(),
                "{} got {count}, {rate}",
                self.name
            );
        }
        Running {
            upstream: self,
            is_urgent,
        }
    }

    fn roll(&self, times: u64) -> bool {
        self.dice.lock().unwrap().once_in(times)
    }

    fn between(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.dice.lock().unwrap().between(low, high))
    }

    /// Says the same of all recipients.
    fn all(order: &Order<'_>, outcome: &Outcome, health: Health) -> Attempt {
        let outcomes = order.recipients.iter();
        Attempt {
            via: None,
            outcomes: outcomes.map(|index| (*index, outcome.clone())).collect(),
            health,
            host: None,
        }
    }

    /// Takes the message for a recipient, or not, as the mood says.
    fn answer(&self, mood: Mood, id: Option<QueueId>, index: RecipientIndex) -> Outcome {
        if mood == Mood::Greylisting && self.roll(2) {
            return Outcome::Deferred(answered(Stage::Recipient, 450));
        }
        if mood == Mood::Refusing && self.roll(3) {
            if let Some(id) = id {
                let mut ledger = self.machine.ledger.lock().unwrap();
                ledger.rejected.insert((id, index.0));
            }
            return Outcome::Rejected(answered(Stage::Recipient, 550));
        }
        let is_lost = mood == Mood::LosingReplies;
        if let Some(id) = id {
            let mut ledger = self.machine.ledger.lock().unwrap();
            ledger.accepted((id, index.0), !is_lost);
        }
        if is_lost {
            return Outcome::Unknown(Failure::new(Stage::Final, Cause::Timeout));
        }
        let handover = Handover::Onward {
            dsn: Duty::Ours,
            deliver_by: Duty::Ours,
        };
        Outcome::Relayed(response(250), handover)
    }
}

/// An attempt that runs.
struct Running<'a> {
    upstream: &'a SimulatedUpstream,
    is_urgent: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut seen = self.upstream.seen.lock().unwrap();
        let count = if self.is_urgent {
            &mut seen.urgent
        } else {
            &mut seen.other
        };
        *count = count.saturating_sub(1);
    }
}

#[async_trait]
impl Upstream for SimulatedUpstream {
    fn name(&self) -> &UpstreamName {
        &self.name
    }

    fn recipients(&self) -> usize {
        self.batch
    }

    async fn attempt(&self, mut order: Order<'_>) -> Attempt {
        let _running = self.begin(order.priority);
        assert!(order.recipients.len() <= self.batch);
        let mood = self.mood();
        let id = match order.body.next().await {
            Ok(Some(octets)) => octets
                .get(..13)
                .and_then(|id| QueueId::parse(str::from_utf8(id).ok()?)),
            Ok(None) | Err(_) => None,
        };
        self.machine
            .note(|| format!("{} is given {id:?}, {mood:?}", self.name));
        let silent = |stage| Outcome::Deferred(Failure::new(stage, Cause::Timeout));
        match mood {
            Mood::Dead => {
                tokio::time::sleep(self.between(1, 30_000)).await;
                Self::all(&order, &silent(Stage::Connect), Health::Unreachable)
            }
            Mood::Throttling => {
                let pause = self.roll(2).then(|| self.between(1000, 60_000));
                let outcome = Outcome::Deferred(answered(Stage::Sender, 451));
                Self::all(&order, &outcome, Health::Throttled { pause })
            }
            Mood::Misconfigured => {
                let outcome = Outcome::Deferred(answered(Stage::Authenticate, 535));
                Self::all(&order, &outcome, Health::Unusable)
            }
            Mood::Stalling => {
                tokio::time::sleep(self.between(10_000, 60_000)).await;
                Self::all(&order, &silent(Stage::Content), Health::Good)
            }
            Mood::Greylisting | Mood::LosingReplies | Mood::Refusing | Mood::Slow | Mood::Well => {
                let slowest = if mood == Mood::Slow { 20_000 } else { 200 };
                tokio::time::sleep(self.between(1, slowest)).await;
                let outcomes = order.recipients.iter();
                let outcomes = outcomes.map(|index| (*index, self.answer(mood, id, *index)));
                let attempt = Attempt {
                    via: None,
                    outcomes: outcomes.collect(),
                    health: Health::Good,
                    host: None,
                };
                // The reply is on its way.
                tokio::time::sleep(self.between(1, 50)).await;
                attempt
            }
        }
    }

    async fn tidy(&self, _: Instant) {}
}

fn response(code: u16) -> Response {
    Response {
        code,
        status: None,
        text: "simulated".into(),
    }
}

fn answered(stage: Stage, code: u16) -> Failure {
    Failure::new(stage, Cause::Response(response(code)))
}
