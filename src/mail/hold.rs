//! Until when a message is to be held (FUTURERELEASE, RFC 4865).

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// When a message is to be released (RFC 4865 §4), as its sender asked for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hold {
    /// HOLDFOR=: so long after MAIL; whole seconds, at least one.
    For(Duration),
    /// HOLDUNTIL=: at this time. It may have passed.
    Until(Timestamp),
}

impl Hold {
    /// Returns when a message is released whose MAIL came `now`: not before that.
    pub fn release(self, now: Timestamp) -> Timestamp {
        match self {
            Self::For(span) => now.after(span),
            Self::Until(time) => time.max(now),
        }
    }
}

impl fmt::Display for Hold {
    /// Writes the value of `Future-Release-Request:` (RFC 4865 §5.1.2), such as `for;3600`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => write!(f, "for;{}", span.as_secs()),
            Self::Until(time) => write!(f, "until;{}", time.to_second()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_reports_have_it() {
        let until = Timestamp::from_unix_millis(1_795_243_860_123);
        assert_eq!(Hold::For(Duration::from_hours(1)).to_string(), "for;3600");
        assert_eq!(Hold::Until(until).to_string(), "until;2026-11-21T06:51:00Z");
    }

    #[test]
    fn a_time_that_has_passed_is_now() {
        let now = Timestamp::from_unix_millis(1_795_243_860_000);
        let past = Timestamp::from_unix_millis(0);
        assert_eq!(Hold::Until(past).release(now), now);
    }
}
