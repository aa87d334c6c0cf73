//! The upstreams as the dispatcher sees them: what each can take, which routes lead there now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::identity::{Route, UpstreamName};
use crate::mail::{Attempt, Priority};
use crate::schedule::{
    Allowance, Availability, Bounds, Capacity, Change, Condition, Moment, Parkings, Reason, Report,
    RetryPlan, Taken,
};
use crate::spool::Backlog;
use crate::upstream::Upstream;

use super::parking::Park;
use super::{fate, health};

/// An upstream with the rules for its mail.
#[derive(Clone)]
pub struct Lane {
    /// The upstream.
    pub upstream: Arc<dyn Upstream>,
    /// What follows a deferral there.
    pub plan: RetryPlan,
    /// How much it is given.
    pub bounds: Bounds,
}

/// Where mail goes and by which rules: what a reload replaces.
#[derive(Clone, Default)]
pub struct Arrangement {
    /// The upstreams.
    pub lanes: Vec<Lane>,
    /// The plan of messages whose upstreams are all gone.
    pub plan: RetryPlan,
    /// How long a message of priority 4 waits before it counts as one of priority 3, and one of priority 5 twice as
    /// long; `None` for ever.
    pub ageing: Option<Duration>,
}

/// All lanes and how they fare.
#[derive(Default)]
pub(super) struct Board {
    pub(super) places: BTreeMap<UpstreamName, Place>,
    /// Upstreams that an operator keeps from being given anything.
    pub(super) drained: BTreeSet<UpstreamName>,
    /// Those that an operator has parked.
    pub(super) parked: BTreeMap<UpstreamName, Park>,
    /// When upstreams were parked, by whomever.
    pub(super) parkings: BTreeMap<UpstreamName, Parkings>,
    /// Those that were parked for a failure when the process before ended, until they are there.
    pub(super) remembered: BTreeMap<UpstreamName, Park>,
    /// The routes on which messages waited when the dispatcher last looked, by each upstream they name.
    routes: BTreeMap<UpstreamName, Vec<Route>>,
    pub(super) plan: RetryPlan,
    ageing: Option<Duration>,
}

/// One upstream.
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) capacity: Capacity,
}

/// On which terms messages are claimed for an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How many recipients an attempt is for at most.
    pub(super) recipients: usize,
    /// See [`Arrangement::ageing`].
    pub(super) ageing: Option<Duration>,
}

/// One moment by three clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Due times.
    pub(super) civil: Timestamp,
    /// Rates.
    pub(super) steady: Timestamp,
    /// Pauses.
    pub(super) instant: Instant,
}

/// What the dispatcher may do next.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Work {
    /// Upstreams, and the routes with due messages that lead there now.
    pub(super) claims: Vec<(UpstreamName, Vec<Route>)>,
    /// Routes with due messages.
    pub(super) waiting: Vec<Route>,
    /// Those of them with no upstream that may be tried now.
    pub(super) stranded: Vec<Route>,
    /// Whether one of these leads to no upstream that exists.
    pub(super) has_orphans: bool,
    /// When to look again although nothing has happened.
    pub(super) wake: Wake,
}

/// A time to look again, by the clock that it was told in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wake {
    /// A message becomes due.
    pub(super) due: Option<Timestamp>,
    /// An upstream may be tried again.
    pub(super) instant: Option<Instant>,
}

impl Wake {
    /// Notes another time; the earlier counts.
    pub(super) fn at(&mut self, instant: Option<Instant>) {
        self.instant = self.instant.into_iter().chain(instant).min();
    }
}

impl Board {
    /// Takes over a new arrangement. What runs, and what counts for rates, still does; what was known of the upstreams'
    /// condition is forgotten, but for those that are parked: they are probed now.
    pub(super) fn replace(&mut self, arrangement: Arrangement, now: Now) {
        self.plan = arrangement.plan;
        self.ageing = arrangement.ageing;
        let mut places = BTreeMap::new();
        for lane in arrangement.lanes {
            let name = lane.upstream.name().clone();
            let fresh = Capacity::new(lane.bounds.clone(), now.instant);
            let capacity = match (self.places.get(&name), self.remembered.remove(&name)) {
                (Some(before), _) => fresh.after(&before.capacity, now.instant, now.steady),
                (None, Some(Park { since, reason })) => {
                    fresh.with_condition(Condition::parked(since, reason, now.instant))
                }
                (None, None) => fresh,
            };
            places.insert(name, Place { lane, capacity });
        }
        self.places = places;
        self.note_parkings(now.civil);
    }

