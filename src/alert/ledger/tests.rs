use proptest::prelude::*;

use super::*;
use crate::alert::settings::tests::{mailbox, settings};
use crate::identity::{AccountName, UpstreamName};

const T0: Timestamp = Timestamp::from_unix_millis(1_795_600_000_000);

const MINUTE: Duration = Duration::from_mins(1);

fn parked(upstream: &str, text: &str) -> Alert {
    Alert {
        upstream: Some(UpstreamName::parse(upstream).unwrap()),
        ..Alert::new(Kind::UpstreamParked, text)
    }
}

fn blocked(account: &str) -> Alert {
    Alert {
        account: Some(AccountName::parse(account).unwrap()),
        ..Alert::new(Kind::AccountBlocked, "too many wrong passwords")
    }
}

fn digest(every: Duration) -> Settings {
    Settings {
        delivery: Delivery::Digest { every },
        ..settings()
    }
}

/// Takes what there is to be told to the mailbox of the server.
fn told(ledger: &mut Ledger, settings: &Settings, now: Timestamp) -> Vec<Item> {
    ledger.round(settings, now);
    let errands = ledger.take_errands(usize::MAX, now);
    let mut items = Vec::new();
    for errand in errands {
        assert_eq!(ledger.tried(errand.id, Tried::Done, now), Fate::Ended);
        if errand.target == Target::Mail("ops@example.com".to_owned()) {
            items.extend(errand.items);
        }
    }
    items
}

#[test]
fn the_first_is_told_at_once_and_the_others_after_an_hour_with_their_number() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(parked("main", "login refused"), &settings, T0);
    let first = told(&mut ledger, &settings, T0);
    assert_eq!((first[0].count, &*first[0].text), (1, "login refused"));
    for minute in 1..43 {
        let now = T0.after(MINUTE * minute);
        ledger.note(parked("main", "still refused"), &settings, now);
        assert_eq!(told(&mut ledger, &settings, now), []);
    }
    let hour = T0.after(60 * MINUTE);
    assert_eq!(
        ledger.next_round(&settings, T0.after(50 * MINUTE)),
        Some(hour)
    );
    let next = told(&mut ledger, &settings, hour);
    assert_eq!((next[0].count, &*next[0].text), (42, "still refused"));
    assert_eq!(next[0].first, T0.after(MINUTE));
    assert_eq!(ledger.next_round(&settings, hour), None);
    // One entry is stored for all of it.
    let stored: Vec<_> = ledger.stored().collect();
    assert_eq!(
        (stored.len(), stored[0].count, stored[0].untold()),
        (1, 43, 0)
    );
}

#[test]
fn each_upstream_account_and_kind_counts_by_itself() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    for alert in [
        parked("main", "x"),
        parked("spare", "x"),
        blocked("shop"),
        blocked("other"),
        Alert::new(Kind::SystemError, "x"),
    ] {
        ledger.note(alert, &settings, T0);
    }
    assert_eq!(told(&mut ledger, &settings, T0).len(), 5);
}

#[test]
fn everybody_gets_one_errand_with_what_concerns_them() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(blocked("shop"), &settings, T0);
    ledger.note(parked("main", "x"), &settings, T0);
    let round = ledger.round(&settings, T0);
    assert_eq!(round.made, 6);
    let errands = ledger.take_errands(usize::MAX, T0);
    let items = |name: &str| {
        let target = Target::Mail(name.to_owned());
        let mut found = errands.iter().filter(|errand| errand.target == target);
        found.next().unwrap().items.len()
    };
    assert_eq!(
        (items("ops@example.com"), items("owner@example.com")),
        (2, 1)
    );
}

#[test]
fn a_digest_gathers_from_the_first_on_and_a_test_does_not_wait() {
    let (mut ledger, settings) = (Ledger::default(), digest(30 * MINUTE));
    ledger.note(parked("main", "x"), &settings, T0);
    ledger.note(blocked("shop"), &settings, T0.after(29 * MINUTE));
    assert_eq!(told(&mut ledger, &settings, T0.after(29 * MINUTE)), []);
    ledger.note(
        Alert::new(Kind::Test, "x"),
        &settings,
        T0.after(29 * MINUTE),
    );
    let test = told(&mut ledger, &settings, T0.after(29 * MINUTE));
    assert_eq!(
        test.iter().map(|item| item.kind).collect::<Vec<_>>(),
        [Kind::Test]
    );
    assert_eq!(told(&mut ledger, &settings, T0.after(30 * MINUTE)).len(), 2);
}

