//! Upstreams that are parked: by an operator, or since a person must repair something. Their mail waits, and while all
//! upstreams of a route are parked the lifetime of its mail stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::{Route, UpstreamName};
use crate::schedule::{Parkings, Reason, Standstill};

use super::board::{Board, Now};
use super::dispatcher::Relay;

/// That an upstream is parked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Park {
    /// Since when.
    pub since: Timestamp,
    /// Why; an operator need not say so.
    pub reason: Reason,
}

/// What is known of the parkings of one upstream, to be kept over a restart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct History {
    /// When it was parked, by whomever.
    pub parkings: Parkings,
    /// That it is parked for a failure, if it is.
    pub failure: Option<Park>,
}

impl Relay {
    /// Takes over what was known when the process before ended. To be called before the first [`Relay::replace`]:
    /// upstreams that were parked for a failure are probed before they are used.
    pub fn restore(&self, histories: BTreeMap<UpstreamName, History>) {
        self.board().restore(histories);
    }

    /// Parks these upstreams for an operator, and no others. They are given nothing and are not probed; what runs there
    /// ends. Their mail takes the next upstream of its route, or waits with its lifetime standing still.
    pub fn park(&self, parks: BTreeMap<UpstreamName, Park>) {
        let now = self.now().civil;
        self.board().park(parks, now);
        self.parkings_changed.notify_one();
        self.changed.notify_one();
    }

    /// Lets the next attempt at an upstream be made at once, whatever pause it is in; returns whether it was in one.
    /// Where it is parked for a failure, that attempt decides.
    pub fn resume(&self, name: &UpstreamName) -> bool {
        let now = self.now();
        let was_paused = self.board().resume(name, now);
        self.changed.notify_one();
        was_paused
    }

    /// Waits until upstreams have been parked or are no longer. Cancel safe.
    pub async fn parkings_changed(&self) {
        self.parkings_changed.notified().await;
    }

    /// Returns what is to be kept over a restart.
    pub fn histories(&self) -> BTreeMap<UpstreamName, History> {
        let now = self.now().civil;
        self.board().histories(now)
    }
}

impl Relay {
    /// Takes in which routes messages have been moved from and to, before any of them is judged.
    pub(super) fn note_moves(&self) {
        let moves = self.spool.take_moves();
        if moves.is_empty() {
            return;
        }
        let now = self.now().civil;
        let mut board = self.board();
        for (from, to) in &moves {
            board.inherit((from, to), now);
        }
        drop(board);
        self.parkings_changed.notify_one();
    }
}

impl Board {
    fn restore(&mut self, histories: BTreeMap<UpstreamName, History>) {
        for (name, history) in histories {
            self.parkings.insert(name.clone(), history.parkings);
            if let Some(park) = history.failure {
                self.remembered.insert(name, park);
            }
        }
    }

    fn park(&mut self, parks: BTreeMap<UpstreamName, Park>, now: Timestamp) {
        self.parked = parks;
        self.note_parkings(now);
    }

    fn resume(&mut self, name: &UpstreamName, now: Now) -> bool {
        let Some(place) = self.places.get_mut(name) else {
            return false;
        };
        let was_paused = place.capacity.condition().trouble().is_some();
        place.capacity.hurry(now.instant);
        was_paused
    }

    /// Notes for all upstreams whether they are parked now.
    pub(super) fn note_parkings(&mut self, now: Timestamp) {
        let known = self.parkings.keys().chain(self.parked.keys());
        let known = known.chain(self.places.keys());
        let names: Vec<_> = known.cloned().collect();
        for name in names {
            self.note_parking(&name, now);
        }
    }

    /// Notes whether an upstream is parked now.
    pub(super) fn note_parking(&mut self, name: &UpstreamName, now: Timestamp) {
        if let Some(since) = self.parked_since(name) {
            let parkings = self.parkings.entry(name.clone()).or_default();
            parkings.begin(since.min(now));
        } else if let Some(parkings) = self.parkings.get_mut(name) {
            parkings.end(now);
        }
    }

