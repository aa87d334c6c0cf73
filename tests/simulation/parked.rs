//! What an observer sees who looks once a second which upstreams are parked, and what must hold when a message expires.

use std::collections::BTreeMap;
use std::time::Duration;

use posthouse::clock::Timestamp;
use posthouse::identity::{Route, UpstreamName};
use posthouse::mail::QueueId;
use posthouse::relay::{Park, UpstreamStanding};
use posthouse::spool::{Entry, EntryState, Lease};

/// What may happen between two looks.
const BLUR: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    /// How long each message has waited for an upstream that was not parked, at least as long as it can have.
    ages: BTreeMap<QueueId, Duration>,
    last: Option<(Timestamp, Vec<UpstreamName>)>,
    /// What an operator has parked, as a file would keep it over restarts.
    pub(crate) parks: BTreeMap<UpstreamName, Park>,
    /// How long messages live.
    pub(crate) lifetime: Duration,
}

impl Observer {
    /// Looks at upstreams and messages. Where the clock has been set back no message gets younger.
    pub(crate) fn look(
        &mut self,
        now: Timestamp,
        standings: &[UpstreamStanding],
        entries: &[Entry],
    ) {
        let parked = standings.iter();
        let parked = parked.filter(|standing| standing.state.word() == "parked");
        let parked: Vec<_> = parked.map(|standing| standing.name.clone()).collect();
        let (before, were) = self.last.take().unwrap_or_default();
        let stood = |route: &Route| {
            let mut names = route.upstreams().iter();
            names.all(|name| were.contains(name) && parked.contains(name))
        };
        let mut ages = BTreeMap::new();
        for entry in entries {
            let passed = match self.ages.get(&entry.id) {
                // What is being attempted may have been moved to another route since: it is judged by the one it was
                // claimed on.
                Some(age) if entry.state != EntryState::Leased && stood(&entry.message.route) => {
                    *age
                }
                Some(age) => *age + now.since(before),
                None => now.since(entry.message.begins()),
            };
            ages.insert(entry.id, passed);
        }
        self.ages = ages;
        self.last = Some((now, parked));
    }

    /// No message expires that had lifetime left, were the time not counted in which all its upstreams were parked.
    pub(crate) fn check_expired(&self, lease: &Lease, now: Timestamp) {
        let (Some(age), Some((before, _))) = (self.ages.get(&lease.id), &self.last) else {
            return;
        };
        if now.since(*before) > BLUR {
            // The clock has just been set forward; what that does shows with the next look.
            return;
        }
        assert!(
            *age + BLUR >= self.lifetime,
            "{} expires after {age:?} of {:?}",
            lease.id,
            self.lifetime
        );
    }
}
