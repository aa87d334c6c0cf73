//! How often something may happen.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// At most `count` in any `span`: 100 messages in any minute, 1 GiB in any day.
///
/// The span slides: it is not the minute of a clock on a wall, so that twice the count never comes within seconds at
/// the turn of a minute.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Rate {
    count: NonZeroU64,
    span: Duration,
}

/// Why a text is no rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RateError {
    /// The number in front of the slash is missing or none.
    #[error("there is no whole number in front of the `/`")]
    Count,
    /// There is no slash.
    #[error("it is not a number, a `/` and a length of time")]
    Form,
    /// A number is larger than can be.
    #[error("it is too large")]
    TooLarge,
    /// What stands behind the slash is no length of time.
    #[error("what stands behind the `/` is no length of time")]
    Unit,
    /// The number of things or the length of time is zero.
    #[error("it is zero")]
    Zero,
}

/// The longest span: a year. A longer one would need a memory that outlives most disks.
const MAX_SPAN: Duration = Duration::from_hours(366 * 24);

/// The units, each with its milliseconds; those that are printed stand first, the larger first.
const UNITS: [(&str, u64); 7] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
    ("min", 60_000),
];

impl Rate {
    /// Makes a rate. The span is rounded up to whole milliseconds and is from a millisecond to a year.
    pub fn new(count: NonZeroU64, span: Duration) -> Self {
        let millis = u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let span = Duration::from_millis(millis).clamp(Duration::from_millis(1), MAX_SPAN);
        Self { count, span }
    }

    /// Reads `"100/m"`, `"10/s"`, `"5000/h"`, `"20000/d"`, `"30/5m"`. Space around the slash does not count.
    ///
    /// # Errors
    /// [`RateError`] tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (count, span) = text.split_once('/').ok_or(RateError::Form)?;
        let count = count.trim();
        if count.is_empty() || !count.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(RateError::Count);
        }
        let count: u64 = count.parse().map_err(|_| RateError::TooLarge)?;
        Ok(Self {
            count: NonZeroU64::new(count).ok_or(RateError::Zero)?,
            span: Self::parse_span(span)?,
        })
    }

    /// Reads what stands behind the slash: `"m"`, `"5m"`.
    ///
    /// # Errors
    /// [`RateError::Unit`], [`RateError::Zero`] and [`RateError::TooLarge`].
    pub fn parse_span(text: &str) -> Result<Duration, RateError> {
        let text = text.trim();
        let letters = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = match text.strip_suffix(letters) {
            None | Some("") => 1,
            Some(digits) => digits.parse().map_err(|_| RateError::TooLarge)?,
        };
        let (_, millis) = UNITS
            .iter()
            .find(|(unit, _)| *unit == letters.trim_start())
            .ok_or(RateError::Unit)?;
        let span = millis.checked_mul(number).map(Duration::from_millis);
        match span {
            Some(Duration::ZERO) => Err(RateError::Zero),
            Some(span) if span <= MAX_SPAN => Ok(span),
            Some(_) | None => Err(RateError::TooLarge),
        }
    }

    /// Returns how much may happen in the span.
    pub const fn count(self) -> NonZeroU64 {
        self.count
    }

    /// Returns the span: whole milliseconds, at least one.
    pub const fn span(self) -> Duration {
        self.span
    }

    /// Returns the time that `amount` takes where it comes evenly.
    pub fn time_of(self, amount: u64) -> Duration {
        let nanos =
            self.span.as_nanos().saturating_mul(u128::from(amount)) / u128::from(self.count.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Returns the span as a person says it behind a number of things: `a minute`, `in 5 minutes`.
    pub fn span_in_words(self) -> String {
        let (number, unit) = self.span_in_units();
        let name = match unit {
            "w" => "week",
            "d" => "day",
            "h" => "hour",
            "m" => "minute",
            "s" => "second",
            _ => "millisecond",
        };
        match (number, name) {
            (1, "hour") => "an hour".to_owned(),
            (1, name) => format!("a {name}"),
            (number, name) => format!("in {number} {name}s"),
        }
    }

    /// Returns the span in the largest unit that needs no fraction.
    fn span_in_units(self) -> (u64, &'static str) {
        let millis = u64::try_from(self.span.as_millis()).unwrap_or(u64::MAX);
        UNITS
            .iter()
            .find(|(_, size)| millis.is_multiple_of(*size))
            .map_or((millis, "ms"), |(unit, size)| (millis / size, *unit))
    }
}

impl fmt::Display for Rate {
    /// Writes what [`Rate::parse`] reads, with the largest unit that needs no fraction: `100/m`, `30/5m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span_in_units() {
            (1, unit) => write!(f, "{}/{unit}", self.count),
            (number, unit) => write!(f, "{}/{number}{unit}", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn a_rate_is_a_number_a_slash_and_a_length_of_time() {
        let of = |count, span| Rate::new(NonZeroU64::new(count).unwrap(), span);
        assert_eq!(rate("100/m"), of(100, Duration::from_mins(1)));
        assert_eq!(rate("10/s"), of(10, Duration::from_secs(1)));
        assert_eq!(rate(" 5000 / h "), of(5000, Duration::from_hours(1)));
        assert_eq!(rate("20000/d"), of(20_000, Duration::from_hours(24)));
        assert_eq!(rate("30/5m"), of(30, Duration::from_mins(5)));
        assert_eq!(rate("30/5 min"), of(30, Duration::from_mins(5)));
    }

    #[test]
    fn what_is_no_rate_says_why() {
        let error = |text: &str| Rate::parse(text).unwrap_err();
        for text in ["", "100", "100 per minute"] {
            assert_eq!(error(text), RateError::Form, "{text}");
        }
        for text in ["/m", "many/m", "-1/m", "1.5/s", "+1/s"] {
            assert_eq!(error(text), RateError::Count, "{text}");
        }
        for text in ["100/", "100/minute", "100/5", "1/m/m", "1/-5m"] {
            assert_eq!(error(text), RateError::Unit, "{text}");
        }
        assert_eq!(error("0/m"), RateError::Zero);
        assert_eq!(error("1/0m"), RateError::Zero);
        for text in [
            "1/367d",
            "1/99999999999999999999d",
            "99999999999999999999/d",
        ] {
            assert_eq!(error(text), RateError::TooLarge, "{text}");
        }
    }

    #[test]
    fn a_rate_is_told_in_words() {
        assert_eq!(rate("1/m").span_in_words(), "a minute");
        assert_eq!(rate("1/60m").span_in_words(), "an hour");
        assert_eq!(rate("1/5m").span_in_words(), "in 5 minutes");
        assert_eq!(rate("1/36h").span_in_words(), "in 36 hours");
        assert_eq!(rate("1/1500ms").span_in_words(), "in 1500 milliseconds");
    }

    #[test]
    fn an_amount_takes_its_share_of_the_span() {
        assert_eq!(rate("100/m").time_of(1), Duration::from_millis(600));
        assert_eq!(rate("100/m").time_of(150), Duration::from_secs(90));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_as_the_same(
            count in 1_u64..,
            millis in 1..=u64::try_from(MAX_SPAN.as_millis()).unwrap(),
        ) {
            let rate = Rate::new(NonZeroU64::new(count).unwrap(), Duration::from_millis(millis));
            prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9/ a-zµ-]{0,12}") {
            let _any = Rate::parse(&text);
        }
    }
}
