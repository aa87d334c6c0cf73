//! How full a spool may be for mail of which priority. Pure.

use crate::mail::Priority;

/// Which priorities a full spool refuses: each level refuses what the one before refuses, and more.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub(super) enum Level {
    /// None.
    #[default]
    Free,
    /// 5.
    VeryLow,
    /// 4 and 5.
    Low,
    /// 3 to 5.
    Normal,
    /// All.
    All,
}

/// The levels from the fullest on; with how much of a limit is used from there on, in percent, and how much of
/// `min_free` is left free at most, in quarters.
const BORDERS: [(Level, u64, u64); 4] = [
    (Level::All, 100, 4),
    (Level::Normal, 95, 5),
    (Level::Low, 90, 6),
    (Level::VeryLow, 80, 8),
];

/// A level is left again when so much of the limit is free below its border, in percent. Without that, a spool at a
/// border would refuse every second message.
const SLACK: u64 = 2;

impl Level {
    /// Returns whether mail of this priority is refused.
    pub(super) fn refuses(self, priority: Priority) -> bool {
        match priority {
            Priority::VeryHigh | Priority::High => self >= Self::All,
            Priority::Normal => self >= Self::Normal,
            Priority::Low => self >= Self::Low,
            Priority::VeryLow => self >= Self::VeryLow,
        }
    }

    /// Returns the number of the most urgent priority that is refused; `None` where none is.
    pub(super) fn refused_from(self) -> Option<u8> {
        let refused = Priority::ALL
            .into_iter()
            .find(|priority| self.refuses(*priority));
        refused.map(Priority::number)
    }

    /// Returns the level as a number, for an atomic.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the level of [`Level::number`].
    pub(super) fn from_number(number: u8) -> Self {
        let known = [Self::VeryLow, Self::Low, Self::Normal, Self::All];
        let found = known.into_iter().find(|level| level.number() == number);
        found.unwrap_or_default()
    }

    /// Returns the level at which so much of `limit` is used; it was `before`.
    pub(super) fn of_use(used: u64, limit: u64, before: Self) -> Self {
        let limit = u128::from(limit);
        Self::first(|level, percent, _| {
            let slack = if before >= level { SLACK } else { 0 };
            let border = (limit * u128::from(percent)).div_ceil(100);
            u128::from(used) >= border.saturating_sub(limit * u128::from(slack) / 100)
        })
    }

    /// Returns the level at which so many octets are free on a disk where `min_free` must be; it was `before`.
    pub(super) fn of_free_space(free: u64, min_free: u64, before: Self) -> Self {
        let (free, min_free) = (u128::from(free), u128::from(min_free));
        Self::first(|level, _, quarters| {
            let slack = if before >= level { min_free / 8 } else { 0 };
            free < min_free * u128::from(quarters) / 4 + slack
        })
    }

    fn first(is_reached: impl Fn(Self, u64, u64) -> bool) -> Self {
        let reached = BORDERS
            .into_iter()
            .find(|(level, percent, quarters)| is_reached(*level, *percent, *quarters));
        reached.map_or(Self::Free, |(level, ..)| level)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_use(used: u64) -> Level {
        Level::of_use(used, 1000, Level::Free)
    }

    #[test]
    fn low_priorities_are_refused_first() {
        assert_eq!(of_use(799), Level::Free);
        assert_eq!(of_use(800), Level::VeryLow);
        assert_eq!(of_use(900), Level::Low);
        assert_eq!(of_use(950), Level::Normal);
        assert_eq!(of_use(999), Level::Normal);
        assert_eq!(of_use(1000), Level::All);
        let refused = |level: Level| Priority::ALL.map(|priority| level.refuses(priority));
        assert_eq!(refused(Level::Free), [false; 5]);
        assert_eq!(refused(Level::VeryLow), [false, false, false, false, true]);
        assert_eq!(refused(Level::Low), [false, false, false, true, true]);
        assert_eq!(refused(Level::Normal), [false, false, true, true, true]);
        assert_eq!(refused(Level::All), [true; 5]);
    }

    #[test]
    fn the_margin_of_free_space_grows_as_the_priority_falls() {
        let level = |free| Level::of_free_space(free, 1000, Level::Free);
        assert_eq!(level(2000), Level::Free);
        assert_eq!(level(1999), Level::VeryLow);
        assert_eq!(level(1499), Level::Low);
        assert_eq!(level(1249), Level::Normal);
        assert_eq!(level(1000), Level::Normal);
        assert_eq!(level(999), Level::All);
        assert_eq!(Level::of_free_space(0, 0, Level::Free), Level::Free);
    }

    #[test]
    fn a_level_is_left_a_little_below_where_it_is_entered() {
        let level = |used, before| Level::of_use(used, 1000, before);
        assert_eq!(level(990, Level::All), Level::All);
        assert_eq!(level(979, Level::All), Level::Normal);
        assert_eq!(level(780, Level::VeryLow), Level::VeryLow);
        assert_eq!(level(779, Level::VeryLow), Level::Free);
        let of_free = |free| Level::of_free_space(free, 1000, Level::All);
        assert_eq!(of_free(1124), Level::All);
        assert_eq!(of_free(1125), Level::Normal);
    }

    #[test]
    fn a_very_small_limit_counts_to_its_last_message() {
        let level = |used, limit| Level::of_use(used, limit, Level::All);
        assert_eq!(level(0, 1), Level::Free);
        assert_eq!(level(1, 1), Level::All);
        assert_eq!(level(1, 2), Level::Free);
        assert_eq!(level(2, 2), Level::All);
    }

    proptest! {
        #[test]
        fn more_in_use_never_refuses_less(used: u64, more: u64, limit: u64, before in 0_u8..5) {
            let before = Level::from_number(before);
            let fuller = used.saturating_add(more);
            prop_assert!(Level::of_use(used, limit, before) <= Level::of_use(fuller, limit, before));
            prop_assert!(
                Level::of_free_space(used, limit, before) >= Level::of_free_space(fuller, limit, before)
            );
        }

        #[test]
        fn at_its_limit_everything_is_refused(limit in 1_u64.., before in 0_u8..5) {
            let before = Level::from_number(before);
            prop_assert_eq!(Level::of_use(limit, limit, before), Level::All);
            prop_assert_eq!(Level::of_free_space(limit - 1, limit, before), Level::All);
        }
    }
}
