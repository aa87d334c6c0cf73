use proptest::prelude::*;

use super::*;
use crate::clock::{Clock as _, SystemClock};

const MIB: u64 = 1 << 20;

fn bandwidth(octets: u64) -> Bandwidth {
    Bandwidth::new(octets).unwrap()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A message of a simulation.
#[derive(Clone, Debug)]
struct Job {
    priority: Priority,
    size: usize,
    /// When its content begins.
    begin: Duration,
    /// How long the peer takes for a piece.
    pace: Duration,
}

/// A turn that was given in a simulation.
#[derive(Clone, Debug)]
struct Given {
    job: usize,
    octets: usize,
    /// Since the beginning of the simulation.
    at: Duration,
    waited: Duration,
    /// The others that asked.
    rivals: Vec<usize>,
}

struct Simulation {
    pacer: Pacer,
    origin: Instant,
    now: Duration,
    jobs: Vec<Job>,
    tickets: Vec<Option<Ticket>>,
    left: Vec<usize>,
    /// When each asks next; none while it does, and when it is done.
    due: Vec<Option<Duration>>,
    asking: Vec<Option<Duration>>,
    given: Vec<Given>,
}

impl Simulation {
    fn new(bandwidth: Bandwidth, longest_pause: Duration, jobs: &[Job]) -> Self {
        Self {
            pacer: Pacer::new(bandwidth, longest_pause),
            origin: SystemClock.instant(),
            now: Duration::ZERO,
            tickets: vec![None; jobs.len()],
            left: jobs.iter().map(|job| job.size).collect(),
            due: jobs.iter().map(|job| Some(job.begin)).collect(),
            asking: vec![None; jobs.len()],
            given: Vec::new(),
            jobs: jobs.to_vec(),
        }
    }

    /// Runs until all have been sent whole.
    fn run(mut self) -> Vec<Given> {
        loop {
            self.step();
            let wait = match self.pacer.decide(self.origin + self.now) {
                Decision::Turn { ticket, octets } => {
                    self.give(ticket, octets);
                    continue;
                }
                Decision::Wait { until, .. } => Some(until - self.origin),
                Decision::Idle => None,
            };
            let next = self.due.iter().copied().flatten().chain(wait).min();
            let Some(next) = next else {
                assert!(self.left.iter().all(|&left| left == 0), "{:?}", self.left);
                return self.given;
            };
            assert!(next > self.now, "the simulation stands still");
            self.now = next;
        }
    }

    fn step(&mut self) {
        for job in 0..self.jobs.len() {
            if self.due[job].is_none_or(|due| due > self.now) {
                continue;
            }
            self.due[job] = None;
            let priority = self.jobs[job].priority;
            let ticket = self.tickets[job].unwrap_or_else(|| self.pacer.enter(priority));
            self.tickets[job] = Some(ticket);
            if self.left[job] == 0 {
                self.pacer.leave(ticket);
                continue;
            }
            self.pacer
                .ask(ticket, self.left[job], self.origin + self.now);
            self.asking[job] = Some(self.now);
        }
    }

    fn give(&mut self, ticket: Ticket, octets: usize) {
        let job = self.tickets.iter().position(|&own| own == Some(ticket));
        let job = job.unwrap();
        let since = self.asking[job].take().unwrap();
        assert!((1..=self.left[job]).contains(&octets));
        self.left[job] -= octets;
        self.due[job] = Some(self.now + self.jobs[job].pace);
        let others = (0..self.jobs.len()).filter(|&other| self.asking[other].is_some());
        self.given.push(Given {
            job,
            octets,
            at: self.now,
            waited: self.now.saturating_sub(since),
            rivals: others.collect(),
        });
    }
}

fn job(priority: Priority, size: u64, begin: Duration) -> Job {
    Job {
        priority,
        size: usize::try_from(size).unwrap(),
        begin,
        pace: Duration::ZERO,
    }
}

fn run(rate: Bandwidth, longest_pause: Duration, jobs: &[Job]) -> Vec<Given> {
    Simulation::new(rate, longest_pause, jobs).run()
}

fn end_of(given: &[Given], job: usize) -> Duration {
    given.iter().rfind(|turn| turn.job == job).unwrap().at
}

#[test]
fn a_piece_takes_about_20_ms_and_has_bounds() {
    assert_eq!(bandwidth(1_250_000).piece(), 25_000);
    assert_eq!(bandwidth(1000).piece(), 1024);
    assert_eq!(bandwidth(u64::MAX).piece(), 65_536);
    assert_eq!(Bandwidth::new(0), None);
}

#[test]
fn a_message_takes_as_long_as_its_octets_do() {
    let given = run(
        bandwidth(MIB),
        Duration::from_secs(90),
        &[job(Priority::Normal, 10 * MIB, Duration::ZERO)],
    );
    let end = end_of(&given, 0);
    assert!(end > millis(9_900) && end <= millis(10_000), "{end:?}");
}

#[test]
fn an_urgent_message_waits_for_one_piece_at_most_and_then_has_everything() {
    let jobs = [
        job(Priority::Low, 5 * MIB, Duration::ZERO),
        job(Priority::VeryHigh, MIB, millis(1_007)),
    ];
    let given = run(bandwidth(MIB), Duration::from_secs(90), &jobs);
    let first = given.iter().find(|turn| turn.job == 1).unwrap();
    assert!(first.waited <= PIECE_TIME, "{:?}", first.waited);
    let end = end_of(&given, 1);
    assert!(end <= millis(1_007 + 20 + 1000), "{end:?}");
    let between = |turn: &&Given| turn.job == 0 && turn.at >= first.at && turn.at < end;
    assert_eq!(given.iter().filter(between).count(), 0);
    assert!(end_of(&given, 0) <= millis(6_000));
}

#[test]
fn a_transfer_that_pauses_for_long_gets_a_small_piece_in_time() {
    let jobs = [
        job(Priority::Low, MIB, Duration::ZERO),
        job(Priority::High, 10 * MIB, millis(500)),
    ];
    let pause = Duration::from_secs(2);
    let given = run(bandwidth(MIB), pause, &jobs);
    let paused = |turn: &&Given| turn.job == 0 && turn.at > millis(520) && turn.at < millis(10_000);
    let paused: Vec<_> = given.iter().filter(paused).collect();
    assert_eq!(paused.len(), 4, "{paused:?}");
    for turn in paused {
        assert_eq!(turn.octets, SMALLEST);
        assert!(
            turn.waited <= pause && turn.waited + millis(50) > pause,
            "{turn:?}"
        );
    }
}

#[test]
fn equals_share_by_octets_and_not_by_pieces() {
    let mut pacer = Pacer::new(bandwidth(50 * 1024), Duration::from_secs(90));
    let mut now = SystemClock.instant();
    let (long, short) = (pacer.enter(Priority::Normal), pacer.enter(Priority::Normal));
    let mut written = [0, 0];
    pacer.ask(long, 1024, now);
    pacer.ask(short, 256, now);
    for _ in 0..1000 {
        match pacer.decide(now) {
            Decision::Turn { ticket, octets } if ticket == long => {
                written[0] += octets;
                pacer.ask(long, 1024, now);
            }
            Decision::Turn { octets, .. } => {
                written[1] += octets;
                pacer.ask(short, 256, now);
            }
            Decision::Wait { until, .. } => now = until,
            Decision::Idle => panic!("both ask"),
        }
    }
    assert!(written[0].abs_diff(written[1]) <= 1024, "{written:?}");
}

#[test]
fn who_comes_later_has_saved_nothing_up() {
    let jobs = [
        job(Priority::Normal, 10 * MIB, Duration::ZERO),
        job(Priority::Normal, MIB, millis(5_000)),
    ];
    let given = run(bandwidth(MIB), Duration::from_secs(90), &jobs);
    let end = end_of(&given, 1);
    assert!(end > millis(6_900) && end <= millis(7_040), "{end:?}");
}

#[test]
fn what_an_urgent_transfer_with_a_slow_peer_does_not_use_is_used_by_others() {
    let mut jobs = [
        job(Priority::VeryHigh, MIB, Duration::ZERO),
        job(Priority::Low, MIB, Duration::ZERO),
    ];
    jobs[0].pace = Duration::from_secs(1);
    let given = run(bandwidth(MIB), Duration::from_secs(90), &jobs);
    assert!(end_of(&given, 1) < Duration::from_secs(2));
    for turn in given.iter().filter(|turn| turn.job == 0) {
        assert!(turn.waited <= PIECE_TIME, "{turn:?}");
    }
}

#[test]
fn an_urgent_transfer_that_is_just_writing_is_waited_for() {
    // At this bandwidth a piece takes half a millisecond, so that a timer is always late.
    let mut jobs = [
        job(Priority::VeryHigh, 10 * MIB, Duration::ZERO),
        job(Priority::Low, MIB, Duration::ZERO),
    ];
    jobs[0].pace = Duration::from_millis(1);
    let given = run(bandwidth(125_000_000), Duration::from_secs(90), &jobs);
    let begin = given.iter().find(|turn| turn.job == 1).unwrap().at;
    assert!(begin >= end_of(&given, 0), "{begin:?}");
}

#[test]
fn a_transfer_that_leaves_holds_nobody_up() {
    let mut pacer = Pacer::new(bandwidth(125_000_000), Duration::from_secs(90));
    let now = SystemClock.instant();
    let (urgent, low) = (pacer.enter(Priority::VeryHigh), pacer.enter(Priority::Low));
    pacer.ask(urgent, 100, now);
    pacer.ask(low, 100, now);
    let turn = |ticket| Decision::Turn {
        ticket,
        octets: 100,
    };
    assert_eq!(pacer.decide(now), turn(urgent));
    let until = now + HOLD;
    assert_eq!(pacer.decide(now), Decision::Wait { ticket: low, until });
    pacer.leave(urgent);
    assert_eq!(pacer.decide(now), turn(low));
    assert_eq!(pacer.decide(now), Decision::Idle);
}

#[test]
fn who_withdraws_gets_no_turn() {
    let mut pacer = Pacer::new(bandwidth(1000), Duration::from_secs(90));
    let now = SystemClock.instant();
    let ticket = pacer.enter(Priority::Normal);
    pacer.ask(ticket, 100, now);
    pacer.withdraw(ticket);
    assert_eq!(pacer.decide(now), Decision::Idle);
    pacer.leave(ticket);
    pacer.ask(ticket, 100, now);
    assert_eq!(pacer.decide(now), Decision::Idle);
}

#[test]
fn octets_sent_without_a_turn_make_the_next_one_later() {
    let mut pacer = Pacer::new(bandwidth(1000), Duration::from_secs(90));
    let now = SystemClock.instant();
    pacer.count(520, now);
    let ticket = pacer.enter(Priority::VeryHigh);
    pacer.ask(ticket, 100, now);
    let until = now + millis(500);
    assert_eq!(pacer.decide(now), Decision::Wait { ticket, until });
}

#[test]
fn the_least_bandwidth_is_that_of_a_small_piece_for_each() {
    let least = Bandwidth::least(20, Duration::from_secs(90));
    assert_eq!(least.octets(), 239);
    assert_eq!(
        Bandwidth::least(1, Duration::ZERO).octets(),
        2048 * 1_000_000_000
    );
}

fn priorities() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let job = (priorities(), 1..300_000_usize, 0..3000_u64, 0..60_u64);
    let job = job.prop_map(|(priority, size, begin, pace)| Job {
        priority,
        size,
        begin: millis(begin),
        pace: millis(pace),
    });
    prop::collection::vec(job, 1..12)
}

