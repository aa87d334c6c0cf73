//! What is answered.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, RETRY_AFTER};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::clock::Timestamp;

/// An answer, whatever its status. `Debug` shows the status and the size: the content may hold secrets.
#[derive(Clone)]
pub struct Answer {
    /// The status, such as 200.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The content. Overwritten when its last clone is dropped.
    pub body: Bytes,
}

impl Answer {
    /// Returns whether the status is 2xx.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Returns how long the server asks to wait (`Retry-After`, RFC 9110 §10.2.3): seconds, or until a date. `None`
    /// where it does not, or not in words that are understood.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = PARSER.parse_timestamp(text).ok()?;
        let millis = u64::try_from(date.as_millisecond()).ok()?;
        Some(Timestamp::from_unix_millis(millis).since(now))
    }

    /// Returns a header field as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An HTTP date has the form of RFC 2822, in GMT.
const PARSER: DateTimeParser = DateTimeParser::new();

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} octets", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(retry_after: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        Answer {
            status: 429,
            headers,
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = Timestamp::parse("1994-11-06T08:49:00Z").unwrap();
        let pause = |text| answer(text).retry_after(now);
        assert_eq!(pause("120"), Some(Duration::from_mins(2)));
        assert_eq!(
            pause("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(37))
        );
        assert_eq!(
            pause("Sun, 06 Nov 1994 08:48:00 GMT"),
            Some(Duration::ZERO),
            "a date that is over"
        );
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(pause(nonsense), None, "{nonsense}");
        }
    }
}
