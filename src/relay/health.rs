//! What attempts say of their upstreams: noted, logged, and told operators.

use std::time::Instant;

use crate::alert::{Alert, Kind};
use crate::identity::UpstreamName;
use crate::mail::{Attempt, Failure, Health, Outcome};
use crate::schedule::{Change, Notice, Reason};
use crate::upstream::repair::repair;

use super::board::{Lane, Noted};
use super::dispatcher::Relay;

/// What the field `alert` says of a line that tells of a parked upstream: for whoever watches the log.
const UPSTREAM_PARKED: &str = Kind::UpstreamParked.as_str();

impl Relay {
    /// Takes in what an attempt that began at `began` said of its upstream.
    pub(super) fn note_health(&self, lane: &Lane, attempt: &Attempt, began: Instant) {
        let now = self.now();
        let noted = self
            .board()
            .record(lane.upstream.name(), attempt, began, now);
        if noted.has_grown {
            self.changed.notify_one();
        }
        match noted.change {
            Change::None | Change::Paused { .. } => {}
            Change::Parked { .. } | Change::Recovered { .. } => self.parkings_changed.notify_one(),
        }
        log(lane, &noted);
        self.tell_parked(lane, &noted);
    }

    /// Raises an alert where the log has told that an upstream is parked.
    fn tell_parked(&self, lane: &Lane, noted: &Noted) {
        let Change::Parked {
            notice: Notice::Due,
            ..
        } = noted.change
        else {
            return;
        };
        let name = lane.upstream.name();
        let Reason { text, repair } = &noted.reason;
        let repair = repair.as_deref().unwrap_or_default();
        let text = format!(
            "Upstream {name} cannot be used as configured: {text}. Its mail waits until this is repaired. {repair} Then \
             `posthouse upstream resume {name}` lets it try at once."
        );
        self.settings.alerts.raise(Alert {
            upstream: Some(name.clone()),
            ..Alert::new(Kind::UpstreamParked, text)
        });
    }
}

fn log(lane: &Lane, noted: &Noted) {
    let error = &*noted.reason.text;
    match noted.change {
        Change::None => {}
        Change::Parked {
            pause,
            notice: Notice::Due,
        } => tracing::error!(
            alert = UPSTREAM_PARKED,
            upstream = %lane.upstream.name(),
            error,
            repair = noted.reason.repair.as_deref().unwrap_or_default(),
            probe_s = pause.as_secs(),
            "upstream cannot be used as configured; its mail waits until this is repaired"
        ),
        Change::Parked {
            pause,
            notice: Notice::Given,
        } => tracing::info!(error, probe_s = pause.as_secs(), "upstream is still parked"),
        Change::Paused { pause } => tracing::warn!(
            error,
            pause_s = pause.as_secs(),
            "upstream is left alone for a while"
        ),
        Change::Recovered { lasted } => {
            tracing::info!(lasted_s = lasted.as_secs(), "upstream works again");
        }
    }
}

/// Returns why an attempt speaks against its upstream; empty where it does not.
pub(super) fn reason(upstream: &UpstreamName, attempt: &Attempt) -> Reason {
    if attempt.health == Health::Good {
        return Reason::default();
    }
    let mut failures = attempt
        .outcomes
        .iter()
        .filter_map(|(_, outcome)| failure(outcome));
    failures
        .next()
        .map_or_else(Reason::default, |failure| Reason {
            text: failure.to_string().into(),
            repair: repair(failure).map(|advice| advice.replace("NAME", upstream.as_str()).into()),
        })
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Relayed(..) => None,
        Outcome::Deferred(failure) | Outcome::Rejected(failure) | Outcome::Unknown(failure) => {
            Some(failure)
        }
    }
}
