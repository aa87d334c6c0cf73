//! How the upstreams fare, for operators.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::identity::UpstreamName;
use crate::schedule::{Reason, Trouble, TroubleKind};

use super::board::{Board, Now, Place};
use super::dispatcher::Relay;
use super::parking::Park;

/// How an upstream fares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamStanding {
    /// Its name.
    pub name: UpstreamName,
    /// In one word, and more.
    pub state: State,
    /// Attempts that run now.
    pub attempts: usize,
    /// Attempts that may run at once now.
    pub limit: usize,
    /// Attempts that may run at once when it copes well.
    pub connections: usize,
    /// When the certificate ends that it has shown last, if it has shown one.
    pub certificate_ends: Option<Timestamp>,
}

/// What is the matter with an upstream. What an operator did comes before what the upstream does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// An operator keeps it from being given mail.
    Drained,
    /// Nothing is.
    Good,
    /// An operator has parked it.
    ParkedByOperator(Park),
    /// Attempts have failed.
    Troubled(Troubled),
}

/// What attempts have said of an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Troubled {
    /// What the matter is.
    pub kind: TroubleKind,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Reason,
    /// How many attempts have failed since then.
    pub failures: u32,
    /// When one is made again; `None` where the next message is one.
    pub probe: Option<Timestamp>,
}

impl State {
    /// Returns the word for it: `drained`, `good`, `parked`, `throttled`, `unreachable`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Good => "good",
            Self::ParkedByOperator(_) => TroubleKind::Parked.word(),
            Self::Troubled(troubled) => troubled.kind.word(),
        }
    }
}

impl Relay {
    /// Returns how each upstream fares, sorted by name.
    pub fn upstreams(&self) -> Vec<UpstreamStanding> {
        let now = self.now();
        self.board().standings(now)
    }
}

impl Board {
    fn standings(&self, now: Now) -> Vec<UpstreamStanding> {
        let standing = |(name, place): (&UpstreamName, &Place)| UpstreamStanding {
            name: name.clone(),
            state: self.state(name, place, now),
            attempts: place.capacity.busy(),
            limit: place.capacity.limit(),
            connections: place.lane.bounds.connections,
            certificate_ends: place
                .lane
                .upstream
                .certificate()
                .map(|certificate| certificate.not_after),
        };
        self.places.iter().map(standing).collect()
    }

    fn state(&self, name: &UpstreamName, place: &Place, now: Now) -> State {
        if let Some(park) = self.parked.get(name) {
            return State::ParkedByOperator(park.clone());
        }
        if self.drained.contains(name) {
            return State::Drained;
        }
        match place.capacity.condition().trouble() {
            None => State::Good,
            Some(trouble) => State::Troubled(troubled(trouble, now)),
        }
    }
}

fn troubled(trouble: &Trouble, now: Now) -> Troubled {
    let wait = trouble.probe.saturating_duration_since(now.instant);
    Troubled {
        kind: trouble.kind,
        since: trouble.since,
        reason: trouble.reason.clone(),
        failures: trouble.failures,
        probe: (wait > Duration::ZERO).then(|| now.civil.after(wait)),
    }
}
