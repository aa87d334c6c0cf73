//! One world: what there is in it, and its course from the first message to an empty queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use posthouse::clock::Clock as _;
use posthouse::identity::{AccountName, Route, TenantName, UpstreamName};
use posthouse::journal::Journal;
use posthouse::mail::{
    BodyType, Domain, Envelope, ForwardPath, Mailbox, Priority, QueueId, Recipient, ReversePath,
};
use posthouse::relay::{Arrangement, History, Lane, Relay, Settings, State};
use posthouse::schedule::{Chance, RetryPlan};
use posthouse::spool::memory::MemorySpool;
use posthouse::spool::{EntryState, Message, Spool as _, SpoolAdmin as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::chance::Dice;
use crate::clock::SimulatedClock;
use crate::ledger::Ledger;
use crate::operator;
use crate::rules::Fairness;
use crate::spool::{Machine, Plan, ProcessSpool};
use crate::upstream::{MOODS, SimulatedUpstream};

/// How long upstreams have moods, operators interfere and processes crash.
const TROUBLE: Duration = Duration::from_mins(5);

/// By when the queue must be empty once everything is well.
const PATIENCE: Duration = Duration::from_hours(3);

/// How often the world looks at itself.
const STEP: Duration = Duration::from_secs(1);

/// How many steps due mail may wait in a row while an upstream could take it.
const IDLE_STEPS: u32 = 3;

struct Sender {
    account: AccountName,
    tenant: Option<TenantName>,
    route: Route,
    priority: Priority,
}

struct World {
    machine: Arc<Machine>,
    upstreams: Vec<Arc<SimulatedUpstream>>,
    senders: Vec<Sender>,
    arrangement: Arrangement,
    dice: Dice,
    crashes_left: u64,
    /// What is kept of parkings over restarts, as of the last step.
    histories: BTreeMap<UpstreamName, History>,
    /// Messages that wait though they could be sent, and for how many steps.
    idle: BTreeMap<QueueId, u32>,
}

/// A process: a relay on a spool.
struct Process {
    spool: Arc<ProcessSpool>,
    relay: Arc<Relay>,
    running: JoinSet<()>,
    stop: CancellationToken,
}

/// Runs the world of this seed; returns what happened.
///
/// # Panics
/// A rule was broken.
pub(crate) async fn run(seed: u64, is_told: bool) -> Vec<String> {
    let mut world = World::new(seed, is_told);
    let _tell = Tell(Arc::clone(&world.machine));
    let mut process = world.start().await;
    let mut arrivals = world.arrivals();
    while world.machine.clock.elapsed() < TROUBLE || !arrivals.is_empty() {
        process = world.step(process).await;
        let later = arrivals.split_off(&world.machine.clock.elapsed());
        let now = std::mem::replace(&mut arrivals, later);
        for sender in now.into_values().flatten() {
            process = world.submit(process, sender).await;
        }
        if world.machine.clock.elapsed() < TROUBLE {
            process = world.trouble(process).await;
        }
        world.check_idle(&process).await;
    }
    process.relay.drain(BTreeSet::new());
    world.machine.observer.lock().unwrap().parks.clear();
    process.relay.park(BTreeMap::new());
    world.run_dry(process).await;
    let mut ledger = world.machine.ledger.lock().unwrap();
    ledger.check_end();
    std::mem::take(&mut ledger.events)
}

/// Tells what happened last, where a rule was broken.
struct Tell(Arc<Machine>);

impl Drop for Tell {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let ledger = self.0.ledger.lock();
        let ledger = ledger.unwrap_or_else(PoisonError::into_inner);
        for event in ledger.events.iter().rev().take(60).rev() {
            eprintln!("{event}");
        }
    }
}

