//! Values with a unit, as they are written in configuration files.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::schedule::Bandwidth;

/// Separates message and hint inside the error of a value: serde carries only one text.
pub(super) const HINT: &str = "\nhint: ";

/// A length of time such as `"30s"`, `"5m"` or `"1h 30m"`: at least `MIN` milliseconds, at most ten years.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span<const MIN: u64 = 1>(Duration);

/// A number of octets such as `"512 B"`, `"64 KiB"` or `"25 MB"`: at least `MIN`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize<const MIN: u64 = 1>(u64);

/// What may be sent in a second, such as `"500 kbit/s"`, `"10 Mbit/s"` or `"1 MiB/s"`: at least one kbit/s.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BitRate(Bandwidth);

/// A count without a unit, from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Number<const MIN: u64, const MAX: u64>(u64);

/// Why a text is no length of time, number of octets or bandwidth.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// Not numbers with units.
    #[error("it is not a number followed by a unit")]
    Form,
    /// The number has no unit.
    #[error("it has no unit")]
    NoUnit,
    /// It is larger than can be.
    #[error("it is too large")]
    TooLarge,
    /// It is smaller than makes sense here.
    #[error("it is too small")]
    TooSmall,
    /// Nothing is known of the unit.
    #[error("it has an unknown unit")]
    Unit,
}

const SPAN_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// In octets: a kbit/s is 1000 bits in a second, as everywhere in networks.
const RATE_UNITS: &[(&str, u64)] = &[
    ("kbit/s", 125),
    ("Mbit/s", 125_000),
    ("Gbit/s", 125_000_000),
    ("B/s", 1),
    ("KiB/s", 1 << 10),
    ("MiB/s", 1 << 20),
    ("GiB/s", 1 << 30),
    ("kB/s", 1000),
    ("KB/s", 1000),
    ("MB/s", 1_000_000),
    ("GB/s", 1_000_000_000),
];

const SPAN_HINT: &str =
    "write a number and a unit in quotes, such as \"30s\", \"5m\", \"4h\" or \"5d\"";
const SIZE_HINT: &str =
    "write a number and a unit in quotes, such as \"64 KiB\", \"25 MiB\" or \"10 GiB\"";

const RATE_HINT: &str = "write a number and a unit in quotes, such as \"500 kbit/s\", \"10 Mbit/s\" or \"1 MiB/s\"; \
                         without the key there is no limit";

/// One kbit/s.
const MIN_RATE: u64 = 125;

/// Ten years.
const MAX_SPAN: u64 = 10 * 366 * 86_400_000;

impl<const MIN: u64> Span<MIN> {
    pub(super) const fn of(span: Duration) -> Self {
        Self(span)
    }

    /// Reads `"90s"`, `"1h 30m"`, `"1h30m"`.
    ///
    /// # Errors
    /// [`UnitError`] tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let millis = parse(text, SPAN_UNITS)?;
        if millis > MAX_SPAN {
            return Err(UnitError::TooLarge);
        }
        if millis < MIN {
            return Err(UnitError::TooSmall);
        }
        Ok(Self(Duration::from_millis(millis)))
    }

    /// Returns it as a [`Duration`].
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64> fmt::Display for Span<MIN> {
    /// Writes the largest unit that needs no fraction: `90s`, `5m`, `5d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (count, unit) = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ]
        .into_iter()
        .find(|(size, _)| millis > 0 && millis.is_multiple_of(*size))
        .map_or((millis, "ms"), |(size, unit)| (millis / size, unit));
        if millis == 0 {
            return f.write_str("0s");
        }
        write!(f, "{count}{unit}")
    }
}

impl<const MIN: u64> ByteSize<MIN> {
    pub(super) const fn of(octets: u64) -> Self {
        Self(octets)
    }

    /// Reads `"25 MiB"`.
    ///
    /// # Errors
    /// [`UnitError`] tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        match parse(text, SIZE_UNITS)? {
            octets if octets < MIN => Err(UnitError::TooSmall),
            octets if octets > i64::MAX.unsigned_abs() => Err(UnitError::TooLarge),
            octets => Ok(Self(octets)),
        }
    }

    /// Returns the number of octets.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64> fmt::Display for ByteSize<MIN> {
    /// Writes the largest binary unit that needs no fraction, `64 KiB`, `25 MiB`, or else millions: `3 MB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
            (1_000_000, "MB"),
        ]
        .into_iter()
        .find(|(size, _)| self.0 > 0 && self.0.is_multiple_of(*size))
        .map_or((self.0, "B"), |(size, unit)| (self.0 / size, unit));
        write!(f, "{count} {unit}")
    }
}

