//! When a message may leave and by when it must have arrived: the values of HOLDFOR and HOLDUNTIL (RFC 4865) and of BY
//! (RFC 2852).

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::mail::{DeliverBy, DeliverByMode, DeliverByTrace, Hold};

/// The value of BY= (RFC 2852 §2): seconds from now on, which may be over already, a mode and a wish for reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct By {
    seconds: i32,
    mode: DeliverByMode,
    trace: DeliverByTrace,
}

impl Hold {
    /// Reads the value of HOLDFOR: one to nine digits, the first of them not zero.
    pub fn parse_for(text: &str) -> Option<Self> {
        let seconds = digits(text).filter(|_| !text.starts_with('0'))?;
        Some(Self::For(Duration::from_secs(u64::from(seconds))))
    }

    /// Reads the value of HOLDUNTIL: a date and time of RFC 3339 §5.6, such as `2026-11-21T06:51:00Z`.
    pub fn parse_until(text: &str) -> Option<Self> {
        let text = text.to_ascii_uppercase();
        is_date_time(&text)
            .then(|| Timestamp::parse(&text).map(Self::Until))
            .flatten()
    }
}

impl By {
    /// Reads `120;R` or `-5;NT`. With mode `R` the time must be at least one second (RFC 2852 §4).
    pub fn parse(text: &str) -> Option<Self> {
        let (time, rest) = text.split_once(';')?;
        let seconds = match time.strip_prefix('-') {
            Some(time) => -i32::try_from(digits(time)?).ok()?,
            None => i32::try_from(digits(time.strip_prefix('+').unwrap_or(time))?).ok()?,
        };
        let (mode, trace) = match rest.to_ascii_uppercase().as_str() {
            "N" => (DeliverByMode::Notify, DeliverByTrace::Off),
            "NT" => (DeliverByMode::Notify, DeliverByTrace::On),
            "R" => (DeliverByMode::Return, DeliverByTrace::Off),
            "RT" => (DeliverByMode::Return, DeliverByTrace::On),
            _ => return None,
        };
        let by = Self {
            seconds,
            mode,
            trace,
        };
        by.is_possible().then_some(by)
    }

    /// Returns what is left of a deadline `now`, in whole seconds, rounded down.
    pub fn left(deliver_by: &DeliverBy, now: Timestamp) -> Self {
        let (deadline, now) = (deliver_by.deadline.unix_millis(), now.unix_millis());
        let whole = |millis: u64| i32::try_from(millis / 1000).unwrap_or(LONGEST).min(LONGEST);
        let seconds = match deadline.checked_sub(now) {
            Some(left) => whole(left),
            None => -whole((now - deadline).saturating_add(999)),
        };
        Self {
            seconds,
            mode: deliver_by.mode,
            trace: deliver_by.trace,
        }
    }

    /// Returns the deadline of a message whose MAIL came `now`.
    pub fn deadline(self, now: Timestamp) -> DeliverBy {
        let span = Duration::from_secs(u64::from(self.seconds.unsigned_abs()));
        DeliverBy {
            deadline: if self.seconds < 0 {
                now.before(span)
            } else {
                now.after(span)
            },
            mode: self.mode,
            trace: self.trace,
        }
    }

    /// Returns whether a server may be asked for it: a message that is to be returned has a second left (RFC 2852 §4).
    pub const fn is_possible(self) -> bool {
        self.seconds > 0 || matches!(self.mode, DeliverByMode::Notify)
    }

    /// Returns whether it leaves a server less than `least`, which counts for mode `R` alone (RFC 2852 §2).
    pub fn is_below(self, least: Duration) -> bool {
        let seconds = u64::try_from(self.seconds).unwrap_or_default();
        self.mode == DeliverByMode::Return && Duration::from_secs(seconds) < least
    }
}

impl fmt::Display for By {
    /// Writes the value as it stands behind `BY=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            DeliverByMode::Notify => "N",
            DeliverByMode::Return => "R",
        };
        let trace = match self.trace {
            DeliverByTrace::Off => "",
            DeliverByTrace::On => "T",
        };
        write!(f, "{};{mode}{trace}", self.seconds)
    }
}

/// Reads one to nine digits.
fn digits(text: &str) -> Option<u32> {
    let is_number =
        (1..=9).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Returns whether a text has the form of a `date-time` (RFC 3339 §5.6). Whether there is such a day is not asked.
fn is_date_time(text: &str) -> bool {
    let is_like = |text: &str, form: &str| {
        text.len() == form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(octet, form)| match form {
                    b'0' => octet.is_ascii_digit(),
                    _ => octet == form,
                })
    };
    let Some((seconds, rest)) = text.split_at_checked(DATE_TIME.len()) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    is_like(seconds, DATE_TIME)
        && (offset == "Z" || is_like(offset, "+00:00") || is_like(offset, "-00:00"))
}

/// A date and time up to its seconds; a zero stands for any digit.
const DATE_TIME: &str = "0000-00-00T00:00:00";

