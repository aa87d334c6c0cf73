//! Whether an upstream is worth trying: what it refuses as a whole is held against it, not against the messages.

use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::mail::Health;

/// The condition of one upstream, learnt from its attempts.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    trouble: Option<Trouble>,
    /// Failures of attempts that began before this tell nothing new.
    since: Option<Instant>,
}

/// One moment by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What people are told.
    pub civil: Timestamp,
    /// Pauses.
    pub instant: Instant,
}

/// What an attempt has said of its upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How it fared.
    pub health: Health,
    /// Why it is not well; empty where it is.
    pub reason: Reason,
    /// When the attempt began.
    pub began: Instant,
}

/// Why an upstream is left alone, in words for people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reason {
    /// The failure of an attempt.
    pub text: Box<str>,
    /// What a person must do, where that is known.
    pub repair: Option<Box<str>>,
}

/// What is the matter with an upstream that is left alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Of which kind.
    pub kind: TroubleKind,
    /// When it began.
    pub since: Timestamp,
    /// Why, as the last attempt said. Where the upstream is parked, why it had to be.
    pub reason: Reason,
    /// How many attempts have failed since then; those side by side count once. 0 after a start or a
    /// [`Condition::hurry`].
    pub failures: u32,
    /// When one attempt may be made.
    pub probe: Instant,
    /// When operators were told last that it is parked.
    told: Option<Instant>,
}

/// Of which kind the trouble with an upstream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TroubleKind {
    /// A person must repair something: it is parked.
    Parked,
    /// It asked for fewer or later messages.
    Throttled,
    /// It cannot be reached, or its answers make no sense.
    Unreachable,
}

/// How many attempts may run at an upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Availability {
    /// None before this time.
    Closed {
        /// When one may be made.
        until: Instant,
    },
    /// As many as it has connections.
    Open,
    /// One, to see whether it works again.
    Probe,
}

/// What a result changed, for the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Nothing that is worth a word.
    None,
    /// It is parked: a person must repair something.
    Parked {
        /// How long until it is probed.
        pause: Duration,
        /// Whether operators are to be told.
        notice: Notice,
    },
    /// It is left alone for a while.
    Paused {
        /// For how long.
        pause: Duration,
    },
    /// It works again.
    Recovered {
        /// How long it did not.
        lasted: Duration,
    },
}

/// Whether operators are to be told that an upstream is parked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// They are, now.
    Due,
    /// They were, less than an hour ago.
    Given,
}

/// How long after a notice the next one is due.
const REMINDER: Duration = Duration::from_hours(1);

/// An upstream that asks for a longer pause is tried again all the same.
const LONGEST_WISH: Duration = Duration::from_hours(1);

impl Condition {
    /// Makes the condition of an upstream of which nothing is known yet; failures of attempts begun before `now` will
    /// not count.
    pub fn fresh(now: Instant) -> Self {
        Self {
            trouble: None,
            since: Some(now),
        }
    }

    /// Makes the condition of an upstream that was parked when the process before ended. It is probed at once.
    pub fn parked(since: Timestamp, reason: Reason, now: Instant) -> Self {
        let trouble = Trouble {
            kind: TroubleKind::Parked,
            since,
            reason,
            failures: 0,
            probe: now,
            told: None,
        };
        Self {
            trouble: Some(trouble),
            since: Some(now),
        }
    }

    /// Returns the condition after a reload: somebody may have repaired what was wrong. A parked upstream stays parked
    /// until a probe gets through, which is made at once; everything else is forgotten.
    #[must_use]
    pub fn reloaded(&self, now: Instant) -> Self {
        let mut condition = Self::fresh(now);
        if self.is_parked() {
            condition.trouble.clone_from(&self.trouble);
            let told = self.trouble.as_ref().and_then(|trouble| trouble.told);
            condition.hurry(now);
            if let Some(trouble) = &mut condition.trouble {
                trouble.told = told;
            }
        }
        condition
    }

    /// Lets the next attempt be made at once, with pauses that begin anew and operators who are told anew where it fails.
    pub fn hurry(&mut self, now: Instant) {
        if let Some(trouble) = &mut self.trouble {
            trouble.probe = now;
            trouble.failures = 0;
            trouble.told = None;
            self.since = Some(now);
        }
    }

