//! When a deferred message is attempted again.

use std::time::Duration;

use crate::clock::Timestamp;

/// How the delays between attempts grow, and when they end. Checked once, then copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPlan {
    first: Duration,
    longest: Duration,
    lifetime: Duration,
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
    /// Makes a plan: the delay doubles from `first` up to `longest`; after `lifetime` the message expires.
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
        })
    }

    /// Returns the time before which a message must have been accepted to be over its lifetime now; `None` while
    /// the clock stands before the first such time.
    pub fn oldest_alive(&self, now: Timestamp) -> Option<Timestamp> {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        now.unix_millis()
            .checked_sub(lifetime)
            .map(Timestamp::from_unix_millis)
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
        let end = accepted.after(self.lifetime);
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
    /// One minute, one hour, five days.
    fn default() -> Self {
        Self {
            first: Duration::from_mins(1),
            longest: Duration::from_hours(1),
            lifetime: Duration::from_hours(5 * 24),
        }
    }
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
