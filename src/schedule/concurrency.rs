//! How many connections an upstream gets: more while it copes, fewer when it does not.

use std::time::Instant;

/// The number of attempts that may run at once, learnt from how they end.
///
/// It begins low and doubles with every round of successes, as TCP does, until the upstream strains for the first time;
/// each strain halves it, and from then on a whole round of successes adds one. It grows only while it is used to the
/// full: what was never tried proves nothing.
#[derive(Clone, Debug)]
pub struct Concurrency {
    limit: f64,
    ceiling: f64,
    /// Strain of attempts that began before this is known already; `None` before the first.
    since: Option<Instant>,
}

/// How an attempt bore on its upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Load {
    /// It coped.
    Borne,
    /// It asked for less, broke off or was too slow.
    Strained,
}

/// What a new upstream gets.
const BEGIN: f64 = 4.0;

impl Concurrency {
    /// Begins low, below or at `ceiling`, which is at least 1.
    pub fn new(ceiling: usize) -> Self {
        let ceiling = f64::from(u32::try_from(ceiling.max(1)).unwrap_or(u32::MAX));
        Self {
            limit: BEGIN.min(ceiling),
            ceiling,
            since: None,
        }
    }

    /// Returns how many attempts may run at once: at least 1, at most the ceiling.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and a 32-bit ceiling"
    )]
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Takes in how an attempt ended that began at `began`, while `busy` attempts ran, itself included.
    pub fn record(&mut self, load: Load, busy: usize, began: Instant, now: Instant) {
        match load {
            Load::Borne if busy >= self.limit() => {
                let step = if self.since.is_none() {
                    1.0
                } else {
                    1.0 / self.limit
                };
                self.limit = (self.limit + step).min(self.ceiling);
            }
            Load::Borne => {}
            // Those that ran side by side felt the same thing.
            Load::Strained if self.since.is_some_and(|since| began < since) => {}
            Load::Strained => {
                self.limit = (self.limit / 2.0).max(1.0);
                self.since = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    fn full_round(concurrency: &mut Concurrency, now: Instant) {
        for _ in 0..concurrency.limit() {
            concurrency.record(Load::Borne, concurrency.limit(), now, now);
        }
    }

    #[test]
    fn it_doubles_with_every_round_up_to_the_ceiling() {
        let (mut concurrency, now) = (Concurrency::new(20), SystemClock.instant());
        let mut limits = Vec::new();
        for _ in 0..4 {
            limits.push(concurrency.limit());
            full_round(&mut concurrency, now);
        }
        assert_eq!(limits, [4, 8, 16, 20]);
    }

    #[test]
    fn strain_halves_it_once_for_all_that_ran_side_by_side() {
        let (mut concurrency, t0) = (Concurrency::new(16), SystemClock.instant());
        for _ in 0..3 {
            full_round(&mut concurrency, t0);
        }
        let now = t0 + Duration::from_secs(1);
        for _ in 0..16 {
            concurrency.record(Load::Strained, 16, t0, now);
        }
        assert_eq!(concurrency.limit(), 8);
        concurrency.record(Load::Strained, 8, now, now);
        assert_eq!(concurrency.limit(), 4);
    }

    #[test]
    fn after_strain_a_whole_round_adds_one() {
        let (mut concurrency, t0) = (Concurrency::new(16), SystemClock.instant());
        concurrency.record(Load::Strained, 4, t0, t0);
        assert_eq!(concurrency.limit(), 2);
        full_round(&mut concurrency, t0);
        full_round(&mut concurrency, t0);
        assert_eq!(concurrency.limit(), 3);
    }

    #[test]
    fn it_does_not_grow_by_what_was_never_tried() {
        let (mut concurrency, t0) = (Concurrency::new(16), SystemClock.instant());
        for _ in 0..100 {
            concurrency.record(Load::Borne, 1, t0, t0);
        }
        assert_eq!(concurrency.limit(), 4);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_ceiling(
            ceiling in 1usize..50,
            loads in proptest::collection::vec(proptest::bool::ANY, 0..300),
        ) {
            let (mut concurrency, mut now) = (Concurrency::new(ceiling), SystemClock.instant());
            for is_borne in loads {
                let load = if is_borne { Load::Borne } else { Load::Strained };
                concurrency.record(load, concurrency.limit(), now, now);
                now += Duration::from_millis(1);
                prop_assert!((1..=ceiling).contains(&concurrency.limit()));
            }
        }
    }
}
