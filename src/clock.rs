//! Time as the rest of the program sees it.
//!
//! This is the only module that reads the system clock. Everything else is handed a [`Timestamp`] or an
//! [`Instant`], or owns an `Arc<dyn Clock>` because it stands at an edge.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in civil time, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Timestamps are stored (acceptance, next attempt) and may jump with the system clock; waiting inside one process
/// uses [`Instant`] instead.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest representable point in time; nothing that is due then is ever attempted.
    pub const MAX: Self = Self(u64::MAX);

    /// Makes a timestamp from milliseconds since the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Parses what `Display` writes; other forms of RFC 3339 too. `None` for times before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        if text == NEVER {
            return Some(Self::MAX);
        }
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_millisecond()).ok().map(Self)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the point in time `span` later, or [`Timestamp::MAX`] where that cannot be represented.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Returns the point in time `span` earlier, or 1970 where that cannot be represented.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Returns the same time without its fraction of a second, in RFC 3339: `2026-11-21T06:51:00Z`.
    pub fn to_second(self) -> String {
        let whole = Self(self.0 / 1000 * 1000).to_string();
        whole.replace(".000", "")
    }

    /// Returns how long after `earlier` this is; zero where the clock has gone back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How a time is written that no calendar has.
const NEVER: &str = "never";

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC, to the millisecond: `2026-11-21T06:51:00.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")),
            Err(_) => f.write_str(NEVER),
        }
    }
}

/// Where the edges of the program read the time.
pub trait Clock: Send + Sync {
    /// Returns the civil time.
    fn now(&self) -> Timestamp;

    /// Returns the monotonic time that deadlines are made of.
    fn instant(&self) -> Instant;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the system clocks"
)]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::default().after(since_epoch)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when it is told to, for tests and simulation.
#[derive(Debug)]
pub struct ManualClock {
    origin: (Timestamp, Instant),
    elapsed: Mutex<Duration>,
}

impl ManualClock {
    /// Makes a clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            origin: (now, SystemClock.instant()),
            elapsed: Mutex::new(Duration::ZERO),
        }
    }

    /// Moves both clocks on by `span`.
    pub fn advance(&self, span: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += span;
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.origin.0.after(self.elapsed())
    }

    fn instant(&self) -> Instant {
        self.origin.1 + self.elapsed()
    }
}

/// A time that goes on evenly: civil when it was made, and from then on moved by the monotonic clock alone. A jump of
/// the civil clock neither frees nor blocks what is counted by it. It stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    origin: (Timestamp, Instant),
}

impl Steady {
    /// Starts at the civil time of `clock`.
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            origin: (clock.now(), clock.instant()),
        }
    }

    /// Returns the steady time at `instant`.
    pub fn at(&self, instant: Instant) -> Timestamp {
        let (civil, start) = self.origin;
        civil.after(instant.saturating_duration_since(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339() {
        let time = Timestamp::from_unix_millis(1_795_243_860_123);
        assert_eq!(time.to_string(), "2026-11-21T06:51:00.123Z");
        assert_eq!(time.to_second(), "2026-11-21T06:51:00Z");
    }

    #[test]
    fn what_is_printed_can_be_parsed() {
        for millis in [0, 1_795_243_860_123, u64::MAX] {
            let time = Timestamp::from_unix_millis(millis);
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse("soon"), None);
    }

    #[test]
    fn no_time_is_before_1970() {
        let time = Timestamp::from_unix_millis(9);
        assert_eq!(time.before(Duration::from_millis(4)).unix_millis(), 5);
        assert_eq!(time.before(Duration::MAX), Timestamp::default());
    }

    #[test]
    fn a_clock_that_went_back_gives_no_age() {
        let (early, late) = (
            Timestamp::from_unix_millis(5),
            Timestamp::from_unix_millis(9),
        );
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(4));
    }

    #[test]
    fn steady_time_follows_the_monotonic_clock_alone() {
        let clock = ManualClock::new(Timestamp::from_unix_millis(1000));
        let steady = Steady::of(&clock);
        let instant = clock.instant();
        let at = |after| steady.at(instant + Duration::from_millis(after));
        assert_eq!(at(0), Timestamp::from_unix_millis(1000));
        assert_eq!(at(250), Timestamp::from_unix_millis(1250));
    }

    #[test]
    fn a_manual_clock_moves_both_times_together() {
        let clock = ManualClock::new(Timestamp::from_unix_millis(1000));
        let before = clock.instant();
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_unix_millis(3000));
        assert_eq!(clock.instant() - before, Duration::from_secs(2));
    }
}
