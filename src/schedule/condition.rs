//! Whether an upstream is worth trying: what it refuses as a whole is held against it, not against the messages.

use std::time::{Duration, Instant};

use crate::mail::Health;

/// The condition of one upstream, learnt from its attempts.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    pause: Option<Pause>,
    /// Failures of attempts that began before this tell nothing new.
    since: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Pause {
    until: Instant,
    kind: Kind,
    failures: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Throttled,
    Unreachable,
    Unusable,
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
    /// It works again.
    Recovered,
    /// It is left alone for a while.
    Paused {
        /// For how long.
        pause: Duration,
    },
}

impl Condition {
    /// Makes the condition of an upstream of which nothing is known yet; failures of attempts begun before `now` will
    /// not count.
    pub fn fresh(now: Instant) -> Self {
        Self {
            pause: None,
            since: Some(now),
        }
    }

    /// Takes in what an attempt that began at `began` said of the upstream.
    ///
    /// Failures of attempts that ran side by side count once, whenever they end. A pause grows from failure to
    /// failure.
    pub fn record(&mut self, health: &Health, began: Instant, now: Instant) -> Change {
        let (kind, wish) = match health {
            Health::Good => return self.succeed(now),
            Health::Throttled { pause } => (Kind::Throttled, *pause),
            Health::Unreachable => (Kind::Unreachable, None),
            Health::Unusable => (Kind::Unusable, None),
        };
        if self.since.is_some_and(|since| began < since) {
            return Change::None;
        }
        let failures = match &self.pause {
            Some(pause) if pause.kind == kind => pause.failures + 1,
            _ => 1,
        };
        let pause = kind
            .pause(failures)
            .max(wish.unwrap_or_default())
            .min(LONGEST_WISH);
        self.pause = Some(Pause {
            until: now + pause,
            kind,
            failures,
        });
        self.since = Some(now);
        Change::Paused { pause }
    }

    fn succeed(&mut self, now: Instant) -> Change {
        match &self.pause {
            None => Change::None,
            // One message that got through does not end what the upstream asked for.
            Some(pause) if pause.kind == Kind::Throttled && now < pause.until => Change::None,
            Some(_) => {
                self.pause = None;
                Change::Recovered
            }
        }
    }

    /// Returns how many attempts may run now.
    pub fn availability(&self, now: Instant) -> Availability {
        match &self.pause {
            None => Availability::Open,
            Some(pause) if now < pause.until => Availability::Closed { until: pause.until },
            Some(_) => Availability::Probe,
        }
    }

    /// Returns how the upstream fares, in one word: `good`, `throttled`, `unreachable`, `parked`.
    pub fn word(&self) -> &'static str {
        match self.pause.as_ref().map(|pause| pause.kind) {
            None => "good",
            Some(Kind::Throttled) => "throttled",
            Some(Kind::Unreachable) => "unreachable",
            Some(Kind::Unusable) => "parked",
        }
    }
}

/// An upstream that asks for a longer pause is tried again all the same.
const LONGEST_WISH: Duration = Duration::from_hours(1);

impl Kind {
    fn pause(self, failures: u32) -> Duration {
        let (first, longest) = match self {
            Self::Throttled => (Duration::from_secs(10), Duration::from_mins(10)),
            Self::Unreachable => (Duration::from_secs(5), Duration::from_mins(5)),
            Self::Unusable => (Duration::from_mins(1), Duration::from_mins(30)),
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

    #[test]
    fn a_pause_grows_from_failure_to_failure_and_ends_with_a_probe() {
        let (mut condition, t0) = (Condition::default(), SystemClock.instant());
        assert_eq!(
            condition.record(&Health::Unreachable, t0, t0),
            Change::Paused { pause: 5 * SECOND }
        );
        let until = t0 + 5 * SECOND;
        assert_eq!(condition.availability(t0), Availability::Closed { until });
        assert_eq!(condition.availability(until), Availability::Probe);
        assert_eq!(
            condition.record(&Health::Unreachable, until, until),
            Change::Paused { pause: 10 * SECOND }
        );
    }

    #[test]
    fn failures_side_by_side_count_once() {
        let (mut condition, t0) = (Condition::default(), SystemClock.instant());
        condition.record(&Health::Unreachable, t0, t0);
        assert_eq!(
            condition.record(
                &Health::Unreachable,
                t0.checked_sub(SECOND).unwrap(),
                t0 + 9 * SECOND
            ),
            Change::None
        );
        assert_eq!(condition.availability(t0 + 5 * SECOND), Availability::Probe);
    }

    #[test]
    fn a_success_ends_a_pause_but_not_what_the_upstream_asked_for() {
        let (mut condition, t0) = (Condition::default(), SystemClock.instant());
        condition.record(
            &Health::Throttled {
                pause: Some(60 * SECOND),
            },
            t0,
            t0,
        );
        assert_eq!(
            condition.record(&Health::Good, t0, t0 + SECOND),
            Change::None
        );
        assert_eq!(
            condition.record(&Health::Good, t0, t0 + 61 * SECOND),
            Change::Recovered
        );
        assert_eq!(condition.availability(t0 + 61 * SECOND), Availability::Open);
    }

    #[test]
    fn a_wish_for_a_very_long_pause_is_not_granted() {
        let (mut condition, t0) = (Condition::default(), SystemClock.instant());
        let wish = Health::Throttled {
            pause: Some(Duration::MAX),
        };
        assert_eq!(
            condition.record(&wish, t0, t0),
            Change::Paused {
                pause: LONGEST_WISH
            }
        );
    }

    #[test]
    fn the_longest_pause_is_bounded_after_any_number_of_failures() {
        let (mut condition, mut now) = (Condition::default(), SystemClock.instant());
        for _ in 0..100 {
            let Change::Paused { pause } = condition.record(&Health::Unusable, now, now) else {
                panic!("no pause");
            };
            assert!(pause <= Duration::from_mins(30));
            now += pause;
        }
    }
}
