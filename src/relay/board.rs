//! The upstreams as the dispatcher sees them: who is free, who is well, which routes lead there now.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Timestamp;
use crate::identity::{Route, UpstreamName};
use crate::mail::Health;
use crate::schedule::{Availability, Change, Condition, RetryPlan};
use crate::spool::Backlog;
use crate::upstream::Upstream;

/// An upstream with its retry plan.
#[derive(Clone)]
pub struct Lane {
    /// The upstream.
    pub upstream: Arc<dyn Upstream>,
    /// What follows a deferral there.
    pub plan: RetryPlan,
}

/// How an upstream fares, for operators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamStanding {
    /// Its name.
    pub name: UpstreamName,
    /// `good`, `throttled`, `unreachable`, `parked` or `drained`.
    pub condition: &'static str,
    /// Attempts that run now.
    pub attempts: usize,
    /// Attempts that may run at once.
    pub connections: usize,
}

/// All lanes and how they fare.
#[derive(Default)]
pub(super) struct Board {
    places: HashMap<UpstreamName, Place>,
    /// Upstreams that get no new attempts, since somebody works on them.
    drained: BTreeSet<UpstreamName>,
    /// For messages whose upstreams are all gone.
    plan: RetryPlan,
}

struct Place {
    lane: Lane,
    condition: Condition,
    /// Connections in use now.
    busy: usize,
    /// Whether one of them finds out if the upstream works again.
    is_probed: bool,
}

/// What a connection was taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// To see whether the upstream works again.
    Probe,
    /// To relay.
    Work,
}

/// What the dispatcher may do next.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Work {
    /// Upstreams with free connections, and the routes with due messages that lead there now.
    pub(super) claims: Vec<(UpstreamName, Vec<Route>, usize)>,
    /// Routes with due messages and no upstream that may be tried now.
    pub(super) stranded: Vec<Route>,
    /// Whether one of these leads to no upstream that exists.
    pub(super) has_orphans: bool,
    /// When to look again although nothing has happened.
    pub(super) wake: Option<Wake>,
}

/// A time to look again, by the clock that it was told in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wake {
    /// A message becomes due.
    pub(super) due: Option<Timestamp>,
    /// An upstream may be tried again.
    pub(super) instant: Option<Instant>,
}

impl Board {
    /// Takes over a new set of lanes. What runs is still counted; what was known of their condition is forgotten.
    pub(super) fn replace(&mut self, lanes: Vec<Lane>, plan: RetryPlan, now: Instant) {
        self.plan = plan;
        let mut places = HashMap::new();
        for lane in lanes {
            let name = lane.upstream.name().clone();
            let busy = self.places.get(&name).map_or(0, |place| place.busy);
            places.insert(
                name,
                Place {
                    lane,
                    condition: Condition::fresh(now),
                    busy,
                    is_probed: false,
                },
            );
        }
        self.places = places;
    }

    pub(super) fn set_drained(&mut self, drained: BTreeSet<UpstreamName>) {
        self.drained = drained;
    }

    pub(super) fn lanes(&self) -> Vec<Lane> {
        self.places
            .values()
            .map(|place| place.lane.clone())
            .collect()
    }

    /// Returns how each upstream fares, sorted by name.
    pub(super) fn standings(&self) -> Vec<UpstreamStanding> {
        let mut standings: Vec<_> = self
            .places
            .iter()
            .map(|(name, place)| UpstreamStanding {
                name: name.clone(),
                condition: if self.drained.contains(name) {
                    "drained"
                } else {
                    place.condition.word()
                },
                attempts: place.busy,
                connections: place.lane.upstream.connections(),
            })
            .collect();
        standings.sort_by(|one, other| one.name.cmp(&other.name));
        standings
    }

    pub(super) fn lane(&self, name: &UpstreamName) -> Option<Lane> {
        self.places.get(name).map(|place| place.lane.clone())
    }

    /// Returns the plan of the first upstream of a route that exists.
    pub(super) fn plan(&self, route: &Route) -> RetryPlan {
        let mut places = route
            .upstreams()
            .iter()
            .filter_map(|name| self.places.get(name));
        places.next().map_or(self.plan, |place| place.lane.plan)
    }

    /// Finds what there is to do.
    pub(super) fn work(&self, backlog: &[Backlog], now: Timestamp, instant: Instant) -> Work {
        let (mut work, mut wake) = (Work::default(), Wake::default());
        let mut routes: HashMap<&UpstreamName, Vec<Route>> = HashMap::new();
        for waiting in backlog {
            if waiting.next_due > now {
                wake.due = Some(
                    wake.due
                        .map_or(waiting.next_due, |due| due.min(waiting.next_due)),
                );
                continue;
            }
            match self.choose(&waiting.route, instant) {
                Choice::Now(name) => routes.entry(name).or_default().push(waiting.route.clone()),
                Choice::Later(until) => {
                    wake.instant = wake.instant.into_iter().chain(until).min();
                    work.has_orphans |= !self.has_any(&waiting.route);
                    work.stranded.push(waiting.route.clone());
                }
            }
        }
        for (name, routes) in routes {
            let free = self.free(name, instant);
            if free > 0 {
                work.claims.push((name.clone(), routes, free));
            }
        }
        work.wake = (wake != Wake::default()).then_some(wake);
        work
    }