    /// Returns since when an upstream is parked, by whomever, if it is.
    fn parked_since(&self, name: &UpstreamName) -> Option<Timestamp> {
        let place = self.places.get(name);
        let condition = place.map(|place| place.capacity.condition());
        let failure = condition
            .filter(|condition| condition.is_parked())
            .and_then(|condition| condition.trouble())
            .map(|trouble| trouble.since);
        let by_operator = self.parked.get(name).map(|park| park.since);
        let before = self.remembered.get(name).map(|park| park.since);
        failure.into_iter().chain(by_operator).chain(before).min()
    }

    /// Returns when the lifetime of messages on this route stood still: while all of its upstreams that exist were parked.
    pub(super) fn standstill(&self, route: &Route, now: Timestamp) -> Standstill {
        let names = route.upstreams().iter();
        let existing = names.filter(|name| self.places.contains_key(*name));
        Standstill::of(existing.map(|name| self.parkings.get(name)), now)
    }

    /// Lets mail that was moved to another route take along how long it stood still: for the upstreams there that time counts
    /// as parked too. Other mail there lives longer by as much, which harms nobody.
    pub(super) fn inherit(&mut self, (from, to): (&Route, &Route), now: Timestamp) {
        let names = from.upstreams().iter();
        let known = names
            .filter(|name| self.places.contains_key(*name) || self.parkings.contains_key(*name));
        let stood = Standstill::of(known.map(|name| self.parkings.get(name)), now);
        if stood.is_empty() {
            return;
        }
        for name in to.upstreams() {
            let parkings = self.parkings.entry(name.clone()).or_default();
            parkings.inherit(&stood);
        }
    }

    fn histories(&mut self, now: Timestamp) -> BTreeMap<UpstreamName, History> {
        let lifetime = self.longest_lifetime();
        for parkings in self.parkings.values_mut() {
            parkings.forget(lifetime, now);
        }
        let is_empty = |parkings: &Parkings| *parkings == Parkings::default();
        self.parkings.retain(|_, parkings| !is_empty(parkings));
        let history = |(name, parkings): (&UpstreamName, &Parkings)| {
            let history = History {
                parkings: parkings.clone(),
                failure: self.failure_of(name),
            };
            (name.clone(), history)
        };
        self.parkings.iter().map(history).collect()
    }

    fn failure_of(&self, name: &UpstreamName) -> Option<Park> {
        let Some(place) = self.places.get(name) else {
            return self.remembered.get(name).cloned();
        };
        let condition = place.capacity.condition();
        let trouble = condition.trouble().filter(|_| condition.is_parked())?;
        Some(Park {
            since: trouble.since,
            reason: trouble.reason.clone(),
        })
    }

    fn longest_lifetime(&self) -> Duration {
        let plans = self.places.values().map(|place| place.lane.plan);
        let lifetimes = plans.chain([self.plan]).map(|plan| plan.lifetime());
        lifetimes.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::mail::Health;
    use crate::relay::board::tests::{T0, at, attempt, board, due, name, route};

    const MINUTE: Duration = Duration::from_mins(1);

    fn park(since: Timestamp) -> Park {
        Park {
            since,
            reason: Reason::default(),
        }
    }

    #[test]
    fn a_parked_upstream_is_passed_over_and_not_probed() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"])), due(route(&["main"]))];
        board.park([(name("main"), park(T0))].into(), T0);
        let work = board.work(&backlog, at(now));
        assert_eq!(work.claims[0].0, name("spare"));
        assert_eq!(work.stranded, [route(&["main"])]);
        assert_eq!(work.wake.instant, None);
        assert!(board.allow(&name("main"), 1, at(now)).is_none());
        board.park(BTreeMap::new(), T0);
        assert_eq!(board.work(&backlog, at(now)).claims[0].0, name("main"));
    }