impl World {
    fn new(seed: u64, is_told: bool) -> Self {
        let mut dice = Dice::new(seed);
        let clock = Arc::new(SimulatedClock::new());
        let names: Vec<_> = (0..dice.between(1, 4))
            .map(|number| UpstreamName::parse(&format!("u{number}")).unwrap())
            .collect();
        let is_one_route = dice.once_in(2);
        let has_ageing = dice.once_in(4);
        let machine = Arc::new(Machine {
            disk: MemorySpool::new(Arc::clone(&clock) as _),
            clock,
            ledger: Mutex::new(Ledger::default()),
            fairness: is_one_route.then(Mutex::default),
            has_ageing,
            observer: Mutex::default(),
            is_told,
        });
        let upstreams: Vec<_> = names
            .iter()
            .map(|name| {
                let moods = (0..dice.between(0, 6))
                    .map(|_| {
                        let until = dice.between(1, u64::try_from(TROUBLE.as_millis()).unwrap());
                        (Duration::from_millis(until), *dice.one_of(&MOODS))
                    })
                    .collect::<BTreeMap<_, _>>();
                let moods = moods.into_iter().collect();
                SimulatedUpstream::new(name.clone(), Arc::clone(&machine), moods, &mut dice)
            })
            .collect();
        let senders = senders(&names, is_one_route, &mut dice);
        // Where messages live for less than the trouble lasts, some expire, and some would while their upstream is parked.
        let lifetime = if dice.once_in(3) {
            Duration::from_secs(dice.between(20, 200))
        } else {
            Duration::from_hours(12)
        };
        machine.observer.lock().unwrap().lifetime = lifetime;
        let arrangement = arrangement(&upstreams, has_ageing, lifetime);
        Self {
            crashes_left: dice.between(0, 4),
            histories: BTreeMap::new(),
            machine,
            upstreams,
            senders,
            arrangement,
            dice,
            idle: BTreeMap::new(),
        }
    }

    /// Lets some time pass.
    async fn step(&mut self, process: Process) -> Process {
        tokio::select! {
            biased;
            () = process.spool.crashed.cancelled() => self.crash(process).await,
            () = tokio::time::sleep(STEP) => {
                self.observe(&process).await;
                process
            }
        }
    }

    /// Looks which upstreams are parked, and keeps what must be known after a crash.
    async fn observe(&mut self, process: &Process) {
        self.histories = process.relay.histories();
        let (now, standings) = (self.machine.clock.now(), process.relay.upstreams());
        let entries = self.machine.entries().await;
        let observer = self.machine.observer.lock();
        let mut observer = observer.unwrap_or_else(PoisonError::into_inner);
        observer.look(now, &standings, &entries);
    }

    /// Lets an operator interfere now and then, and restarts the process.
    async fn trouble(&mut self, process: Process) -> Process {
        if self.dice.once_in(12) {
            let (names, machine) = (self.names(), Arc::clone(&self.machine));
            operator::interfere(&machine, &process.relay, &names, &mut self.dice).await;
        }
        if self.dice.once_in(60) {
            return self.restart(process).await;
        }
        process
    }

    fn names(&self) -> Vec<UpstreamName> {
        let lanes = self.arrangement.lanes.iter();
        lanes.map(|lane| lane.upstream.name().clone()).collect()
    }

    /// Decides who sends when.
    fn arrivals(&mut self) -> BTreeMap<Duration, Vec<usize>> {
        let mut arrivals: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let senders = self.senders.len() as u64;
        for _ in 0..self.dice.between(1, 12) {
            let sender = usize::try_from(self.dice.between(0, senders)).unwrap();
            let at = Duration::from_millis(self.dice.between(0, 240_000));
            // One of them is bulk.
            let count = if self.dice.once_in(3) {
                self.dice.between(10, 60)
            } else {
                self.dice.between(1, 4)
            };
            let times = std::iter::repeat_n(sender, usize::try_from(count).unwrap());
            arrivals.entry(at).or_default().extend(times);
        }
        arrivals
    }

    async fn start(&mut self) -> Process {
        let crash_at = (self.crashes_left > 0).then(|| self.dice.between(1, 400));
        let plan = Plan {
            crash_at,
            fault_in: *self.dice.one_of(&[0, 0, 50, 400]),
        };
        let spool = ProcessSpool::new(Arc::clone(&self.machine), plan, self.dice.split());
        let settings = Settings {
            hostname: Domain::parse("relay.example").unwrap(),
            sender: Mailbox::parse("mailer-daemon@relay.example").unwrap(),
            sender_name: "Relay".to_owned(),
            grace: Duration::from_secs(5),
            alerts: posthouse::alert::Alerts::off(),
        };
        let clock = Arc::clone(&self.machine.clock);
        let chance = Chance::new(self.dice.next());
        let relay = {
            let journal = Arc::new(Journal::off(Arc::clone(&clock) as _));
            Relay::new(
                Arc::clone(&spool) as _,
                clock as _,
                settings,
                chance,
                journal,
            )
        };
        relay.restore(self.histories.clone());
        relay.park(self.machine.observer.lock().unwrap().parks.clone());
        relay.replace(self.arrangement.clone());
        self.reroute(&spool).await;
        let stop = CancellationToken::new();
        let running = JoinSet::from_iter([Arc::clone(&relay).run(stop.clone())]);
        Process {
            spool,
            relay,
            running,
            stop,
        }
    }

