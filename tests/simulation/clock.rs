//! The clocks of the simulated machine: the monotonic one is the runtime's paused time, the civil one can be set.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, Timestamp};

pub(crate) struct SimulatedClock {
    origin: tokio::time::Instant,
    /// How far the civil clock was set forward, and back, in all.
    steps: Mutex<(Duration, Duration)>,
}

pub(crate) const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

impl SimulatedClock {
    #[expect(clippy::disallowed_methods, reason = "the paused time of the runtime")]
    pub(crate) fn new() -> Self {
        Self {
            origin: tokio::time::Instant::now(),
            steps: Mutex::default(),
        }
    }

    pub(crate) fn set_forward(&self, span: Duration) {
        self.steps.lock().unwrap().0 += span;
    }

    pub(crate) fn set_back(&self, span: Duration) {
        self.steps.lock().unwrap().1 += span;
    }

    /// Returns how long the world has existed.
    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let (forward, back) = *self.steps.lock().unwrap();
        let now = START.after(self.elapsed()).after(forward).unix_millis();
        Timestamp::from_unix_millis(now - u64::try_from(back.as_millis()).unwrap())
    }

    fn instant(&self) -> Instant {
        (self.origin + self.elapsed()).into_std()
    }
}
