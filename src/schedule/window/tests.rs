//! Tests of windows: what they let through, and when.

use std::num::NonZeroU64;

use proptest::prelude::*;

use super::*;

const T0: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

fn window(rate: &str) -> Window {
    Window::new(Rate::parse(rate).unwrap())
}

fn at(seconds: u64) -> Timestamp {
    T0.after(Duration::from_secs(seconds))
}

fn filled(rate: &str, amount: u64) -> Window {
    let mut window = window(rate);
    window.take(amount, T0);
    window
}

#[test]
fn a_whole_count_comes_through_at_once() {
    let mut window = window("100/m");
    assert_eq!(window.room(100, T0), Room::Now);
    window.take(100, T0);
    assert_eq!(window.room(1, T0), Room::At(at(60)));
    assert_eq!(window.room(1, at(59)), Room::At(at(60)));
    assert_eq!(window.room(100, at(60)), Room::Now);
}

#[test]
fn more_than_the_count_never_comes_through() {
    assert_eq!(window("100/m").room(101, T0), Room::Never);
    assert_eq!(window("100/m").pace(101, T0), None);
}

#[test]
fn room_comes_when_enough_is_old() {
    let mut window = filled("10/m", 4);
    window.take(6, at(30));
    assert_eq!(window.room(4, at(40)), Room::At(at(60)));
    assert_eq!(window.room(5, at(40)), Room::At(at(90)));
}

#[test]
fn what_is_given_back_may_happen_again() {
    let mut window = filled("10/m", 4);
    let taken = window.take(6, at(30));
    window.give_back(6, taken);
    assert_eq!(window.room(6, at(30)), Room::Now);
    assert_eq!(window.room(7, at(30)), Room::At(at(60)));
}

#[test]
fn what_is_given_back_after_it_was_forgotten_changes_nothing() {
    let mut window = filled("10/m", 4);
    window.take(10, at(300));
    window.give_back(4, T0);
    assert_eq!(window.room(1, at(300)), Room::At(at(360)));
}

#[test]
fn a_clock_that_goes_back_a_little_frees_nothing_and_blocks_nothing_free() {
    let mut window = filled("10/m", 9);
    let earlier = Timestamp::from_unix_millis(T0.unix_millis() - 30_000);
    assert_eq!(window.room(1, earlier), Room::Now);
    window.take(1, earlier);
    assert_eq!(window.room(1, earlier), Room::At(at(60)));
}

#[test]
fn a_clock_that_goes_back_far_begins_anew() {
    let mut window = filled("10/m", 10);
    let earlier = Timestamp::from_unix_millis(T0.unix_millis() - 61_000);
    assert_eq!(window.used(earlier), 0);
    assert_eq!(window.room(10, earlier), Room::Now);
    window.take(10, earlier);
    assert_eq!(
        window.room(1, earlier),
        Room::At(earlier.after(Duration::from_mins(1)))
    );
}

#[test]
fn paced_things_come_evenly_behind_the_first_burst() {
    let mut window = window("10/m").with_plans(Duration::from_hours(1));
    let mut paced = Vec::new();
    for _ in 0..25 {
        let time = window.pace(1, T0).unwrap();
        window.take(1, time);
        paced.push(time.since(T0).as_secs());
    }
    assert_eq!(paced.get(..10), Some([0; 10].as_slice()));
    assert_eq!(paced.get(10..14), Some([60, 66, 72, 78].as_slice()));
    assert!(
        paced.last().is_some_and(|last| (144..160).contains(last)),
        "{paced:?}"
    );
}

#[test]
fn nothing_overtakes_what_is_planned() {
    let mut window = window("10/m").with_plans(Duration::from_hours(1));
    window.take(10, T0);
    window.take(1, at(60));
    assert_eq!(window.room(1, at(1)), Room::At(at(60)));
}

#[test]
fn a_snapshot_goes_over_into_another_rate() {
    let old = filled("10/m", 7);
    let mut new = window("8/2m");
    new.restore(old.snapshot(at(1)), at(1));
    assert_eq!(new.room(1, at(1)), Room::Now);
    assert_eq!(new.room(2, at(1)), Room::At(at(120)));
}

