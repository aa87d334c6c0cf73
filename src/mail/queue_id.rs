//! The name of a message in the spool.

use std::fmt;

use crate::clock::Timestamp;

/// A message's name: 48 bits of time and 16 bits of count, printed as 13 characters of Crockford's base 32.
///
/// Ids of one spool increase in the order of their making, so sorting by id is sorting by age.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueueId(u64);

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The number of characters of a printed queue id.
const LENGTH: usize = 13;

impl QueueId {
    /// Makes an id of its number, as it is stored.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, as it is stored.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the first id of a time.
    pub const fn first_at(now: Timestamp) -> Self {
        Self(now.unix_millis() << 16)
    }

    /// Returns the id for a message that arrives `now`, given the one made before it.
    #[must_use]
    pub fn following(self, now: Timestamp) -> Self {
        Self(self.0.saturating_add(1).max(Self::first_at(now).0))
    }

    /// Parses the printed form, in either letter case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let mut number: u64 = 0;
        for octet in text.bytes() {
            let digit = DIGITS
                .iter()
                .position(|&digit| digit == octet.to_ascii_uppercase())?;
            number = number.checked_mul(32)?.checked_add(digit as u64)?;
        }
        Some(Self(number))
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; LENGTH];
        let mut number = self.0;
        for place in text.iter_mut().rev() {
            *place = usize::try_from(number % 32)
                .ok()
                .and_then(|digit| DIGITS.get(digit))
                .copied()
                .unwrap_or(b'0');
            number /= 32;
        }
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_increase_even_when_the_clock_goes_back() {
        let first = QueueId::first_at(Timestamp::from_unix_millis(2000));
        let second = first.following(Timestamp::from_unix_millis(1000));
        let third = second.following(Timestamp::from_unix_millis(3000));
        assert!(first < second && second < third);
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(number: u64) {
            let id = QueueId::from_number(number);
            prop_assert_eq!(QueueId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(QueueId::parse(&id.to_string().to_lowercase()), Some(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,14}") {
            let _ = QueueId::parse(&text);
        }
    }
}