#[test]
fn nobody_is_told_later_what_was_nobodys_business_when_it_happened() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(parked("main", "x"), &Settings::default(), T0);
    assert_eq!(ledger.next_round(&settings, T0), None);
    assert_eq!(ledger.stored().count(), 1);
    assert_eq!(told(&mut ledger, &settings, T0), []);
}

#[test]
fn what_was_stored_and_not_told_is_told_by_the_next_process() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(parked("main", "x"), &settings, T0);
    let mut after = Ledger::restore(ledger.take_changes());
    assert_eq!(told(&mut after, &settings, T0.after(MINUTE)).len(), 1);
    // And what was told is not told again, by the change or by the whole.
    ledger.round(&settings, T0);
    let mut lines = ledger.whole();
    lines.extend(ledger.take_changes());
    let mut again = Ledger::restore(lines);
    assert_eq!(again.errands(), 3 - 1, "mail and webhook of the server");
    assert_eq!(told(&mut again, &settings, T0).len(), 1);
    again.note(parked("main", "x"), &settings, T0.after(MINUTE));
    assert_eq!(told(&mut again, &settings, T0.after(MINUTE)), []);
}

#[test]
fn an_errand_is_tried_eight_times_over_hours() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(Alert::new(Kind::SystemError, "x"), &settings, T0);
    ledger.round(&settings, T0);
    let mut now = T0;
    let id = ledger.take_errands(1, now)[0].id;
    for _ in 1..8 {
        let Fate::Again(next) = ledger.tried(id, Tried::Failed, now) else {
            panic!("it is tried again");
        };
        let again = ledger.take_errands(usize::MAX, next.before(Duration::from_millis(1)));
        assert!(again.iter().all(|errand| errand.id != id));
        let mut lines = ledger.whole();
        lines.extend(ledger.take_changes());
        ledger = Ledger::restore(lines);
        now = next;
        let again = ledger.take_errands(usize::MAX, now);
        assert!(again.iter().any(|errand| errand.id == id));
    }
    assert_eq!(ledger.tried(id, Tried::Failed, now), Fate::GivenUp);
    assert!(now.since(T0) > Duration::from_hours(6));
    assert_eq!(ledger.errands(), 1);
}

#[test]
fn a_clock_that_goes_back_silences_nobody() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    ledger.note(parked("main", "x"), &settings, T0);
    assert_eq!(told(&mut ledger, &settings, T0).len(), 1);
    let before = T0.before(Duration::from_hours(1000));
    ledger.note(parked("main", "y"), &settings, before);
    assert_eq!(told(&mut ledger, &settings, before).len(), 1);
}

#[test]
fn old_alerts_and_those_beyond_the_bound_are_forgotten() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    for number in 0..MAX_STORED + 10 {
        ledger.note(blocked(&format!("a{number}")), &settings, T0);
    }
    assert_eq!(ledger.stored().count(), MAX_STORED);
    assert_eq!(ledger.newest.len(), MAX_STORED);
    let later = T0.after(settings.keep).after(MINUTE);
    ledger.note(parked("main", "x"), &settings, later);
    assert_eq!(ledger.stored().count(), 1);
    assert_eq!((ledger.newest.len(), ledger.untold.len()), (1, 1));
}

