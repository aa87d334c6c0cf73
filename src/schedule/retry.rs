//! When a deferred message is attempted again, when its sender is warned, and when it is given up.

use std::time::Duration;

use crate::clock::Timestamp;

/// How the delays between attempts grow, when they end, and when the sender hears of it before that. Checked once, then
/// copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPlan {
    first: Duration,
    longest: Duration,
    lifetime: Duration,
    warn_after: Option<Duration>,
}

/// Why a retry plan makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RetryPlanError {
    /// The first delay is zero.
    #[error("the first delay is zero")]
    NoFirst,
    /// The longest delay is shorter than the first.
    #[error("the longest delay is shorter than the first")]
    LongestBelowFirst,
    /// The lifetime is shorter than the first delay, so that nothing would be attempted twice.
    #[error("the lifetime is shorter than the first delay")]
    LifetimeBelowFirst,
    /// The sender would be warned of a delay when the message has expired already.
    #[error("the warning of a delay comes at or after the end of the lifetime")]
    WarningPastLifetime,
}

/// What follows a deferral.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The lifetime is over.
    Expire,
    /// Another attempt.
    Retry {
        /// When.
        due: Timestamp,
    },
}

impl RetryPlan {
    /// Makes a plan: the delay doubles from `first` up to `longest`; after `lifetime` the message expires. Nobody is
    /// warned of a delay.
    ///
    /// # Errors
    /// [`RetryPlanError`] where the three do not fit together.
    pub fn new(
        first: Duration,
        longest: Duration,
        lifetime: Duration,
    ) -> Result<Self, RetryPlanError> {
        if first.is_zero() {
            return Err(RetryPlanError::NoFirst);
        }
        if longest < first {
            return Err(RetryPlanError::LongestBelowFirst);
        }
        if lifetime < first {
            return Err(RetryPlanError::LifetimeBelowFirst);
        }
        Ok(Self {
            first,
            longest,
            lifetime,
            warn_after: None,
        })
    }

    /// Makes the same plan, with a warning to the sender where a message still waits after `warn_after`; none where that
    /// is zero.
    ///
    /// # Errors
    /// [`RetryPlanError::WarningPastLifetime`].
    pub fn with_warning(self, warn_after: Duration) -> Result<Self, RetryPlanError> {
        if warn_after >= self.lifetime {
            return Err(RetryPlanError::WarningPastLifetime);
        }
        let warn_after = (!warn_after.is_zero()).then_some(warn_after);
        Ok(Self { warn_after, ..self })
    }

    /// Returns whether a message that could have been relayed from `since` on is so late now that its sender is warned.
    pub fn is_late(&self, since: Timestamp, now: Timestamp) -> bool {
        self.warn_after
            .is_some_and(|warn_after| now >= since.after(warn_after))
    }

    /// Returns the time before which a message must have been accepted to be late now; `None` where nobody is warned, or
    /// while the clock stands before the first such time.
    pub fn oldest_in_time(&self, now: Timestamp) -> Option<Timestamp> {
        before(now, self.warn_after?)
    }

    /// Returns when the lifetime of a message ends: the time of its last attempt.
    pub fn end(&self, accepted: Timestamp) -> Timestamp {
        accepted.after(self.lifetime)
    }

    /// Returns the delay before the second attempt.
    pub const fn first(&self) -> Duration {
        self.first
    }

    /// Returns the longest delay between two attempts.
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// Returns how long after its acceptance a message expires.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Returns how long a message waits before its sender is warned; `None` where that does not happen.
    pub const fn warn_after(&self) -> Option<Duration> {
        self.warn_after
    }

    /// Returns what follows the deferral of the attempt number `attempts` (1 for the first).
    ///
    /// `spread`, from 0.0 to 1.0, lengthens the delay by up to a quarter, so that messages deferred together are not
    /// attempted together. The last attempt is made when the lifetime ends; only a deferral after that expires.
    pub fn after_deferral(
        &self,
        accepted: Timestamp,
        attempts: u32,
        now: Timestamp,
        spread: f64,
    ) -> Next {
        let end = self.end(accepted);
        if now >= end {
            return Next::Expire;
        }
        let doublings = attempts.saturating_sub(1).min(31);
        let delay = self.first.saturating_mul(1 << doublings).min(self.longest);
        let due = now.after(delay.mul_f64(1.0 + spread.clamp(0.0, 1.0) / 4.0));
        Next::Retry { due: due.min(end) }
    }
}