    async fn reroute(&self, spool: &ProcessSpool) {
        let routes: BTreeMap<_, _> = self
            .senders
            .iter()
            .map(|sender| (sender.account.clone(), sender.route.clone()))
            .collect();
        let route_of = move |account: &AccountName| routes.get(account).cloned();
        spool.reroute(&route_of).await;
    }

    /// What a dead process leaves behind is found by the next.
    async fn crash(&mut self, mut process: Process) -> Process {
        process.running.shutdown().await;
        self.machine.note(|| "the process is dead".to_owned());
        self.crashes_left = self.crashes_left.saturating_sub(1);
        self.begin_anew().await
    }

    /// An orderly end within the grace time, and another start.
    async fn restart(&mut self, mut process: Process) -> Process {
        process.stop.cancel();
        tokio::select! {
            biased;
            () = process.spool.crashed.cancelled() => return self.crash(process).await,
            _ended = process.running.join_next() => {}
        }
        self.machine
            .note(|| "the process has ended in order".to_owned());
        self.begin_anew().await
    }

    async fn begin_anew(&mut self) -> Process {
        self.machine.ledger.lock().unwrap().crashed();
        self.machine.disk.restart();
        for upstream in &self.upstreams {
            upstream.disconnected();
        }
        if let Some(fairness) = &self.machine.fairness {
            *fairness.lock().unwrap() = Fairness::default();
        }
        self.idle.clear();
        self.start().await
    }

    /// Submits a message as a client does: only what was answered with 250 counts.
    async fn submit(&mut self, process: Process, sender: usize) -> Process {
        let (message, size) = self.message(sender, &process.spool);
        let committed = commit(&process.spool, message.clone(), size);
        let committed = tokio::select! {
            biased;
            committed = committed => committed,
            () = process.spool.crashed.cancelled() => return self.crash(process).await,
        };
        if let Some(id) = committed {
            let mut ledger = self.machine.ledger.lock().unwrap();
            let recipients = u16::try_from(message.envelope.recipients.len()).unwrap();
            ledger
                .acknowledged
                .extend((0..recipients).map(|index| (id, index)));
        }
        process
    }

    fn message(&mut self, sender: usize, spool: &ProcessSpool) -> (Message, usize) {
        let (dice, sender) = (&mut self.dice, &self.senders[sender]);
        let recipient = |number| {
            let mailbox = Mailbox::parse(&format!("r{number}@recipient.example")).unwrap();
            Recipient::new(ForwardPath::from(mailbox))
        };
        let now = spool.now();
        let scheduled = Duration::from_millis(dice.between(0, 60_000));
        let is_urgent = dice.once_in(10);
        let message = Message {
            envelope: Envelope {
                body: BodyType::SevenBit,
                recipients: (0..dice.between(1, 9)).map(recipient).collect(),
                ..Envelope::new(ReversePath::Mailbox(
                    Mailbox::parse("sender@example.com").unwrap(),
                ))
            },
            account: Some(sender.account.clone()),
            tenant: sender.tenant.clone(),
            route: sender.route.clone(),
            priority: if is_urgent {
                Priority::VeryHigh
            } else {
                sender.priority
            },
            accepted: now,
            due: if dice.once_in(10) {
                now.after(scheduled)
            } else {
                now
            },
            peer: None,
            message_id: None,
            held: None,
        };
        let size = *dice.one_of(&[20, 500, 4000, 4000, 60_000]);
        (message, size)
    }

