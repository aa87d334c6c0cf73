//! What is looked at from time to time, since nobody raises an alert when it happens. Pure.

use crate::alert::{Alert, Kind};
use crate::mail::Priority;
use crate::spool::Pressure;

/// Remembers what has been told.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The most urgent priority that the full queue was said to refuse, until it refuses none.
    told: Option<Fullness>,
    damaged: u64,
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Fullness {
    /// Mail of low priority is refused.
    Low,
    /// All mail but the most urgent is refused.
    Normal,
    /// All mail is refused.
    All,
}

impl Watch {
    /// Tells of a queue that is over a limit: once for each degree, until it is over none.
    pub(super) fn queue(
        &mut self,
        refused: impl Fn(Priority) -> Option<Pressure>,
    ) -> Option<Alert> {
        let degrees = [
            (Priority::VeryHigh, Fullness::All),
            (Priority::Normal, Fullness::Normal),
            (Priority::VeryLow, Fullness::Low),
        ];
        let found = degrees
            .into_iter()
            .find_map(|(priority, fullness)| Some((refused(priority)?, fullness)));
        let Some((pressure, fullness)) = found else {
            self.told = None;
            return None;
        };
        if self.told.is_some_and(|told| told >= fullness) {
            return None;
        }
        self.told = Some(fullness);
        let refused = match fullness {
            Fullness::All => "All new mail is refused with 452",
            Fullness::Normal => "New mail of priority 3 to 5 is refused with 452",
            Fullness::Low => "New mail of low priority is refused with 452",
        };
        let (what, repair) = words(pressure);
        Some(Alert::new(
            Kind::QueueOverLimit,
            format!("{what}. {refused} until that is over. {repair}"),
        ))
    }

    /// Tells of damage, each time that more of it has been met.
    pub(super) fn damage(&mut self, damaged: u64) -> Option<Alert> {
        let more = damaged.checked_sub(self.damaged).filter(|more| *more > 0);
        self.damaged = damaged;
        let more = more?;
        Some(Alert::new(
            Kind::SystemError,
            format!(
                "{more} damaged records of the spool have been set aside in spool/damaged. Mail goes on; the log names the \
                 messages. Look after the disk."
            ),
        ))
    }

    /// Tells of alerts that were only counted.
    pub(super) fn lost(lost: u64) -> Option<Alert> {
        (lost > 0).then(|| {
            let text =
                format!("{lost} alerts came faster than they could be taken in; see the log.");
            Alert::new(Kind::SystemError, text)
        })
    }
}

/// Says what is full, and what to do.
fn words(pressure: Pressure) -> (&'static str, &'static str) {
    match pressure {
        Pressure::Disk => (
            "The disk of the spool is nearly full",
            "Make room there ([spool] min_free).",
        ),
        Pressure::Memory => (
            "The messages that wait take too much memory",
            "See with `posthouse queue stats` what waits, and why ([spool] max_memory).",
        ),
        Pressure::Messages => (
            "Too many messages wait",
            "See with `posthouse queue stats` what waits, and why ([spool] max_messages).",
        ),
        Pressure::Size => (
            "The messages that wait are too large together",
            "See with `posthouse queue stats` what waits, and why ([spool] max_size).",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that refuses priorities from this number on.
    fn refusing_from(number: u8) -> impl Fn(Priority) -> Option<Pressure> {
        move |priority| (priority.number() >= number).then_some(Pressure::Messages)
    }

    #[test]
    fn a_full_queue_is_told_once_for_each_degree_until_it_is_empty_enough() {
        let mut watch = Watch::default();
        assert_eq!(watch.queue(refusing_from(6)), None);
        let alert = watch.queue(refusing_from(5)).unwrap();
        assert_eq!(alert.kind, Kind::QueueOverLimit);
        assert!(alert.text.contains("low priority"), "{}", alert.text);
        assert_eq!(watch.queue(refusing_from(4)), None);
        let all = watch.queue(refusing_from(1)).unwrap();
        assert!(all.text.contains("All new mail"), "{}", all.text);
        assert_eq!(watch.queue(refusing_from(3)), None);
        assert_eq!(watch.queue(refusing_from(6)), None);
        assert!(watch.queue(refusing_from(3)).is_some());
    }

    #[test]
    fn damage_is_told_when_there_is_more_of_it() {
        let mut watch = Watch::default();
        assert_eq!(watch.damage(0), None);
        assert!(watch.damage(2).unwrap().text.starts_with("2 damaged"));
        assert_eq!(watch.damage(2), None);
        assert!(watch.damage(3).unwrap().text.starts_with("1 damaged"));
    }

    #[test]
    fn what_was_only_counted_is_told_as_a_number() {
        assert_eq!(Watch::lost(0), None);
        assert!(Watch::lost(7).unwrap().text.starts_with("7 alerts"));
    }
}