impl Default for RetryPlan {
    /// One minute, one hour, five days; a warning after four hours.
    fn default() -> Self {
        Self {
            first: Duration::from_mins(1),
            longest: Duration::from_hours(1),
            lifetime: Duration::from_hours(5 * 24),
            warn_after: Some(Duration::from_hours(4)),
        }
    }
}

/// Returns the time `span` before `now`, unless it lies before 1970.
fn before(now: Timestamp, span: Duration) -> Option<Timestamp> {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    now.unix_millis()
        .checked_sub(span)
        .map(Timestamp::from_unix_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn retry(after: Duration) -> Next {
        Next::Retry {
            due: T0.after(after),
        }
    }

    #[test]
    fn the_second_delay_is_twice_the_first() {
        let plan = RetryPlan::default();
        assert_eq!(
            plan.after_deferral(T0, 1, T0, 0.0),
            retry(Duration::from_mins(1))
        );
        assert_eq!(
            plan.after_deferral(T0, 2, T0, 0.0),
            retry(Duration::from_mins(2))
        );
    }

    #[test]
    fn the_delay_stops_growing_at_the_longest() {
        let plan = RetryPlan::default();
        assert_eq!(
            plan.after_deferral(T0, 1000, T0, 0.0),
            retry(Duration::from_hours(1))
        );
    }

    #[test]
    fn the_last_attempt_is_made_at_the_end_of_the_lifetime() {
        let plan = RetryPlan::default();
        let end = T0.after(Duration::from_hours(120));
        let just_before = T0.after(Duration::from_hours(120) - Duration::from_secs(1));
        assert_eq!(
            plan.after_deferral(T0, 9, just_before, 1.0),
            Next::Retry { due: end }
        );
        assert_eq!(plan.after_deferral(T0, 10, end, 1.0), Next::Expire);
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_refused() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        assert_eq!(
            RetryPlan::new(Duration::ZERO, long, long),
            Err(RetryPlanError::NoFirst)
        );
        assert_eq!(
            RetryPlan::new(long, short, long),
            Err(RetryPlanError::LongestBelowFirst)
        );
        assert_eq!(
            RetryPlan::new(long, long, short),
            Err(RetryPlanError::LifetimeBelowFirst)
        );
    }

    #[test]
    fn a_message_is_late_from_the_time_of_the_warning_on() {
        let plan = RetryPlan::default();
        let then = T0.after(Duration::from_hours(4));
        let just_before = T0.after(Duration::from_hours(4) - Duration::from_millis(1));
        assert!(!plan.is_late(T0, just_before) && plan.is_late(T0, then));
        assert_eq!(plan.oldest_in_time(then), Some(T0));
    }

    #[test]
    fn without_a_warning_nothing_is_ever_late() {
        let plan = RetryPlan::default().with_warning(Duration::ZERO).unwrap();
        assert!(!plan.is_late(T0, Timestamp::MAX));
        assert_eq!(plan.oldest_in_time(T0), None);
    }

    #[test]
    fn a_warning_comes_before_the_lifetime_ends() {
        let plan = RetryPlan::default();
        assert_eq!(
            plan.with_warning(plan.lifetime()),
            Err(RetryPlanError::WarningPastLifetime)
        );
    }

    proptest! {
        #[test]
        fn every_chain_of_deferrals_moves_on_and_ends(spread in 0.0f64..=1.0, first in 1u64..100_000) {
            let plan = RetryPlan::new(
                Duration::from_millis(first),
                Duration::from_millis(first * 20),
                Duration::from_millis(first * 1000),
            ).unwrap();
            let (mut now, mut attempts) = (T0, 1);
            while let Next::Retry { due } = plan.after_deferral(T0, attempts, now, spread) {
                prop_assert!(due > now);
                now = due;
                attempts += 1;
                prop_assert!(attempts < 1100);
            }
            prop_assert_eq!(now, T0.after(Duration::from_millis(first * 1000)));
        }
    }
}