    /// Takes in what an attempt said of the upstream.
    ///
    /// Failures of attempts that ran side by side count once, whenever they end. A pause grows from failure to
    /// failure. A parked upstream stays parked until an attempt that began afterwards succeeds: that it cannot be reached
    /// meanwhile says nothing of what was wrong.
    pub fn record(&mut self, report: Report, now: Moment) -> Change {
        let (kind, wish) = match report.health {
            Health::Good => return self.succeed(report.began, now),
            Health::Throttled { pause } => (TroubleKind::Throttled, pause),
            Health::Unreachable => (TroubleKind::Unreachable, None),
            Health::Unusable => (TroubleKind::Parked, None),
        };
        if self.since.is_some_and(|since| report.began < since) {
            return Change::None;
        }
        self.since = Some(now.instant);
        let trouble = match self.trouble.take() {
            Some(before) if before.is_same(kind) => before.again(kind, report.reason),
            Some(_) | None => Trouble {
                kind,
                since: now.civil,
                reason: report.reason,
                failures: 1,
                probe: now.instant,
                told: None,
            },
        };
        let trouble = self.trouble.insert(trouble);
        let pause = trouble.kind.pause(trouble.failures);
        let pause = pause.max(wish.unwrap_or_default()).min(LONGEST_WISH);
        trouble.probe = now.instant + pause;
        match trouble.kind {
            TroubleKind::Parked => {
                let notice = trouble.notice(now.instant);
                Change::Parked { pause, notice }
            }
            TroubleKind::Throttled | TroubleKind::Unreachable => Change::Paused { pause },
        }
    }

    fn succeed(&mut self, began: Instant, now: Moment) -> Change {
        let Some(trouble) = &self.trouble else {
            return Change::None;
        };
        let is_over = match trouble.kind {
            // A connection that was let in before says nothing of who is let in now.
            TroubleKind::Parked => self.since.is_none_or(|since| began >= since),
            // One message that got through does not end what the upstream asked for.
            TroubleKind::Throttled => now.instant >= trouble.probe,
            TroubleKind::Unreachable => true,
        };
        if !is_over {
            return Change::None;
        }
        let lasted = now.civil.since(trouble.since);
        self.trouble = None;
        Change::Recovered { lasted }
    }

    /// Returns how many attempts may run now.
    pub fn availability(&self, now: Instant) -> Availability {
        match &self.trouble {
            None => Availability::Open,
            Some(trouble) if now < trouble.probe => Availability::Closed {
                until: trouble.probe,
            },
            Some(_) => Availability::Probe,
        }
    }

    /// Returns what is the matter with it, if anything is.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Returns whether a person must repair something.
    pub fn is_parked(&self) -> bool {
        let kind = self.trouble.as_ref().map(|trouble| trouble.kind);
        kind == Some(TroubleKind::Parked)
    }
}

impl Trouble {
    /// Returns whether a failure of this kind goes on with it.
    fn is_same(&self, kind: TroubleKind) -> bool {
        self.kind == kind || self.kind == TroubleKind::Parked
    }

    fn again(mut self, kind: TroubleKind, reason: Reason) -> Self {
        self.failures = self.failures.saturating_add(1);
        if self.kind == kind {
            self.reason = reason;
        }
        self
    }

    /// Returns whether operators are to be told, and takes it that they will be.
    fn notice(&mut self, now: Instant) -> Notice {
        if self.told.is_some_and(|told| now < told + REMINDER) {
            return Notice::Given;
        }
        self.told = Some(now);
        Notice::Due
    }
}