    /// Nothing that is due waits while an upstream could take it.
    async fn check_idle(&mut self, process: &Process) {
        assert_eq!(crate::panics(), 0, "a rule was broken in an attempt");
        let free: BTreeSet<_> = self
            .upstreams
            .iter()
            .zip(process.relay.upstreams())
            .filter(|(upstream, standing)| {
                let limit = standing.limit;
                let for_all = limit - upstream.bounds.reserved.min(limit - 1);
                standing.state == State::Good
                    && upstream.bounds.rates.is_empty()
                    && standing.attempts < for_all
            })
            .map(|(_, standing)| standing.name)
            .collect();
        let now = self.machine.clock.now();
        let mut idle = BTreeMap::new();
        for entry in self.machine.entries().await {
            let first = entry.message.route.upstreams().first();
            let is_due = entry.state == EntryState::Pending && entry.due <= now;
            if is_due && first.is_some_and(|name| free.contains(name)) {
                let steps = self.idle.get(&entry.id).copied().unwrap_or_default() + 1;
                assert!(
                    steps <= IDLE_STEPS,
                    "{} waits for {steps} s while {first:?} is free: {:?}",
                    entry.id,
                    process.relay.upstreams()
                );
                idle.insert(entry.id, steps);
            }
        }
        self.idle = idle;
    }

    /// What was scheduled by a clock that was wrong would wait for as long as it was: an operator does not want that.
    async fn release_early(&self) {
        let soon = self.machine.clock.now().after(Duration::from_mins(10));
        for entry in self.machine.entries().await {
            if entry.due > soon {
                // Busy, or gone: then it does not wait.
                let _ = self.machine.disk.retry(entry.id).await;
            }
        }
    }

    /// Lets everything come to its end, also what is held.
    async fn run_dry(&mut self, mut process: Process) {
        let end = self.machine.clock.elapsed() + PATIENCE;
        loop {
            process = self.step(process).await;
            self.check_idle(&process).await;
            self.release_early().await;
            if self.machine.waiting().await > 0 {
                assert!(
                    self.machine.clock.elapsed() < end,
                    "{} messages are stuck",
                    self.machine.waiting().await
                );
                continue;
            }
            let held = self.machine.entries().await;
            if held.is_empty() {
                return;
            }
            for entry in held {
                self.machine.disk.release(entry.id).await.unwrap();
            }
        }
    }
}

async fn commit(spool: &ProcessSpool, message: Message, size: usize) -> Option<QueueId> {
    let mut draft = spool.draft().await.ok()?;
    let mut octets = draft.id().to_string().into_bytes();
    octets.resize(size.max(octets.len()), b'x');
    draft.write(Bytes::from(octets)).await.ok()?;
    spool.commit(draft, message).await.ok()
}

fn senders(names: &[UpstreamName], is_one_route: bool, dice: &mut Dice) -> Vec<Sender> {
    let tenants = ["acme", "other"].map(|name| TenantName::parse(name).unwrap());
    (0..dice.between(1, 6))
        .map(|number| {
            let mut route = names.to_vec();
            if !is_one_route {
                let first = usize::try_from(dice.between(0, route.len() as u64)).unwrap();
                route.rotate_left(first);
                let length = dice.between(1, route.len() as u64 + 1);
                route.truncate(usize::try_from(length).unwrap());
            }
            let tenant = dice.once_in(2).then(|| dice.one_of(&tenants).clone());
            Sender {
                account: AccountName::parse(&format!("a{number}")).unwrap(),
                tenant,
                route: Route::new(route).unwrap(),
                priority: *dice.one_of(&[
                    Priority::High,
                    Priority::Normal,
                    Priority::Normal,
                    Priority::Low,
                    Priority::VeryLow,
                ]),
            }
        })
        .collect()
}

fn arrangement(
    upstreams: &[Arc<SimulatedUpstream>],
    has_ageing: bool,
    lifetime: Duration,
) -> Arrangement {
    let plan = RetryPlan::new(Duration::from_secs(10), Duration::from_mins(2), lifetime);
    let plan = plan.unwrap();
    let lane = |upstream: &Arc<SimulatedUpstream>| Lane {
        upstream: Arc::clone(upstream) as _,
        plan,
        bounds: upstream.bounds.clone(),
    };
    Arrangement {
        lanes: upstreams.iter().map(lane).collect(),
        plan,
        ageing: has_ageing.then(|| Duration::from_secs(20)),
    }
}