    /// Keeps these upstreams from being given anything, and no others.
    pub(super) fn drain(&mut self, names: BTreeSet<UpstreamName>) {
        self.drained = names;
    }

    /// Returns on which terms messages are claimed for an upstream.
    pub(super) fn terms(&self, name: &UpstreamName) -> Option<Terms> {
        let place = self.places.get(name)?;
        Some(Terms {
            recipients: place.lane.upstream.recipients(),
            ageing: self.ageing,
        })
    }

    pub(super) fn lanes(&self) -> Vec<Lane> {
        self.places
            .values()
            .map(|place| place.lane.clone())
            .collect()
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

    /// Finds what there is to do, and remembers the routes of the backlog.
    pub(super) fn work(&mut self, backlog: &[Backlog], now: Now) -> Work {
        let mut work = Work::default();
        let mut claims: BTreeMap<&UpstreamName, Vec<Route>> = BTreeMap::new();
        self.routes.clear();
        for waiting in backlog {
            for name in waiting.route.upstreams() {
                let routes = self.routes.entry(name.clone()).or_default();
                routes.push(waiting.route.clone());
            }
            if waiting.next_due > now.civil {
                let due = work.wake.due.into_iter().chain([waiting.next_due]);
                work.wake.due = due.min();
                continue;
            }
            work.waiting.push(waiting.route.clone());
            match self.choose(&waiting.route, now.instant) {
                Choice::Now(name) => claims.entry(name).or_default().push(waiting.route.clone()),
                Choice::Later(until) => {
                    work.wake.at(until);
                    work.has_orphans |= !self.has_any(&waiting.route);
                    work.stranded.push(waiting.route.clone());
                }
            }
        }
        let claims = claims.into_iter();
        work.claims = claims
            .map(|(name, routes)| (name.clone(), routes))
            .collect();
        work
    }

    /// Returns the routes that lead to this upstream now, of those on which messages waited lately.
    pub(super) fn routes_to(&self, upstream: &UpstreamName, now: Now) -> Vec<Route> {
        let routes = self.routes.get(upstream).into_iter().flatten();
        let here = routes.filter(
            |route| matches!(self.choose(route, now.instant), Choice::Now(name) if name == upstream),
        );
        here.cloned().collect()
    }

    /// Returns whether an operator keeps an upstream from being given anything.
    fn is_closed(&self, name: &UpstreamName) -> bool {
        self.drained.contains(name) || self.parked.contains_key(name)
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
            if self.is_closed(name) {
                continue;
            }
            match place.capacity.availability(instant) {
                Availability::Closed { until } => later = later.into_iter().chain([until]).min(),
                // While one message finds out whether it works again, the others take the next upstream or wait.
                Availability::Probe if place.capacity.is_probed() => {}
                Availability::Open | Availability::Probe => return Choice::Now(name),
            }
        }
        Choice::Later(later)
    }

    /// Takes what may begin now at this upstream, at most so many attempts.
    pub(super) fn allow(
        &mut self,
        name: &UpstreamName,
        at_most: usize,
        now: Now,
    ) -> Option<Allowance> {
        if self.is_closed(name) {
            return None;
        }
        let place = self.places.get_mut(name)?;
        place.capacity.allow(at_most, now.instant, now.steady)
    }

    /// Returns when to look again at an upstream whose rates are used up.
    pub(super) fn next_look(&self, name: &UpstreamName, now: Now) -> Option<Instant> {
        let place = self.places.get(name)?;
        place.capacity.next_look(now.instant, now.steady)
    }

    /// Begins an attempt; `None` where a reload has taken the upstream away.
    pub(super) fn begin(
        &mut self,
        name: &UpstreamName,
        allowance: &mut Allowance,
        priority: Priority,
    ) -> Option<Taken> {
        let place = self.places.get_mut(name)?;
        Some(place.capacity.begin(allowance, priority))
    }

    pub(super) fn give_back(&mut self, name: &UpstreamName, allowance: Allowance) {
        if let Some(place) = self.places.get_mut(name) {
            place.capacity.give_back(allowance);
        }
    }