    /// Returns the routes of the backlog that lead to this upstream now.
    pub(super) fn routes_to(
        &self,
        upstream: &UpstreamName,
        backlog: &[Backlog],
        now: Timestamp,
        instant: Instant,
    ) -> Vec<Route> {
        let due = backlog.iter().filter(|waiting| waiting.next_due <= now);
        let here = due.filter(|waiting| {
            matches!(self.choose(&waiting.route, instant), Choice::Now(name) if name == upstream)
        });
        here.map(|waiting| waiting.route.clone()).collect()
    }

    fn has_any(&self, route: &Route) -> bool {
        route
            .upstreams()
            .iter()
            .any(|name| self.places.contains_key(name))
    }

    /// Takes the first upstream of the route that may be tried now: lists are failover order.
    fn choose<'a>(&self, route: &'a Route, instant: Instant) -> Choice<'a> {
        let mut later: Option<Instant> = None;
        for name in route.upstreams() {
            let Some(place) = self.places.get(name) else {
                continue;
            };
            if self.drained.contains(name) {
                continue;
            }
            match place.condition.availability(instant) {
                Availability::Closed { until } => later = later.into_iter().chain([until]).min(),
                // While one message finds out whether it works again, the others take the next upstream or wait.
                Availability::Probe if place.is_probed => {}
                Availability::Open | Availability::Probe => return Choice::Now(name),
            }
        }
        Choice::Later(later)
    }

    fn free(&self, name: &UpstreamName, instant: Instant) -> usize {
        let Some(place) = self.places.get(name) else {
            return 0;
        };
        let unused = place.lane.upstream.connections().saturating_sub(place.busy);
        match place.condition.availability(instant) {
            Availability::Closed { .. } => 0,
            Availability::Open => unused,
            Availability::Probe => unused.min(usize::from(!place.is_probed)),
        }
    }

    /// Returns whether more connections are in use than there may be: a reload has made them fewer.
    pub(super) fn has_too_many(&self, name: &UpstreamName) -> bool {
        let place = self.places.get(name);
        place.is_none_or(|place| place.busy > place.lane.upstream.connections())
    }

    /// Notes that a connection is taken; returns whether it probes. The caller has seen that one is free.
    pub(super) fn begin(&mut self, name: &UpstreamName, instant: Instant) -> Use {
        let Some(place) = self.places.get_mut(name) else {
            return Use::Work;
        };
        place.busy += 1;
        match place.condition.availability(instant) {
            Availability::Probe => {
                place.is_probed = true;
                Use::Probe
            }
            Availability::Closed { .. } | Availability::Open => Use::Work,
        }
    }

    /// Notes that a connection is free again.
    pub(super) fn end(&mut self, name: &UpstreamName, used: Use) {
        if let Some(place) = self.places.get_mut(name) {
            place.busy = place.busy.saturating_sub(1);
            place.is_probed &= used == Use::Work;
        }
    }

    /// Takes in what an attempt that began at `began` said of its upstream.
    pub(super) fn record(
        &mut self,
        name: &UpstreamName,
        health: &Health,
        began: Instant,
        now: Instant,
    ) -> Change {
        let Some(place) = self.places.get_mut(name) else {
            return Change::None;
        };
        let change = place.condition.record(health, began, now);
        if change != Change::None {
            place.is_probed = false;
        }
        change
    }
}

