//! When upstreams were parked. The lifetime of messages does not run while every upstream of their route was. Pure.
//!
//! All of this is in civil time, as the lifetime itself: where the clock is set while an upstream is parked, the parking
//! grows or shrinks by as much as the ages of the messages do.

use std::time::Duration;

use crate::clock::Timestamp;

/// A length of civil time, without its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment that no longer belongs to it.
    pub until: Timestamp,
}

/// When one upstream was parked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parkings {
    /// In their order; none touches another.
    ended: Vec<Span>,
    /// Since when it is parked, if it is.
    open: Option<Timestamp>,
}

/// When all the upstreams of a route were parked, up to now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standstill {
    /// In their order; none touches another, and none ends after `now`.
    spans: Vec<Span>,
    now: Timestamp,
}

/// The most parkings of one upstream that are remembered. Beyond these the two that are closest to each other become one,
/// which lengthens lifetimes by the time between them.
const MOST: usize = 1000;

impl Parkings {
    /// Puts together what was stored.
    pub fn restore(ended: impl IntoIterator<Item = Span>, open: Option<Timestamp>) -> Self {
        let mut parkings = Self {
            ended: Vec::new(),
            open,
        };
        for span in ended {
            parkings.insert(span);
        }
        parkings
    }

    /// Returns those that have ended, in their order.
    pub fn ended(&self) -> &[Span] {
        &self.ended
    }

    /// Returns since when the upstream is parked, if it is.
    pub const fn open(&self) -> Option<Timestamp> {
        self.open
    }

    /// Notes that the upstream is parked, from now on unless it was already.
    ///
    /// A parking that has begun later than now was begun before the clock was set back: what has come since then has not
    /// seen the upstream in use either, so it begins now.
    pub fn begin(&mut self, now: Timestamp) {
        self.open = Some(self.open.map_or(now, |open| open.min(now)));
    }

    /// Notes that the upstream is no longer parked.
    pub fn end(&mut self, now: Timestamp) {
        if let Some(from) = self.open.take() {
            self.insert(Span { from, until: now });
        }
    }

    /// Takes over when the upstreams of another route were all parked, whose mail takes this one from now on: it has as
    /// much of its lifetime left here as it had there.
    pub fn inherit(&mut self, other: &Standstill) {
        for span in &other.spans {
            self.insert(*span);
        }
    }

    /// Forgets parkings that concern no message any more: those since whose end the upstream has been in use for
    /// `lifetime`, the longest of any message.
    ///
    /// Where the clock was behind when one ended, it stays until that time has come.
    pub fn forget(&mut self, lifetime: Duration, now: Timestamp) {
        if let Some(before) = Standstill::of([Some(&*self)], now).began(lifetime) {
            self.ended.retain(|span| span.until > before);
        }
    }

    fn insert(&mut self, span: Span) {
        if span.from >= span.until {
            return;
        }
        self.ended.push(span);
        self.ended.sort_by_key(|span| span.from);
        self.ended.dedup_by(|later, earlier| {
            let touches = later.from <= earlier.until;
            if touches {
                earlier.until = earlier.until.max(later.until);
            }
            touches
        });
        while self.ended.len() > MOST {
            self.join_closest();
        }
    }

    /// Makes one of the two with the least time between them.
    fn join_closest(&mut self) {
        let gaps = self.ended.iter().zip(self.ended.iter().skip(1));
        let gaps = gaps.map(|(earlier, later)| later.from.since(earlier.until));
        let closest = gaps.enumerate().min_by_key(|(_, gap)| *gap);
        if let Some((place, _)) = closest {
            let later = self.ended.remove(place + 1);
            if let Some(earlier) = self.ended.get_mut(place) {
                earlier.until = later.until;
            }
        }
    }

    /// Returns all parkings as far as they lie before now.
    fn until(&self, now: Timestamp) -> Vec<Span> {
        let open = self.open.map(|from| Span { from, until: now });
        let all = self.ended.iter().copied();
        let past = all.map(|span| Span {
            until: span.until.min(now),
            ..span
        });
        let past = past.filter(|span| span.from < span.until);
        let mut spans: Vec<_> = past.collect();
        if let Some(open) = open.filter(|open| open.from < open.until) {
            // The clock may have been set back since one ended.
            while spans.last().is_some_and(|last| last.from >= open.from) {
                spans.pop();
            }
            match spans.last_mut() {
                Some(last) if last.until >= open.from => last.until = now,
                Some(_) | None => spans.push(open),
            }
        }
        spans
    }
}