/// Pauses of half a second to five, and a bandwidth that suffices for them.
fn conditions() -> impl Strategy<Value = (Bandwidth, Duration)> {
    (500..5000_u64, 0..400_000_u64).prop_map(|(pause, more)| {
        let least = Bandwidth::least(12, millis(pause)).octets();
        (bandwidth(least + more), millis(pause))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_bandwidth_is_never_exceeded((rate, pause) in conditions(), jobs in jobs()) {
        let given = run(rate, pause, &jobs);
        for (index, first) in given.iter().enumerate() {
            let mut sum = 0;
            for turn in &given[index..] {
                sum += turn.octets as u128;
                let span = turn.at.saturating_sub(first.at) + CREDIT;
                let most = u128::from(rate.octets()) * span.as_nanos() / NANOS + rate.piece() as u128 + 1;
                prop_assert!(sum <= most, "{sum} > {most} in {span:?}");
            }
        }
    }

    #[test]
    fn nobody_pauses_for_longer_than_allowed((rate, pause) in conditions(), jobs in jobs()) {
        for turn in run(rate, pause, &jobs) {
            prop_assert!(turn.waited <= pause, "{turn:?}");
        }
    }

    #[test]
    fn nobody_comes_before_a_more_urgent_one_but_after_a_long_pause(
        (rate, pause) in conditions(), jobs in jobs()
    ) {
        let ahead = rate.time_of(SMALLEST) * 12 + rate.time_of(rate.piece());
        for turn in run(rate, pause, &jobs) {
            let own = jobs[turn.job].priority;
            let is_urgent = |&rival: &usize| jobs[rival].priority < own;
            if turn.rivals.iter().any(is_urgent) {
                prop_assert!(turn.octets <= SMALLEST && turn.waited >= pause.saturating_sub(ahead), "{turn:?}");
            }
        }
    }

    #[test]
    fn equals_get_equal_shares(rate in 10_000..1_000_000_u64, count in 2..8_usize) {
        let jobs = vec![job(Priority::Normal, 200_000, Duration::ZERO); count];
        let given = run(bandwidth(rate), Duration::from_mins(10), &jobs);
        let mut sent = vec![0_usize; count];
        for turn in given {
            sent[turn.job] += turn.octets;
            let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
            prop_assert!(most - least <= bandwidth(rate).piece());
        }
    }

    #[test]
    fn whatever_happens_a_decision_can_be_made(
        rate in 1..u64::MAX,
        pause in 0..u64::MAX,
        events in prop::collection::vec((0..6_u8, 0..4_u64, any::<usize>(), 0..10_000_u64), 0..60)
    ) {
        let mut pacer = Pacer::new(bandwidth(rate), millis(pause));
        let mut now = SystemClock.instant();
        for (event, ticket, octets, later) in events {
            now += Duration::from_micros(later);
            match event {
                0 => drop(pacer.enter(Priority::ALL[usize::try_from(ticket).unwrap()])),
                1 | 2 => pacer.ask(Ticket(ticket), octets, now),
                3 => pacer.withdraw(Ticket(ticket)),
                4 => pacer.leave(Ticket(ticket)),
                _ => pacer.count(octets, now),
            }
            if let Decision::Turn { octets, .. } = pacer.decide(now) {
                prop_assert!(octets > 0 && octets <= LARGEST);
            }
        }
    }
}
