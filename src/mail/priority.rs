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

    /// Makes a priority of an MT-PRIORITY value, −9 to 9 (RFC 6710): 6..9 → 1, 1..5 → 2, 0 → 3, −5..−1 → 4,
    /// −9..−6 → 5.
    pub const fn from_mt_priority(value: i8) -> Option<Self> {
        match value {
            6..=9 => Some(Self::VeryHigh),
            1..=5 => Some(Self::High),
            0 => Some(Self::Normal),
            -5..=-1 => Some(Self::Low),
            -9..=-6 => Some(Self::VeryLow),
            _ => None,
        }
    }

    /// Returns the MT-PRIORITY value that stands for this priority at an upstream: 6, 3, 0, −3, −6.
    pub const fn to_mt_priority(self) -> i8 {
        match self {
            Self::VeryHigh => 6,
            Self::High => 3,
            Self::Normal => 0,
            Self::Low => -3,
            Self::VeryLow => -6,
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
            assert_eq!(
                Priority::from_mt_priority(priority.to_mt_priority()),
                Some(priority)
            );
            assert_eq!(Priority::from_number(priority.number()), Some(priority));
        }
        assert_eq!(Priority::from_mt_priority(10), None);
        assert_eq!(Priority::from_mt_priority(-10), None);
        assert_eq!(Priority::from_number(0), None);
    }
}