enum Choice<'a> {
    Now(&'a UpstreamName),
    Later(Option<Instant>),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::mail::Attempt;
    use crate::upstream::Order;

    struct Still(UpstreamName);

    #[async_trait]
    impl Upstream for Still {
        fn name(&self) -> &UpstreamName {
            &self.0
        }

        fn connections(&self) -> usize {
            2
        }

        async fn attempt(&self, _: Order<'_>) -> Attempt {
            unreachable!("these tests attempt nothing")
        }

        async fn tidy(&self, _: Instant) {}
    }

    const T0: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn name(text: &str) -> UpstreamName {
        UpstreamName::parse(text).unwrap()
    }

    fn route(names: &[&str]) -> Route {
        Route::new(names.iter().map(|text| name(text)).collect()).unwrap()
    }

    fn board(names: &[&str]) -> Board {
        let mut board = Board::default();
        let lane = |text: &&str| Lane {
            upstream: Arc::new(Still(name(text))),
            plan: RetryPlan::default(),
        };
        board.replace(
            names.iter().map(lane).collect(),
            RetryPlan::default(),
            SystemClock.instant(),
        );
        board
    }

    fn due(route: Route) -> Backlog {
        Backlog {
            route,
            next_due: T0,
            highest: None,
        }
    }

    #[test]
    fn a_failed_upstream_hands_its_route_to_the_next() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        assert_eq!(board.work(&backlog, T0, now).claims[0].0, name("main"));
        board.record(&name("main"), &Health::Unreachable, now, now);
        assert_eq!(board.work(&backlog, T0, now).claims[0].0, name("spare"));
        let later = now + Duration::from_secs(6);
        assert_eq!(
            board.work(&backlog, T0, later).claims[0],
            (name("main"), vec![route(&["main", "spare"])], 1)
        );
    }

    #[test]
    fn while_an_upstream_is_probed_the_others_take_the_next() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        board.record(&name("main"), &Health::Unreachable, now, now);
        let later = now + Duration::from_secs(6);
        board.begin(&name("main"), later);
        assert_eq!(board.work(&backlog, T0, later).claims[0].0, name("spare"));
    }

    #[test]
    fn an_attempt_that_began_before_a_pause_does_not_keep_the_upstream_from_being_probed() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        let backlog = [due(route(&["main"]))];
        board.begin(&name("main"), now);
        board.record(&name("main"), &Health::Unreachable, now, now);
        let later = now + Duration::from_secs(6);
        assert_eq!(board.work(&backlog, T0, later).claims[0].2, 1);
        // Nor does its own failure, that comes late, begin a second pause.
        board.record(
            &name("main"),
            &Health::Unreachable,
            now.checked_sub(Duration::from_secs(9)).unwrap(),
            later,
        );
        assert_eq!(board.work(&backlog, T0, later).claims[0].2, 1);
    }

    #[test]
    fn a_drained_upstream_hands_its_mail_to_the_next_and_is_no_orphan() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        board.set_drained(BTreeSet::from([name("main")]));
        let backlog = [due(route(&["main", "spare"]))];
        assert_eq!(board.work(&backlog, T0, now).claims[0].0, name("spare"));
        assert_eq!(board.standings()[0].condition, "drained");
        let work = board.work(&[due(route(&["main"]))], T0, now);
        assert_eq!((work.claims.len(), work.has_orphans), (0, false));
        assert!(board.routes_to(&name("main"), &backlog, T0, now).is_empty());
        board.set_drained(BTreeSet::new());
        assert_eq!(board.work(&backlog, T0, now).claims[0].0, name("main"));
    }

    #[test]
    fn a_route_to_nowhere_is_an_orphan() {
        let (board, now) = (board(&["main"]), SystemClock.instant());
        assert!(board.work(&[due(route(&["gone"]))], T0, now).has_orphans);
        assert!(
            !board
                .work(&[due(route(&["gone", "main"]))], T0, now)
                .has_orphans
        );
    }

    #[test]
    fn a_route_without_a_working_upstream_waits_for_the_first_to_be_probed() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        board.record(&name("main"), &Health::Unreachable, now, now);
        let work = board.work(&[due(route(&["main", "gone"]))], T0, now);
        assert_eq!(work.claims, []);
        assert_eq!(work.stranded, [route(&["main", "gone"])]);
        assert_eq!(
            work.wake.unwrap().instant,
            Some(now + Duration::from_secs(5))
        );
    }

    #[test]
    fn busy_connections_are_not_given_twice() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        let backlog = [due(route(&["main"]))];
        board.begin(&name("main"), now);
        assert_eq!(board.work(&backlog, T0, now).claims[0].2, 1);
        board.begin(&name("main"), now);
        assert_eq!(board.work(&backlog, T0, now).claims, []);
        board.end(&name("main"), Use::Work);
        assert_eq!(board.work(&backlog, T0, now).claims[0].2, 1);
    }

    #[test]
    fn routes_that_share_an_upstream_are_claimed_together() {
        let (board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main"])), due(route(&["main", "spare"]))];
        let work = board.work(&backlog, T0, now);
        assert_eq!(work.claims.len(), 1);
        assert_eq!(work.claims[0].1.len(), 2);
    }

    #[test]
    fn a_message_that_is_not_due_only_sets_the_alarm() {
        let (board, now) = (board(&["main"]), SystemClock.instant());
        let backlog = [Backlog {
            next_due: T0.after(Duration::from_secs(9)),
            ..due(route(&["main"]))
        }];
        let work = board.work(&backlog, T0, now);
        assert_eq!(work.claims, []);
        assert_eq!(
            work.wake.unwrap().due,
            Some(T0.after(Duration::from_secs(9)))
        );
    }
}
