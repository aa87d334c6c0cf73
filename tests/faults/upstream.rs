//! An upstream in memory whose attempts panic on demand.

use std::sync::Mutex;
use std::time::Instant;

use async_trait::async_trait;
use posthouse::identity::UpstreamName;
use posthouse::mail::{Attempt, Duty, Handover, Health, Outcome, Response};
use posthouse::upstream::{Order, Upstream};

/// The first attempts at mail from here panic.
pub(crate) const PANICS_ATTEMPT: &str = "attempt.panics@shop.example";

/// What they say.
pub(crate) const SAID: &str = "the upstream panics, as a test wants it";

pub(crate) struct OddUpstream {
    name: UpstreamName,
    state: Mutex<State>,
}

struct State {
    panics: usize,
    taken: Vec<String>,
}

impl OddUpstream {
    /// Makes one that panics so often.
    pub(crate) fn new(panics: usize) -> Self {
        Self {
            name: UpstreamName::parse("main").unwrap(),
            state: Mutex::new(State {
                panics,
                taken: Vec::new(),
            }),
        }
    }

    /// Returns the reverse-paths of what it has taken.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.state.lock().unwrap().taken.clone()
    }
}

#[async_trait]
impl Upstream for OddUpstream {
    fn name(&self) -> &UpstreamName {
        &self.name
    }

    fn recipients(&self) -> usize {
        100
    }

    async fn attempt(&self, order: Order<'_>) -> Attempt {
        let from = order.envelope.reverse_path.to_string();
        tokio::task::yield_now().await;
        let panics = {
            let mut state = self.state.lock().unwrap();
            let panics = state.panics > 0 && from.contains(PANICS_ATTEMPT);
            if panics {
                state.panics -= 1;
            } else {
                state.taken.push(from);
            }
            panics
        };
        assert!(!panics, "{SAID}");
        let response = Response {
            code: 250,
            status: None,
            text: "ok".into(),
        };
        let relayed = Outcome::Relayed(
            response,
            Handover::Onward {
                dsn: Duty::Ours,
                deliver_by: Duty::Ours,
            },
        );
        let outcomes = order.recipients.iter();
        Attempt {
            outcomes: outcomes.map(|index| (*index, relayed.clone())).collect(),
            health: Health::Good,
            host: None,
            via: None,
        }
    }

    async fn tidy(&self, _now: Instant) {}
}