impl Standstill {
    /// Returns when all of these upstreams were parked; never where one of them was never parked, which is `None`, or
    /// where there is none.
    pub fn of<'a>(
        upstreams: impl IntoIterator<Item = Option<&'a Parkings>>,
        now: Timestamp,
    ) -> Self {
        let spans = |parkings: Option<&Parkings>| {
            parkings.map_or_else(Vec::new, |parkings| parkings.until(now))
        };
        let all = upstreams.into_iter().map(spans);
        let spans = all.reduce(|one, other| common(&one, &other));
        Self {
            spans: spans.unwrap_or_default(),
            now,
        }
    }

    /// Returns whether it never was.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns how much of the time between `from` and now it was.
    pub fn since(&self, from: Timestamp) -> Duration {
        let parts = self.spans.iter();
        parts
            .map(|span| span.until.since(span.from.max(from)))
            .sum()
    }

    /// Returns the latest time from which until now `span` has passed without standstill; `None` where that lies before
    /// 1970.
    pub fn began(&self, span: Duration) -> Option<Timestamp> {
        let (mut left, mut end) = (span, self.now);
        for stood in self.spans.iter().rev() {
            let ran = end.since(stood.until);
            if ran >= left {
                break;
            }
            left -= ran;
            end = stood.from;
        }
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let began = end.unix_millis().checked_sub(left);
        began.map(Timestamp::from_unix_millis)
    }
}

