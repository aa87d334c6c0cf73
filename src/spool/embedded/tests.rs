//! Tests of the engine on the real file system.

use std::sync::Arc;

use crate::clock::{Clock, ManualClock};
use crate::spool::conformance::{Fixture, START, suite};

use super::{EmbeddedSpool, Settings};

fn fixture(memory_budget: usize) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let settings = Settings {
        segment_size: 1 << 20,
        memory_budget,
        min_free: 0,
        ..Settings::new(directory.path())
    };
    Fixture {
        spool: Box::new(EmbeddedSpool::open(settings, engine_clock(&clock)).unwrap()),
        clock,
        _directory: Some(directory),
    }
}

fn engine_clock(clock: &Arc<ManualClock>) -> Arc<dyn Clock> {
    Arc::<ManualClock>::clone(clock)
}

suite!(from_memory, super::fixture(1 << 20));
suite!(read_back, super::fixture(0));