impl BitRate {
    /// Returns the next one in whole kbit/s.
    pub(super) fn at_least(bandwidth: Bandwidth) -> Self {
        let octets = bandwidth.octets().div_ceil(MIN_RATE).checked_mul(MIN_RATE);
        Self(octets.and_then(Bandwidth::new).unwrap_or(bandwidth))
    }

    /// Reads `"10 Mbit/s"`, `"1 MiB/s"`.
    ///
    /// # Errors
    /// [`UnitError`] tells what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, UnitError> {
        let octets = parse(text, RATE_UNITS)?;
        let is_enough = |_: &Bandwidth| octets >= MIN_RATE;
        let bandwidth = Bandwidth::new(octets).filter(is_enough);
        bandwidth.map(Self).ok_or(UnitError::TooSmall)
    }

    /// Returns it as a [`Bandwidth`].
    pub(super) const fn get(self) -> Bandwidth {
        self.0
    }
}

impl fmt::Display for BitRate {
    /// Writes the largest decimal unit of bits that needs no fraction, else octets: `10 Mbit/s`, `1048576 B/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.octets();
        let (count, unit) = [
            (125_000_000, "Gbit/s"),
            (125_000, "Mbit/s"),
            (125, "kbit/s"),
        ]
        .into_iter()
        .find(|(size, _)| octets.is_multiple_of(*size))
        .map_or((octets, "B/s"), |(size, unit)| (octets / size, unit));
        write!(f, "{count} {unit}")
    }
}

impl<const MIN: u64, const MAX: u64> Number<MIN, MAX> {
    pub(super) const fn of(number: u64) -> Self {
        Self(number)
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }

    /// Returns the number in the type that its bounds fit in.
    pub(super) fn to<T: TryFrom<u64> + Bounded>(self) -> T {
        T::try_from(self.0).unwrap_or(T::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Number<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Integers that know their largest value.
pub(super) trait Bounded {
    const MAX: Self;
}

macro_rules! bounded {
    ($($integer:ty),*) => { $(impl Bounded for $integer { const MAX: Self = <$integer>::MAX; })* };
}
bounded!(u8, u16, u32, usize);

/// Adds up numbers with units.
fn parse(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(UnitError::Form);
    }
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        if number.is_empty() {
            return Err(UnitError::Form);
        }
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic() && c != '/');
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        if unit.is_empty() {
            let is_end = after.is_empty();
            return Err(if is_end {
                UnitError::NoUnit
            } else {
                UnitError::Form
            });
        }
        let (_, size) = units
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(UnitError::Unit)?;
        let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
        sum = number
            .checked_mul(*size)
            .and_then(|part| sum.checked_add(part))
            .ok_or(UnitError::TooLarge)?;
        rest = after.trim_start();
    }
    Ok(sum)
}

/// Takes a string, and explains to who writes a bare number what is missing.
struct WithUnit<T> {
    name: &'static str,
    hint: &'static str,
    parse: fn(&str) -> Result<T, UnitError>,
    too_small: String,
}

fn smallest(value: impl fmt::Display) -> String {
    format!("the smallest value here is \"{value}\"")
}

impl<T> Visitor<'_> for WithUnit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as text", self.name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(|error| {
            let hint = match error {
                UnitError::TooSmall => self.too_small,
                UnitError::Form | UnitError::NoUnit | UnitError::TooLarge | UnitError::Unit => {
                    self.hint.to_owned()
                }
            };
            E::custom(format!(
                "`{text}` is not {}: {error}{HINT}{hint}",
                self.name
            ))
        })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        Err(E::custom(format!(
            "`{number}` has no unit{HINT}{}",
            self.hint
        )))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        Err(E::custom(format!(
            "`{number}` has no unit{HINT}{}",
            self.hint
        )))
    }
}

impl<'de, const MIN: u64> Deserialize<'de> for Span<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithUnit {
            name: "a length of time",
            hint: SPAN_HINT,
            parse: Self::parse,
            too_small: smallest(Self(Duration::from_millis(MIN))),
        })
    }
}

impl<'de, const MIN: u64> Deserialize<'de> for ByteSize<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithUnit {
            name: "a size",
            hint: SIZE_HINT,
            parse: Self::parse,
            too_small: smallest(Self(MIN)),
        })
    }
}

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WithUnit {
            name: "a bandwidth",
            hint: RATE_HINT,
            parse: Self::parse,
            too_small: format!(
                "{}; without the key there is no limit",
                smallest("1 kbit/s")
            ),
        })
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor::<MIN, MAX>)
    }
}

