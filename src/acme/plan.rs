//! When something is tried. Pure.

use std::time::Duration;

use crate::clock::Timestamp;

/// The most orders of one certificate in [`ORDER_WINDOW`]. Authorities count failures too, and shut out who makes many:
/// Let's Encrypt after five an hour.
const MAX_ORDERS: usize = 3;

const ORDER_WINDOW: Duration = Duration::from_hours(1);

/// The longest that is waited because an authority says so.
const LONGEST_WAIT: Duration = Duration::from_hours(7 * 24);

/// How long is waited after so many failures in a row; the last counts for all that follow.
const PAUSES: [Duration; 6] = [
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(20),
    Duration::from_hours(1),
    Duration::from_hours(3),
    Duration::from_hours(6),
];

/// Since when and until when a certificate is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Validity {
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
}

/// Returns when a certificate is to be renewed: `before` its end, but not in the first half of its time, since some
/// authorities' are valid for days only.
pub(super) fn renewal(validity: Validity, before: Duration) -> Timestamp {
    let half = validity.ends.since(validity.begins) / 2;
    validity.ends.before(before.min(half))
}

/// Returns how long is waited after a failure, the `failures`th in a row. `asked` is what the authority asks for.
pub(super) fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let last = PAUSES.last().copied().unwrap_or_default();
    let own = PAUSES.get(index).copied().unwrap_or(last);
    own.max(asked.unwrap_or_default().min(LONGEST_WAIT))
}

/// Returns until when nothing is tried after a try at `tried`, if that counts still.
pub(super) fn paused_until(
    tried: Option<Timestamp>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    // What was tried ahead of now was tried before the clock was set back: its pause may end years from now.
    until.filter(|_| tried.is_none_or(|tried| tried <= now))
}

/// Returns when another order may be placed, after those of these times.
pub(super) fn order_allowed(orders: &[Timestamp], now: Timestamp) -> Timestamp {
    let mut recent: Vec<_> = recent(orders, now).collect();
    recent.sort_unstable();
    let first_that_counts = recent.len().checked_sub(MAX_ORDERS);
    let first = first_that_counts.and_then(|index| recent.get(index));
    first.map_or(now, |first| first.after(ORDER_WINDOW))
}

/// Returns the orders that still count.
pub(super) fn recent(orders: &[Timestamp], now: Timestamp) -> impl Iterator<Item = Timestamp> {
    // What lies ahead was written before the clock was set back.
    let counts = move |at: &Timestamp| *at <= now && at.after(ORDER_WINDOW) > now;
    orders.iter().copied().filter(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn valid_for(span: Duration) -> Validity {
        Validity {
            begins: NOW,
            ends: NOW.after(span),
        }
    }

    #[test]
    fn a_certificate_is_renewed_some_time_before_its_end() {
        assert_eq!(renewal(valid_for(90 * DAY), 30 * DAY), NOW.after(60 * DAY));
    }

    #[test]
    fn a_short_one_is_renewed_after_half_of_its_time() {
        assert_eq!(renewal(valid_for(6 * DAY), 30 * DAY), NOW.after(3 * DAY));
    }

    #[test]
    fn a_certificate_that_ends_before_it_begins_is_renewed_at_once() {
        let validity = Validity {
            begins: NOW,
            ends: NOW.before(DAY),
        };
        assert!(renewal(validity, DAY) <= NOW);
    }

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<_> = (1..=8).map(|failures| pause(failures, None)).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[0], Duration::from_mins(1));
        assert_eq!(pauses[7], Duration::from_hours(6));
    }

    #[test]
    fn an_authority_that_asks_for_patience_gets_it_within_reason() {
        assert_eq!(
            pause(1, Some(Duration::from_hours(8))),
            Duration::from_hours(8)
        );
        assert_eq!(
            pause(4, Some(Duration::from_secs(1))),
            Duration::from_hours(1)
        );
        assert_eq!(pause(1, Some(1000 * DAY)), 7 * DAY);
    }

    #[test]
    fn the_fourth_order_of_an_hour_waits() {
        let minutes = |minutes| NOW.before(Duration::from_mins(minutes));
        assert_eq!(order_allowed(&[minutes(50), minutes(2)], NOW), NOW);
        let orders = [minutes(50), minutes(1), minutes(2)];
        assert_eq!(
            order_allowed(&orders, NOW),
            NOW.after(Duration::from_mins(10))
        );
        let orders = [minutes(50), minutes(40), minutes(1), minutes(2)];
        assert_eq!(
            order_allowed(&orders, NOW),
            NOW.after(Duration::from_mins(20))
        );
        let old = [minutes(61), minutes(60), minutes(70)];
        assert_eq!(order_allowed(&old, NOW), NOW);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_block_for_ever() {
        let ahead = [NOW.after(DAY); 5];
        assert_eq!(order_allowed(&ahead, NOW), NOW);
        let year = NOW.after(365 * DAY);
        assert_eq!(paused_until(Some(year), Some(year.after(DAY)), NOW), None);
        let pause = Some(NOW.after(DAY));
        assert_eq!(paused_until(Some(NOW), pause, NOW), pause);
        assert_eq!(paused_until(None, pause, NOW), pause);
    }
}