/// Returns what two lists of spans have in common.
fn common(one: &[Span], other: &[Span]) -> Vec<Span> {
    let (mut ours, mut theirs) = (one.iter().peekable(), other.iter().peekable());
    let mut found = Vec::new();
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        let (from, until) = (our.from.max(their.from), our.until.min(their.until));
        if from < until {
            found.push(Span { from, until });
        }
        if our.until <= their.until {
            ours.next();
        } else {
            theirs.next();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_000_000 + millis)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn span(from: u64, until: u64) -> Span {
        Span {
            from: at(from),
            until: at(until),
        }
    }

    fn parked(spans: &[(u64, u64)], open: Option<u64>) -> Parkings {
        let spans = spans.iter().map(|(from, until)| span(*from, *until));
        Parkings::restore(spans, open.map(at))
    }

    #[test]
    fn time_stands_still_while_an_upstream_is_parked() {
        let mut parkings = Parkings::default();
        parkings.begin(at(100));
        parkings.begin(at(150));
        let stood = |parkings: &Parkings, now, from| {
            Standstill::of([Some(parkings)], at(now)).since(at(from))
        };
        assert_eq!(stood(&parkings, 300, 0), ms(200));
        assert_eq!(stood(&parkings, 300, 250), ms(50));
        parkings.end(at(400));
        assert_eq!(stood(&parkings, 900, 0), ms(300));
        assert_eq!(stood(&parkings, 900, 500), ms(0));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_hide_a_parking() {
        let mut parkings = Parkings::default();
        parkings.begin(at(900));
        // The clock has been set back, and later it is set forward again.
        parkings.begin(at(100));
        parkings.begin(at(900));
        let stood = |now, from| Standstill::of([Some(&parkings)], at(now)).since(at(from));
        assert_eq!(stood(120, 110), ms(10));
        assert_eq!(stood(1000, 110), ms(890));
    }

    #[test]
    fn one_upstream_that_is_in_use_keeps_time_going() {
        let (one, other) = (parked(&[(0, 100)], None), parked(&[(60, 200)], None));
        let both = Standstill::of([Some(&one), Some(&other)], at(500));
        assert_eq!(both.since(at(0)), ms(40));
        let never = Standstill::of([Some(&one), None], at(500));
        assert_eq!(never.since(at(0)), ms(0));
        assert_eq!(Standstill::of([], at(500)).since(at(0)), ms(0));
    }

    #[test]
    fn parkings_are_forgotten_when_no_message_can_have_lived_through_them() {
        let mut parkings = parked(&[(0, 100), (200, 1000)], None);
        // In use for 100 + 50 since the first one ended.
        parkings.forget(ms(151), at(1050));
        assert_eq!(parkings.ended().len(), 2);
        parkings.forget(ms(150), at(1050));
        assert_eq!(parkings.ended(), [span(200, 1000)]);
        parkings.forget(ms(51), at(1050));
        assert_eq!(parkings.ended(), [span(200, 1000)]);
        parkings.forget(ms(50), at(1050));
        assert_eq!(parkings.ended(), []);
    }

    #[test]
    fn what_stands_still_now_is_not_forgotten() {
        let mut parkings = parked(&[(0, 100)], Some(100));
        parkings.forget(ms(50), at(90_000));
        assert_eq!(parkings.open(), Some(at(100)));
        let now = Standstill::of([Some(&parkings)], at(90_000));
        assert_eq!(now.since(at(0)), ms(90_000));
    }

    #[test]
    fn a_clock_that_goes_back_while_an_upstream_is_parked_counts_nothing() {
        let mut parkings = parked(&[(0, 100)], Some(500));
        let stood = Standstill::of([Some(&parkings)], at(50));
        assert_eq!(stood.since(at(0)), ms(50));
        parkings.end(at(300));
        assert_eq!(parkings.ended(), [span(0, 100)]);
        parkings.begin(at(40));
        let stood = Standstill::of([Some(&parkings)], at(400));
        assert_eq!(stood.since(at(0)), ms(400));
    }

    #[test]
    fn there_are_never_too_many() {
        let spans = (0..3000).map(|number| span(number * 100, number * 100 + 1 + number % 50));
        let parkings = Parkings::restore(spans, None);
        assert_eq!(parkings.ended().len(), MOST);
        let stood = Standstill::of([Some(&parkings)], at(1_000_000)).since(at(0));
        assert!(stood >= ms(3000), "{stood:?}");
    }

    /// What happens to an upstream, and how long after the event before.
    fn any_history() -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0_u64..40, any::<bool>()), 0..20)
    }

    /// The parkings of a history, and for each millisecond whether it was parked.
    fn lived(history: &[(u64, bool)]) -> (Parkings, Vec<bool>) {
        let (mut parkings, mut naive) = (Parkings::default(), Vec::new());
        let mut is_parked = false;
        for (after, parks) in history {
            naive.extend((0..*after).map(|_| is_parked));
            is_parked = *parks;
            let now = at(naive.len() as u64);
            if is_parked {
                parkings.begin(now);
            } else {
                parkings.end(now);
            }
        }
        naive.resize(900, is_parked);
        (parkings, naive)
    }

    proptest! {
        #[test]
        fn ages_are_what_counting_each_millisecond_gives(
            histories in prop::collection::vec(any_history(), 1..4),
            accepted in 0_usize..900,
            lifetime in 1_u64..900,
        ) {
            let lives: Vec<_> = histories.iter().map(|history| lived(history)).collect();
            let now = at(900);
            let stood = Standstill::of(lives.iter().map(|(parkings, _)| Some(parkings)), now);
            let runs = |ms: usize| lives.iter().any(|(_, naive)| !naive[ms]);
            let age = |from: usize| (from..900).filter(|ms| runs(*ms)).count() as u64;
            let begins = at(accepted as u64);
            prop_assert_eq!(now.since(begins), stood.since(begins) + ms(age(accepted)));
            // Exactly those that began before this are over.
            let before = stood.began(ms(lifetime)).unwrap();
            for from in 0..900 {
                if at(from as u64) < before {
                    prop_assert!(age(from) >= lifetime, "{} of {}", age(from), lifetime);
                } else if at(from as u64) > before {
                    prop_assert!(age(from) < lifetime, "{} of {}", age(from), lifetime);
                }
            }
        }

        #[test]
        fn what_is_forgotten_changes_the_age_of_no_message_that_lives(
            histories in prop::collection::vec(any_history(), 1..3),
            lifetime in 1_u64..300,
        ) {
            let lives: Vec<_> = histories.iter().map(|history| lived(history).0).collect();
            let mut pruned = lives.clone();
            let now = at(900);
            for parkings in &mut pruned {
                parkings.forget(ms(lifetime), now);
            }
            let stood = Standstill::of(lives.iter().map(Some), now);
            let later = Standstill::of(pruned.iter().map(Some), now);
            for from in (0..900).map(at) {
                let age = now.since(from).saturating_sub(stood.since(from));
                let after = now.since(from).saturating_sub(later.since(from));
                prop_assert!(age == after || age >= ms(lifetime) && after >= ms(lifetime));
            }
        }

        #[test]
        fn what_is_stored_is_what_is_restored(history in any_history()) {
            let (parkings, _) = lived(&history);
            let again = Parkings::restore(parkings.ended().iter().copied(), parkings.open());
            prop_assert_eq!(again, parkings);
        }
    }
}