struct NumberVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for NumberVisitor<MIN, MAX> {
    type Value = Number<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        match u64::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Number(number)),
            _ => Err(E::custom(format!(
                "`{number}` is out of range{HINT}write a number from {MIN} to {MAX}"
            ))),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.trim().parse::<u64>().is_ok() {
            return Err(E::custom(format!(
                "`{text}` is text{HINT}write the number without quotes"
            )));
        }
        Err(E::invalid_type(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Result<Duration, UnitError> {
        Span::<1>::parse(text).map(Span::get)
    }

    fn rate(text: &str) -> Result<u64, UnitError> {
        BitRate::parse(text).map(|rate| rate.get().octets())
    }

    fn size(text: &str) -> Result<u64, UnitError> {
        ByteSize::<1>::parse(text).map(ByteSize::get)
    }

    #[test]
    fn a_span_has_units_and_may_have_several() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("30 s"), Ok(Duration::from_secs(30)));
        assert_eq!(span("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(span(" 1h 30min "), Ok(Duration::from_mins(90)));
        assert_eq!(span("5d"), Ok(Duration::from_hours(120)));
    }

    #[test]
    fn a_span_without_a_known_unit_is_refused() {
        assert_eq!(span("30"), Err(UnitError::NoUnit));
        assert_eq!(span("30 years"), Err(UnitError::Unit));
        assert_eq!(span("5M"), Err(UnitError::Unit));
        for wrong in ["", "m", "-5m", "1.5h", "5m,", "5 m s"] {
            assert_eq!(span(wrong), Err(UnitError::Form), "{wrong}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_makes_no_sense() {
        assert_eq!(span("0s"), Err(UnitError::TooSmall));
        assert_eq!(Span::<0>::parse("0s").map(Span::get), Ok(Duration::ZERO));
        assert_eq!(size("0 B"), Err(UnitError::TooSmall));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(span("99999999999999999999s"), Err(UnitError::TooLarge));
        assert_eq!(span("600w"), Err(UnitError::TooLarge));
        assert_eq!(size("99999999999 TiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(size("25 MiB"), Ok(25 << 20));
        assert_eq!(size("25MB"), Ok(25_000_000));
        assert_eq!(size("512 B"), Ok(512));
        assert_eq!(size("512"), Err(UnitError::NoUnit));
        assert_eq!(size("512 mb"), Err(UnitError::Unit));
    }

    #[test]
    fn a_bandwidth_is_in_bits_or_octets_for_a_second() {
        assert_eq!(rate("10 Mbit/s"), Ok(1_250_000));
        assert_eq!(rate("500kbit/s"), Ok(62_500));
        assert_eq!(rate("1 Mbit/s 500 kbit/s"), Ok(187_500));
        assert_eq!(rate("1 Gbit/s"), Ok(125_000_000));
        assert_eq!(rate("1 MiB/s"), Ok(1 << 20));
        assert_eq!(rate("2 MB/s"), Ok(2_000_000));
        for wrong in [
            "10 Mbps",
            "10 mbit/s",
            "10 MiB",
            "10 Mbit",
            "1 bit/s",
            "1 /s",
        ] {
            assert_eq!(rate(wrong), Err(UnitError::Unit), "{wrong}");
        }
        assert_eq!(rate("10"), Err(UnitError::NoUnit));
        assert_eq!(rate("1.5 Mbit/s"), Err(UnitError::Form));
        assert_eq!(rate("0 Mbit/s"), Err(UnitError::TooSmall));
        assert_eq!(rate("124 B/s"), Err(UnitError::TooSmall));
        assert_eq!(rate("999999999999 Gbit/s"), Err(UnitError::TooLarge));
    }

    #[test]
    fn what_is_printed_reads_as_the_same() {
        for text in [
            "64 kbit/s",
            "1500 kbit/s",
            "10 Mbit/s",
            "2 Gbit/s",
            "1048576 B/s",
        ] {
            assert_eq!(BitRate::parse(text).unwrap().to_string(), text);
        }
        for text in ["500ms", "90s", "5m", "4h", "5d"] {
            assert_eq!(Span::<1>::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::<0>::parse("0s").unwrap().to_string(), "0s");
        for text in ["999 B", "64 KiB", "25 MiB", "10 GiB"] {
            assert_eq!(ByteSize::<1>::parse(text).unwrap().to_string(), text);
        }
    }
}
