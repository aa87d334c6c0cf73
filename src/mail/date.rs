//! A point in time as header fields write it.

use std::fmt;

use crate::clock::Timestamp;

/// A date and time in UTC, to the second (RFC 5322 §3.3): `Sat, 21 Nov 2026 06:51:00 +0000`.
///
/// Times after the year 9999 print as the last second of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date(jiff::Timestamp);

impl Date {
    /// Makes a date of the seconds since the Unix epoch.
    pub fn from_unix_seconds(seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Self(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX))
    }
}

impl Date {
    /// Returns the date as people write it: `Saturday, 21 November 2026, 06:51 UTC`.
    pub fn in_words(&self) -> String {
        self.0.strftime("%A, %-d %B %Y, %H:%M UTC").to_string()
    }
}

impl From<Timestamp> for Date {
    fn from(time: Timestamp) -> Self {
        Self::from_unix_seconds(time.unix_seconds())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%a, %d %b %Y %H:%M:%S +0000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_prints_as_rfc_5322() {
        let date = Date::from(Timestamp::from_unix_millis(1_795_243_860_999));
        assert_eq!(date.to_string(), "Sat, 21 Nov 2026 06:51:00 +0000");
    }

    #[test]
    fn people_read_a_date_in_words() {
        let date = Date::from(Timestamp::default());
        assert_eq!(date.in_words(), "Thursday, 1 January 1970, 00:00 UTC");
    }

    #[test]
    fn a_day_of_one_digit_has_a_zero_before_it() {
        let date = Date::from(Timestamp::default());
        assert_eq!(date.to_string(), "Thu, 01 Jan 1970 00:00:00 +0000");
    }

    #[test]
    fn a_time_that_never_comes_prints_all_the_same() {
        assert!(Date::from(Timestamp::MAX).to_string().contains("9999"));
    }
}