    #[test]
    fn mail_takes_the_next_while_the_first_needs_repair_and_comes_back() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        let first = |board: &mut Board, now| board.work(&backlog, at(now)).claims[0].0.clone();
        board.record(&name("main"), &attempt(Health::Unusable), now, at(now));
        assert_eq!(first(&mut board, now), name("spare"));
        assert_eq!(first(&mut board, now + MINUTE), name("main"));
        board.resume(&name("main"), at(now));
        assert_eq!(first(&mut board, now), name("main"));
        let mut probe = board.allow(&name("main"), 9, at(now)).unwrap();
        assert_eq!(probe.at_most, 1);
        let taken = board.begin(&name("main"), &mut probe, crate::mail::Priority::Normal);
        assert_eq!(first(&mut board, now), name("spare"));
        let noted = board.record(&name("main"), &attempt(Health::Good), now, at(now));
        assert!(noted.has_grown);
        board.end(&name("main"), taken.unwrap());
        assert_eq!(first(&mut board, now), name("main"));
    }

    #[test]
    fn time_stands_still_while_all_upstreams_that_exist_are_parked() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let later = T0.after(MINUTE);
        let stood =
            |board: &Board, names: &[&str]| board.standstill(&route(names), later).since(T0);
        board.record(&name("main"), &attempt(Health::Unusable), now, at(now));
        assert_eq!(stood(&board, &["main"]), MINUTE);
        assert_eq!(stood(&board, &["main", "gone"]), MINUTE);
        assert_eq!(stood(&board, &["main", "spare"]), Duration::ZERO);
        assert_eq!(stood(&board, &["gone"]), Duration::ZERO);
        board.park([(name("spare"), park(T0))].into(), T0);
        assert_eq!(stood(&board, &["main", "spare"]), MINUTE);
    }

    #[test]
    fn time_goes_on_while_an_upstream_is_drained_throttled_or_cannot_be_reached() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        board.record(&name("main"), &attempt(Health::Unreachable), now, at(now));
        board.record(
            &name("spare"),
            &attempt(Health::Throttled { pause: None }),
            now,
            at(now),
        );
        board.drain([name("main")].into());
        let later = T0.after(MINUTE);
        for names in [["main"], ["spare"]] {
            let stood = board.standstill(&route(&names), later);
            assert_eq!(stood.since(T0), Duration::ZERO);
        }
    }

    #[test]
    fn what_was_parked_when_the_process_ended_is_parked_at_the_next_start() {
        let (mut before, now) = (board(&["main"]), SystemClock.instant());
        before.record(&name("main"), &attempt(Health::Unusable), now, at(now));
        let histories = before.histories(T0);
        let mut board = Board::default();
        board.restore(histories.clone());
        // As an operator's list that is empty is put in force before the upstreams are.
        board.park(BTreeMap::new(), T0.after(MINUTE));
        board.replace(before.arrangement(), at(now));
        assert_eq!(board.histories(T0.after(MINUTE)), histories);
        let mut probe = board.allow(&name("main"), 9, at(now)).unwrap();
        assert_eq!(probe.at_most, 1);
        let _taken = board.begin(&name("main"), &mut probe, crate::mail::Priority::Normal);
        board.record(&name("main"), &attempt(Health::Good), now, at(now));
        // It lasted no time here.
        assert_eq!(board.histories(T0.after(MINUTE)), BTreeMap::new());
    }

    #[test]
    fn mail_that_is_moved_takes_along_how_long_it_stood_still() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let later = T0.after(MINUTE);
        board.record(&name("main"), &attempt(Health::Unusable), now, at(now));
        board.inherit((&route(&["main"]), &route(&["spare"])), later);
        board.inherit((&route(&["spare", "gone"]), &route(&["other"])), later);
        let stood = |board: &Board, to: &str, now| board.standstill(&route(&[to]), now).since(T0);
        assert_eq!(stood(&board, "spare", later), MINUTE);
        assert_eq!(stood(&board, "spare", later.after(MINUTE)), MINUTE);
        // Where the way there was open it did not stand still.
        board.inherit((&route(&["main", "new"]), &route(&["new"])), later);
        assert_eq!(stood(&board, "new", later), Duration::ZERO);
    }

    #[test]
    fn a_reload_neither_ends_nor_doubles_a_parking() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        board.record(&name("main"), &attempt(Health::Unusable), now, at(now));
        let arrangement = board.arrangement();
        board.replace(arrangement, at(now + MINUTE));
        let stood = board.standstill(&route(&["main"]), T0.after(MINUTE));
        assert_eq!(stood.since(T0), MINUTE);
        let histories = board.histories(T0.after(MINUTE));
        let history = &histories[&name("main")];
        assert_eq!(
            (history.parkings.ended().len(), history.parkings.open()),
            (0, Some(T0))
        );
    }
}