/// What may happen in a flood: something about one of a few accounts or upstreams, and some time passing.
fn flood() -> impl Strategy<Value = Vec<(u8, u32)>> {
    prop::collection::vec((0_u8..12, 0_u32..600), 1..200)
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nobody_is_told_of_the_same_twice_in_an_hour(
        flood in flood(),
        is_digest: bool,
    ) {
        let settings = if is_digest { digest(20 * MINUTE) } else { settings() };
        let mut ledger = Ledger::default();
        let (mut now, mut counted) = (T0, 0);
        let mut last: HashMap<(Kind, Option<String>), Timestamp> = HashMap::new();
        let mut tell = |ledger: &mut Ledger, now: Timestamp| {
            for item in told(ledger, &settings, now) {
                counted += item.count;
                let key = (item.kind, item.account.or(item.upstream));
                if let Some(before) = last.insert(key, now) {
                    assert!(now.since(before) >= Duration::from_hours(1));
                }
            }
        };
        for (what, seconds) in &flood {
            now = now.after(Duration::from_secs((*seconds).into()));
            let alert = match what {
                0..6 => blocked(&format!("a{what}")),
                _ => parked(&format!("u{what}"), "x"),
            };
            ledger.note(alert, &settings, now);
            tell(&mut ledger, now);
            if what % 4 == 0 {
                // A crash, after what is known has been written.
                ledger = Ledger::restore(ledger.whole());
            }
        }
        while let Some(next) = ledger.next_round(&settings, now) {
            prop_assert!(next.since(now) <= Duration::from_hours(2));
            now = now.max(next);
            tell(&mut ledger, now);
        }
        prop_assert_eq!(counted, flood.len() as u64);
    }
}

#[test]
fn there_are_few_rounds_in_any_hour_however_many_things_happen() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    let mut rounds = Vec::new();
    for step in 0..900 {
        let now = T0.after(Duration::from_secs(step * 5));
        ledger.note(blocked(&format!("a{step}")), &settings, now);
        if ledger.round(&settings, now).made > 0 {
            rounds.push(now);
        }
        for errand in ledger.take_errands(usize::MAX, now) {
            ledger.tried(errand.id, Tried::Failed, now);
        }
        assert!(ledger.errands() <= MAX_ERRANDS);
    }
    for begin in &rounds {
        let within = rounds
            .iter()
            .filter(|at| *at >= begin && **at < begin.after(HOUR));
        assert!(within.count() <= 65);
    }
}

#[test]
fn a_clock_that_was_set_back_keeps_no_errand_waiting() {
    let (mut ledger, settings) = (Ledger::default(), settings());
    let ahead = T0.after(Duration::from_hours(24 * 365));
    ledger.note(parked("main", "login refused"), &settings, ahead);
    ledger.round(&settings, ahead);
    let errands = ledger.take_errands(usize::MAX, ahead);
    for errand in &errands {
        ledger.tried(errand.id, Tried::Failed, ahead);
    }
    // The next process has the right time, and what was stored.
    let mut ledger = Ledger::restore(ledger.whole());
    assert_eq!(ledger.next_errand(T0), Some(T0));
    let again = ledger.take_errands(usize::MAX, T0);
    assert_eq!(again.len(), errands.len());
    for errand in again {
        ledger.tried(errand.id, Tried::Failed, T0);
    }
    assert!(ledger.take_errands(usize::MAX, T0).is_empty(), "they pause");
    let pause = T0.after(Duration::from_secs(15));
    assert_eq!(ledger.next_errand(T0), Some(pause));
}

#[test]
fn of_too_many_errands_the_oldest_are_dropped_and_only_stored() {
    let (mut ledger, mut settings) = (Ledger::default(), settings());
    let all = 0..MAX_ERRANDS / 2 + 1;
    settings.server.mail = all
        .map(|n| mailbox(&format!("ops{n}@example.com")))
        .collect();
    let mut dropped = 0;
    for round in 0..4 {
        let now = T0.after(Duration::from_hours(2) * round);
        ledger.note(blocked(&format!("a{round}")), &settings, now);
        let made = ledger.round(&settings, now);
        assert!(made.made > MAX_ERRANDS / 2);
        dropped += made.dropped;
        assert!(ledger.errands() <= MAX_ERRANDS);
    }
    assert!(dropped > MAX_ERRANDS);
    assert_eq!(ledger.stored().count(), 4);
    let newest = ledger.take_errands(1, T0.after(Duration::from_hours(8)));
    assert_ne!(newest[0].items[0].account.as_deref(), Some("a0"));
    let again = Ledger::restore(ledger.whole());
    assert_eq!(again.errands(), ledger.errands());
}