    /// Notes that an attempt has ended.
    pub(super) fn end(&mut self, name: &UpstreamName, taken: Taken) {
        if let Some(place) = self.places.get_mut(name) {
            place.capacity.end(taken);
        }
    }

    /// Takes in what an attempt that began at `began` said of its upstream.
    pub(super) fn record(
        &mut self,
        name: &UpstreamName,
        attempt: &Attempt,
        began: Instant,
        now: Now,
    ) -> Noted {
        let Some(place) = self.places.get_mut(name) else {
            return Noted {
                change: Change::None,
                reason: Reason::default(),
                has_grown: false,
            };
        };
        let (load, limit) = (fate::load(attempt), place.capacity.limit());
        let reason = health::reason(name, attempt);
        let report = Report {
            health: attempt.health.clone(),
            reason: reason.clone(),
            began,
        };
        let moment = Moment {
            civil: now.civil,
            instant: now.instant,
        };
        let change = place.capacity.record(report, load, moment);
        let has_grown =
            place.capacity.limit() > limit || matches!(change, Change::Recovered { .. });
        self.note_parking(name, now.civil);
        Noted {
            change,
            reason,
            has_grown,
        }
    }
}

/// What an attempt has changed for its upstream.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) change: Change,
    /// Why it is not well; empty where it is.
    pub(super) reason: Reason,
    /// Whether more attempts may run than before.
    pub(super) has_grown: bool,
}

enum Choice<'a> {
    Now(&'a UpstreamName),
    Later(Option<Instant>),
}

