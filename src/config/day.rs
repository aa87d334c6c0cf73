//! A day, as it is written in configuration files.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::units::HINT;
use crate::clock::Timestamp;

/// A day such as `"2027-05-01"`, which begins at midnight UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Day(Timestamp);

const EXAMPLE: &str = "for example: expires = \"2027-05-01\"";

impl Day {
    /// Parses `2027-05-01`; `None` for days that no calendar has, and those before 1970.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_form = text.len() == 10 && text.bytes().all(|c| c.is_ascii_digit() || c == b'-');
        let time = is_form.then(|| format!("{text}T00:00:00Z"))?;
        Timestamp::parse(&time).map(Self)
    }

    /// Returns its first moment.
    pub(super) const fn begins(self) -> Timestamp {
        self.0
    }
}

struct DayVisitor;

impl<'de> Visitor<'de> for DayVisitor {
    type Value = Day;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a day as text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Day, E> {
        let day = Day::parse(text);
        day.ok_or_else(|| E::custom(format!("`{text}` is not a day{HINT}{EXAMPLE}")))
    }

    /// TOML's own dates come this way.
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Day, A::Error> {
        let message = format!("a day is written as text, in quotes{HINT}{EXAMPLE}");
        Err(A::Error::custom(message))
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DayVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc() {
        let day = Day::parse("2027-05-01").unwrap();
        assert_eq!(day.begins().to_string(), "2027-05-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        let bad = [
            "",
            "2027-02-29",
            "2027-5-1",
            "01.05.2027",
            "2027-05-01T10:00:00Z",
            "1969-12-31",
        ];
        for text in bad {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