/// Events in order: how long after the one before, and how much.
fn events() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0_u64..3000, 1_u64..6), 1..200)
}

fn rates() -> impl Strategy<Value = Rate> {
    (5_u64..40, 1_u64..20_000).prop_map(|(count, span)| {
        Rate::new(NonZeroU64::new(count).unwrap(), Duration::from_millis(span))
    })
}

/// The largest sum in any span.
fn fullest(rate: Rate, happened: &[(Timestamp, u64)]) -> u64 {
    let sum_from = |first: usize| {
        let start = happened[first].0;
        let inside = happened[first..]
            .iter()
            .take_while(|(time, _)| time.since(start) < rate.span());
        inside.map(|(_, amount)| amount).sum()
    };
    (0..happened.len()).map(sum_from).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_span_ever_has_more_than_the_count(rate in rates(), events in events()) {
        let mut window = Window::new(rate);
        let mut happened = Vec::new();
        let mut now = T0;
        for (pause, amount) in events {
            now = now.after(Duration::from_millis(pause));
            match window.room(amount, now) {
                Room::Now => {
                    window.take(amount, now);
                    happened.push((now, amount));
                }
                Room::At(time) => {
                    // There is room when it says so, and not a part of the span earlier.
                    prop_assert!(time > now);
                    prop_assert!(time <= now.after(rate.span()));
                    prop_assert_eq!(window.room(amount, time), Room::Now);
                }
                Room::Never => prop_assert!(amount > rate.count().get()),
            }
            prop_assert!(window.snapshot(now).count() <= 62);
        }
        prop_assert!(fullest(rate, &happened) <= rate.count().get());
    }

    #[test]
    fn plans_keep_the_rate_too_and_come_in_order(rate in rates(), events in events()) {
        let mut window = Window::new(rate).with_plans(Duration::from_hours(24));
        let mut happened = Vec::new();
        let mut now = T0;
        for (pause, amount) in events {
            now = now.after(Duration::from_millis(pause / 8));
            let time = window.pace(amount, now).unwrap();
            prop_assert!(time >= now);
            prop_assert!(happened.last().is_none_or(|(last, _)| *last <= time));
            prop_assert_eq!(window.take(amount, time), time);
            happened.push((time, amount));
            prop_assert!(window.snapshot(now).count() <= 62);
        }
        prop_assert!(fullest(rate, &happened) <= rate.count().get());
    }

    #[test]
    fn plans_are_not_much_slower_than_the_rate(rate in rates(), count in 100_u64..400) {
        let mut window = Window::new(rate).with_plans(Duration::from_hours(24));
        let mut last = T0;
        for _ in 0..count {
            last = window.pace(1, T0).unwrap();
            window.take(1, last);
        }
        let fair = rate.time_of(count).as_secs_f64();
        let slack = 2.0 * rate.span().as_secs_f64() + 0.003 * f64::from(u32::try_from(count).unwrap());
        prop_assert!(last.since(T0).as_secs_f64() <= fair * 1.05 + slack);
    }

    #[test]
    fn a_restored_window_lets_through_no_more(rate in rates(), events in events()) {
        let mut window = Window::new(rate);
        let mut now = T0;
        for (pause, amount) in events {
            now = now.after(Duration::from_millis(pause));
            if window.room(amount, now) == Room::Now {
                window.take(amount, now);
            }
        }
        let mut restored = Window::new(rate);
        restored.restore(window.snapshot(now), now);
        prop_assert_eq!(restored.used(now), window.used(now));
        prop_assert_eq!(restored.room(1, now), window.room(1, now));
    }

    #[test]
    fn taking_and_giving_back_leaves_nothing(rate in rates(), events in events()) {
        let mut window = Window::new(rate);
        let mut now = T0;
        for (pause, amount) in events {
            now = now.after(Duration::from_millis(pause));
            let taken = window.take(amount, now);
            window.give_back(amount, taken);
            prop_assert_eq!(window.used(now), 0);
        }
    }
}
