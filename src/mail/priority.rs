//! The five priorities of a message.

use std::fmt;

/// How urgent a message is. The order is the order of relaying: `VeryHigh` comes first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// 1.
    VeryHigh,
    /// 2.
    High,
    /// 3.
    #[default]
    Normal,
    /// 4.
    Low,
    /// 5.
    VeryLow,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Self; 5] = [
        Self::VeryHigh,
        Self::High,
        Self::Normal,
        Self::Low,
        Self::VeryLow,
    ];

    /// Makes a priority of its number, 1 to 5.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::VeryHigh),
            2 => Some(Self::High),
            3 => Some(Self::Normal),
            4 => Some(Self::Low),
            5 => Some(Self::VeryLow),
            _ => None,
        }
    }

    /// Returns the number, 1 to 5.
    pub const fn number(self) -> u8 {
        match self {
            Self::VeryHigh => 1,
            Self::High => 2,
            Self::Normal => 3,
            Self::Low => 4,
            Self::VeryLow => 5,
        }
    }
}

/// One value for each priority.
#[derive(Clone, Debug, Default)]
pub struct ByPriority<T>([T; Priority::ALL.len()]);

impl<T> ByPriority<T> {
    /// Returns the value of a priority.
    pub const fn at(&self, priority: Priority) -> &T {
        let [first, second, third, fourth, fifth] = &self.0;
        match priority {
            Priority::VeryHigh => first,
            Priority::High => second,
            Priority::Normal => third,
            Priority::Low => fourth,
            Priority::VeryLow => fifth,
        }
    }

    /// Returns the value of a priority, to change it.
    pub const fn at_mut(&mut self, priority: Priority) -> &mut T {
        let [first, second, third, fourth, fifth] = &mut self.0;
        match priority {
            Priority::VeryHigh => first,
            Priority::High => second,
            Priority::Normal => third,
            Priority::Low => fourth,
            Priority::VeryLow => fifth,
        }
    }

    /// Returns all values, that of the most urgent first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// A value of MT-PRIORITY (RFC 6710 §5): −9 to 9, the largest the most urgent.
///
/// It is finer than [`Priority`], so it is kept as it came: the next server may have more steps than five.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct MtPriority(i8);

impl MtPriority {
    /// Makes a value; `None` where it is below −9 or above 9.
    pub const fn new(value: i8) -> Option<Self> {
        match value {
            -9..=9 => Some(Self(value)),
            _ => None,
        }
    }

    /// Reads a digit with or without a minus before it, as MAIL and the field `MT-Priority:` have it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = digits.len() == 1 && digits.bytes().all(|octet| octet.is_ascii_digit());
        is_number.then(|| text.parse().ok().and_then(Self::new))?
    }

    /// Returns the value, −9 to 9.
    pub const fn value(self) -> i8 {
        self.0
    }

    /// Returns itself where it stands for `priority`, else the value that does.
    #[must_use]
    pub fn within(self, priority: Priority) -> Self {
        if self.priority() == priority {
            self
        } else {
            Self::from(priority)
        }
    }

    /// Returns the priority that it stands for here: 6..9 → 1, 1..5 → 2, 0 → 3, −5..−1 → 4, −9..−6 → 5.
    pub const fn priority(self) -> Priority {
        match self.0 {
            6.. => Priority::VeryHigh,
            1..=5 => Priority::High,
            0 => Priority::Normal,
            -5..=-1 => Priority::Low,
            ..=-6 => Priority::VeryLow,
        }
    }
}

impl From<Priority> for MtPriority {
    /// Gives the value that stands for a priority at other servers: 6, 3, 0, −3, −6.
    fn from(priority: Priority) -> Self {
        Self(match priority {
            Priority::VeryHigh => 6,
            Priority::High => 3,
            Priority::Normal => 0,
            Priority::Low => -3,
            Priority::VeryLow => -6,
        })
    }
}

impl fmt::Display for MtPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_urgent_sorts_first() {
        assert!(Priority::VeryHigh < Priority::High && Priority::Low < Priority::VeryLow);
    }

    #[test]
    fn every_priority_survives_the_way_through_mt_priority() {
        for priority in Priority::ALL {
            assert_eq!(MtPriority::from(priority).priority(), priority);
            assert_eq!(Priority::from_number(priority.number()), Some(priority));
        }
        assert_eq!(Priority::from_number(0), None);
    }

    #[test]
    fn an_mt_priority_is_a_digit_with_or_without_a_minus() {
        for value in -9..=9 {
            let priority = MtPriority::new(value).unwrap();
            assert_eq!(MtPriority::parse(&priority.to_string()), Some(priority));
        }
        for text in ["", "-", "10", "-10", "+1", "--1", "01", "1 ", "x", "٣"] {
            assert_eq!(MtPriority::parse(text), None, "{text}");
        }
        assert_eq!((MtPriority::new(10), MtPriority::new(-10)), (None, None));
    }
}