#[cfg(test)]
pub(super) mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::mail::{Cause, Failure, Health, Outcome, RecipientIndex, Stage};
    use crate::upstream::Order;

    impl Board {
        /// Returns what it was given.
        pub(in crate::relay) fn arrangement(&self) -> Arrangement {
            Arrangement {
                lanes: self.lanes(),
                plan: self.plan,
                ageing: self.ageing,
            }
        }
    }

    struct Still(UpstreamName);

    #[async_trait]
    impl Upstream for Still {
        fn name(&self) -> &UpstreamName {
            &self.0
        }

        fn recipients(&self) -> usize {
            100
        }

        async fn attempt(&self, _: Order<'_>) -> Attempt {
            unreachable!("these tests attempt nothing")
        }

        async fn tidy(&self, _: Instant) {}
    }

    pub(in crate::relay) const T0: Timestamp = Timestamp::from_unix_millis(1_000_000);

    pub(in crate::relay) fn name(text: &str) -> UpstreamName {
        UpstreamName::parse(text).unwrap()
    }

    pub(in crate::relay) fn route(names: &[&str]) -> Route {
        Route::new(names.iter().map(|text| name(text)).collect()).unwrap()
    }

    pub(in crate::relay) fn board(names: &[&str]) -> Board {
        let mut board = Board::default();
        let lane = |text: &&str| Lane {
            upstream: Arc::new(Still(name(text))),
            plan: RetryPlan::default(),
            bounds: Bounds {
                connections: 2,
                ..Bounds::default()
            },
        };
        let arrangement = Arrangement {
            lanes: names.iter().map(lane).collect(),
            ..Arrangement::default()
        };
        board.replace(arrangement, at(SystemClock.instant()));
        board
    }

    pub(in crate::relay) fn at(instant: Instant) -> Now {
        Now {
            civil: T0,
            steady: T0,
            instant,
        }
    }

    pub(in crate::relay) fn attempt(health: Health) -> Attempt {
        Attempt {
            via: None,
            outcomes: Vec::new(),
            health,
            host: None,
        }
    }

    pub(in crate::relay) fn due(route: Route) -> Backlog {
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
        let first = |board: &mut Board, now| board.work(&backlog, at(now)).claims[0].0.clone();
        assert_eq!(first(&mut board, now), name("main"));
        board.record(&name("main"), &attempt(Health::Unreachable), now, at(now));
        assert_eq!(first(&mut board, now), name("spare"));
        let later = now + Duration::from_secs(6);
        assert_eq!(first(&mut board, later), name("main"));
    }

    #[test]
    fn while_an_upstream_is_probed_the_others_take_the_next() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        board.record(&name("main"), &attempt(Health::Unreachable), now, at(now));
        let later = at(now + Duration::from_secs(6));
        let mut probe = board.allow(&name("main"), 9, later).unwrap();
        assert_eq!(probe.at_most, 1);
        let taken = board.begin(&name("main"), &mut probe, Priority::Normal);
        assert_eq!(board.work(&backlog, later).claims[0].0, name("spare"));
        board.end(&name("main"), taken.unwrap());
        assert_eq!(board.work(&backlog, later).claims[0].0, name("main"));
    }

    #[test]
    fn an_attempt_that_began_before_a_pause_does_not_keep_the_upstream_from_being_probed() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        let mut allowance = board.allow(&name("main"), 1, at(now)).unwrap();
        let _runs = board.begin(&name("main"), &mut allowance, Priority::Normal);
        board.record(&name("main"), &attempt(Health::Unreachable), now, at(now));
        let later = now + Duration::from_secs(6);
        // Nor does its own failure, that comes late, begin a second pause.
        board.record(
            &name("main"),
            &attempt(Health::Unreachable),
            now.checked_sub(Duration::from_secs(9)).unwrap(),
            at(later),
        );
        drop(allowance);
        assert_eq!(
            board.work(&[due(route(&["main"]))], at(later)).claims.len(),
            1
        );
    }

    #[test]
    fn a_drained_upstream_is_passed_over() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"])), due(route(&["main"]))];
        board.drain([name("main")].into());
        let work = board.work(&backlog, at(now));
        assert_eq!(work.claims[0].0, name("spare"));
        assert_eq!((work.stranded.len(), work.has_orphans), (1, false));
        assert!(board.allow(&name("main"), 1, at(now)).is_none());
        board.drain(BTreeSet::new());
        assert_eq!(board.work(&backlog, at(now)).claims[0].0, name("main"));
    }

    #[test]
    fn a_route_to_nowhere_is_an_orphan() {
        let (mut board, now) = (board(&["main"]), at(SystemClock.instant()));
        assert!(board.work(&[due(route(&["gone"]))], now).has_orphans);
        assert!(
            !board
                .work(&[due(route(&["gone", "main"]))], now)
                .has_orphans
        );
    }

    #[test]
    fn a_route_without_a_working_upstream_waits_for_the_first_to_be_probed() {
        let (mut board, now) = (board(&["main"]), SystemClock.instant());
        board.record(&name("main"), &attempt(Health::Unreachable), now, at(now));
        let work = board.work(&[due(route(&["main", "gone"]))], at(now));
        assert_eq!(work.claims, []);
        assert_eq!(work.stranded, [route(&["main", "gone"])]);
        assert_eq!(work.wake.instant, Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn routes_that_share_an_upstream_are_claimed_together() {
        let (mut board, now) = (board(&["main", "spare"]), at(SystemClock.instant()));
        let backlog = [due(route(&["main"])), due(route(&["main", "spare"]))];
        let work = board.work(&backlog, now);
        assert_eq!(work.claims.len(), 1);
        assert_eq!(work.claims[0].1.len(), 2);
        assert_eq!(board.routes_to(&name("main"), now).len(), 2);
        assert!(board.routes_to(&name("spare"), now).is_empty());
    }

    #[test]
    fn a_message_that_is_not_due_only_sets_the_alarm() {
        let (mut board, now) = (board(&["main"]), at(SystemClock.instant()));
        let backlog = [Backlog {
            next_due: T0.after(Duration::from_secs(9)),
            ..due(route(&["main"]))
        }];
        let work = board.work(&backlog, now);
        assert_eq!(work.claims, []);
        assert_eq!(work.wake.due, Some(T0.after(Duration::from_secs(9))));
    }

    #[test]
    fn a_throttling_upstream_hands_its_route_to_the_next() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        let throttled = attempt(Health::Throttled { pause: None });
        board.record(&name("main"), &throttled, now, at(now));
        assert_eq!(board.work(&backlog, at(now)).claims[0].0, name("spare"));
    }

    #[test]
    fn a_message_that_was_put_off_stays_with_its_upstream() {
        let (mut board, now) = (board(&["main", "spare"]), SystemClock.instant());
        let backlog = [due(route(&["main", "spare"]))];
        let put_off = Attempt {
            outcomes: vec![(
                RecipientIndex(0),
                Outcome::Deferred(Failure::new(Stage::Recipient, Cause::Timeout)),
            )],
            ..attempt(Health::Good)
        };
        board.record(&name("main"), &put_off, now, at(now));
        assert_eq!(board.work(&backlog, at(now)).claims[0].0, name("main"));
    }
}