/// The longest time that BY can say, in seconds: nine digits.
const LONGEST: i32 = 999_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_243_860_500);

    fn by(text: &str) -> By {
        By::parse(text).unwrap()
    }

    #[test]
    fn a_time_to_hold_has_one_to_nine_digits_and_is_not_zero() {
        let held = |text| Hold::parse_for(text).map(|hold| hold.release(NOW).since(NOW).as_secs());
        assert_eq!(held("1"), Some(1));
        assert_eq!(held("999999999"), Some(999_999_999));
        for text in ["", "0", "01", "-1", "+1", "1.5", "1s", "1000000000", "١"] {
            assert_eq!(held(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_to_release_is_a_date_time_of_rfc_3339() {
        let until = Some(Hold::Until(Timestamp::from_unix_millis(1_795_243_860_000)));
        for text in [
            "2026-11-21T06:51:00Z",
            "2026-11-21t06:51:00z",
            "2026-11-21T06:51:00.000Z",
            "2026-11-21T07:51:00+01:00",
            "2026-11-21T01:21:00-05:30",
        ] {
            assert_eq!(Hold::parse_until(text), until, "{text}");
        }
        for text in [
            "",
            "never",
            "NEVER",
            "1795243860",
            "2026-11-21",
            "2026-11-21T06:51Z",
            "2026-11-21T06:51:00",
            "2026-11-21T06:51:00.Z",
            "2026-11-21T06:51:00+0100",
            "2026-13-21T06:51:00Z",
            "2026-02-30T06:51:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-21T06:51:00Z[UTC]",
            "2026-11-21T06:51:0é",
        ] {
            assert_eq!(Hold::parse_until(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_release_that_has_passed_is_now() {
        let past = Hold::parse_until("2020-01-01T00:00:00Z").unwrap();
        assert_eq!(past.release(NOW), NOW);
    }

    #[test]
    fn a_deadline_is_a_time_a_mode_and_perhaps_a_trace() {
        for (text, printed) in [
            ("120;R", "120;R"),
            ("+120;rt", "120;RT"),
            ("0;N", "0;N"),
            ("-60;NT", "-60;NT"),
            ("-999999999;n", "-999999999;N"),
            ("000000001;R", "1;R"),
        ] {
            assert_eq!(by(text).to_string(), printed);
        }
        for text in [
            "",
            "120",
            "120;",
            ";R",
            "120;T",
            "120;TR",
            "120;RN",
            "120;R;T",
            "1.5;R",
            "+-1;N",
            "1000000000;N",
            " 1;N",
            "1 ;N",
            "١;N",
        ] {
            assert_eq!(By::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_notice_can_be_asked_for_when_the_time_is_over() {
        assert_eq!(By::parse("0;R"), None);
        assert_eq!(By::parse("-1;RT"), None);
        assert!(By::parse("0;N").is_some() && By::parse("-1;N").is_some());
    }

    #[test]
    fn what_is_left_of_a_deadline_is_rounded_down() {
        let left = |text: &str, millis| {
            let deadline = by(text).deadline(NOW);
            By::left(&deadline, NOW.after(Duration::from_millis(millis)))
        };
        assert_eq!(left("60;R", 0).to_string(), "60;R");
        assert_eq!(left("60;R", 1).to_string(), "59;R");
        assert_eq!(left("60;RT", 59_000).to_string(), "1;RT");
        assert!(!left("60;R", 59_001).is_possible());
        assert_eq!(left("60;N", 60_000).to_string(), "0;N");
        assert_eq!(left("60;N", 60_001).to_string(), "-1;N");
        assert_eq!(left("-5;NT", 0).to_string(), "-5;NT");
    }

    #[test]
    fn a_least_time_counts_for_mode_r_alone() {
        let least = Duration::from_mins(1);
        assert!(by("59;R").is_below(least) && !by("60;R").is_below(least));
        assert!(!by("1;N").is_below(least) && !by("-1;N").is_below(least));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(seconds in -999_999_999_i32..=999_999_999, is_traced: bool) {
            let deadline = by(&format!("{seconds};N{}", if is_traced { "T" } else { "" }));
            prop_assert_eq!(By::parse(&deadline.to_string()), Some(deadline));
            prop_assert_eq!(By::left(&deadline.deadline(NOW), NOW), deadline);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[-+0-9;RNTZ:.]{0,40}") {
            let _ = (By::parse(&text), Hold::parse_for(&text), Hold::parse_until(&text));
        }

        #[test]
        fn no_times_make_it_overflow(deadline: u64, now: u64) {
            let deliver_by = DeliverBy {
                deadline: Timestamp::from_unix_millis(deadline),
                mode: DeliverByMode::Notify,
                trace: DeliverByTrace::Off,
            };
            let left = By::left(&deliver_by, Timestamp::from_unix_millis(now));
            prop_assert_eq!(By::parse(&left.to_string()), Some(left));
        }
    }
}