impl TroubleKind {
    /// Returns the word for it: `parked`, `throttled`, `unreachable`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
        }
    }

    fn pause(self, failures: u32) -> Duration {
        let (first, longest) = match self {
            Self::Parked => (Duration::from_mins(1), Duration::from_hours(1)),
            Self::Throttled => (Duration::from_secs(10), Duration::from_mins(10)),
            Self::Unreachable => (Duration::from_secs(5), Duration::from_mins(5)),
        };
        let doublings = failures.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);
    const T0: Timestamp = Timestamp::from_unix_millis(1_000_000);

    /// A condition with a time that the tests move.
    struct Case {
        condition: Condition,
        start: Instant,
        elapsed: Duration,
    }

    impl Case {
        fn new() -> Self {
            Self {
                condition: Condition::default(),
                start: SystemClock.instant(),
                elapsed: Duration::ZERO,
            }
        }

        fn now(&self) -> Moment {
            Moment {
                civil: T0.after(self.elapsed),
                instant: self.start + self.elapsed,
            }
        }

        fn pass(&mut self, span: Duration) {
            self.elapsed += span;
        }

        /// An attempt that begins and ends now.
        fn record(&mut self, health: Health) -> Change {
            self.record_begun(health, self.now().instant)
        }

        fn record_begun(&mut self, health: Health, began: Instant) -> Change {
            let reason = Reason {
                text: format!("{health:?}").into(),
                repair: None,
            };
            let report = Report {
                health,
                reason,
                began,
            };
            self.condition.record(report, self.now())
        }

        fn availability(&self) -> Availability {
            self.condition.availability(self.now().instant)
        }

        fn trouble(&self) -> &Trouble {
            self.condition.trouble().unwrap()
        }
    }

    const fn parked(pause: Duration, notice: Notice) -> Change {
        Change::Parked { pause, notice }
    }

    #[test]
    fn a_pause_grows_from_failure_to_failure_and_ends_with_a_probe() {
        let mut case = Case::new();
        let pause = 5 * SECOND;
        assert_eq!(case.record(Health::Unreachable), Change::Paused { pause });
        let until = case.now().instant + pause;
        assert_eq!(case.availability(), Availability::Closed { until });
        case.pass(pause);
        assert_eq!(case.availability(), Availability::Probe);
        let pause = 10 * SECOND;
        assert_eq!(case.record(Health::Unreachable), Change::Paused { pause });
        let trouble = case.trouble();
        assert_eq!((trouble.since, trouble.failures), (T0, 2));
    }

    #[test]
    fn failures_side_by_side_count_once() {
        let mut case = Case::new();
        case.pass(SECOND);
        let began = case.start;
        case.record(Health::Unreachable);
        case.pass(9 * SECOND);
        assert_eq!(case.record_begun(Health::Unreachable, began), Change::None);
        assert_eq!(case.availability(), Availability::Probe);
    }

    #[test]
    fn a_success_ends_a_pause_but_not_what_the_upstream_asked_for() {
        let mut case = Case::new();
        let pause = Some(60 * SECOND);
        let began = case.now().instant;
        case.record(Health::Throttled { pause });
        case.pass(SECOND);
        assert_eq!(case.record(Health::Good), Change::None);
        case.pass(60 * SECOND);
        assert_eq!(
            case.record_begun(Health::Good, began),
            Change::Recovered {
                lasted: 61 * SECOND
            }
        );
        assert_eq!(case.availability(), Availability::Open);
    }

    #[test]
    fn a_wish_for_a_very_long_pause_is_not_granted() {
        let mut case = Case::new();
        let wish = Health::Throttled {
            pause: Some(Duration::MAX),
        };
        let pause = LONGEST_WISH;
        assert_eq!(case.record(wish), Change::Paused { pause });
    }

    #[test]
    fn a_parked_upstream_is_probed_after_a_minute_and_then_ever_more_seldom() {
        let mut case = Case::new();
        let mut pauses = Vec::new();
        for _ in 0..100 {
            let Change::Parked { pause, .. } = case.record(Health::Unusable) else {
                panic!("it is not parked");
            };
            pauses.push(pause);
            case.pass(pause);
        }
        assert_eq!(pauses[..3], [MINUTE, 2 * MINUTE, 4 * MINUTE]);
        assert_eq!(pauses[6..8], [60 * MINUTE; 2]);
        assert_eq!(pauses.last(), Some(&(60 * MINUTE)));
    }

    #[test]
    fn operators_are_told_of_a_parked_upstream_at_once_and_then_once_an_hour() {
        let mut case = Case::new();
        let mut told = Vec::new();
        while case.elapsed < Duration::from_hours(5) {
            let Change::Parked { pause, notice } = case.record(Health::Unusable) else {
                panic!("it is not parked");
            };
            if notice == Notice::Due {
                told.push(case.elapsed);
            }
            case.pass(pause);
        }
        assert_eq!(told[0], Duration::ZERO);
        assert!(
            told.windows(2).all(|two| two[1] >= two[0] + REMINDER),
            "{told:?}"
        );
        assert!(told.len() >= 4, "{told:?}");
    }

    #[test]
    fn a_parked_upstream_that_cannot_be_reached_is_still_parked() {
        let mut case = Case::new();
        case.record(Health::Unusable);
        case.pass(MINUTE);
        assert_eq!(
            case.record(Health::Unreachable),
            parked(2 * MINUTE, Notice::Given)
        );
        assert_eq!(&*case.trouble().reason.text, "Unusable");
        case.pass(2 * MINUTE);
        let lasted = 3 * MINUTE;
        assert_eq!(case.record(Health::Good), Change::Recovered { lasted });
        assert!(!case.condition.is_parked());
    }

    #[test]
    fn an_upstream_that_is_paused_is_parked_where_it_turns_out_to_need_a_person() {
        let mut case = Case::new();
        case.record(Health::Unreachable);
        case.pass(5 * SECOND);
        assert_eq!(case.record(Health::Unusable), parked(MINUTE, Notice::Due));
        assert_eq!(case.trouble().since, case.now().civil);
    }

    #[test]
    fn a_connection_that_was_let_in_before_does_not_end_a_parking() {
        let mut case = Case::new();
        let began = case.now().instant;
        case.pass(SECOND);
        case.record(Health::Unusable);
        case.pass(SECOND);
        assert_eq!(case.record_begun(Health::Good, began), Change::None);
        assert!(case.condition.is_parked());
    }

    #[test]
    fn a_hurried_upstream_is_probed_at_once_and_its_pauses_begin_anew() {
        let mut case = Case::new();
        for _ in 0..5 {
            case.record(Health::Unusable);
            case.pass(16 * MINUTE);
        }
        case.record(Health::Unusable);
        assert!(matches!(case.availability(), Availability::Closed { .. }));
        case.condition.hurry(case.now().instant);
        assert_eq!(case.availability(), Availability::Probe);
        assert_eq!(case.record(Health::Unusable), parked(MINUTE, Notice::Due));
        assert_eq!(case.trouble().since, T0);
    }

    #[test]
    fn a_reload_lets_a_parked_upstream_be_probed_and_forgets_everything_else() {
        let mut case = Case::new();
        case.record(Health::Unusable);
        case.condition = case.condition.reloaded(case.now().instant);
        assert_eq!(case.availability(), Availability::Probe);
        assert_eq!(case.record(Health::Unusable), parked(MINUTE, Notice::Given));
        assert_eq!(case.trouble().since, T0);
        let mut case = Case::new();
        case.record(Health::Unreachable);
        case.condition = case.condition.reloaded(case.now().instant);
        assert_eq!(case.availability(), Availability::Open);
    }

    #[test]
    fn what_was_parked_before_a_restart_is_probed_before_it_is_used() {
        let mut case = Case::new();
        case.pass(MINUTE);
        let reason = Reason {
            text: "535".into(),
            repair: None,
        };
        case.condition = Condition::parked(T0, reason, case.now().instant);
        assert_eq!(case.availability(), Availability::Probe);
        let lasted = MINUTE;
        assert_eq!(case.record(Health::Good), Change::Recovered { lasted });
    }

    #[test]
    fn the_longest_pause_is_bounded_after_any_number_of_failures() {
        for health in [Health::Unusable, Health::Unreachable] {
            let mut case = Case::new();
            for _ in 0..100 {
                let (Change::Parked { pause, .. } | Change::Paused { pause }) =
                    case.record(health.clone())
                else {
                    panic!("no pause");
                };
                assert!(pause <= Duration::from_hours(1));
                case.pass(pause);
            }
        }
    }
}
