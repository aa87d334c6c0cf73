//! Few messages that are not to wait behind many.

use std::io;
use std::time::Duration;

use posthouse::clock::{Clock, SystemClock};

use crate::common::command_line::Place;
use crate::common::figures::{Times, at_most, decimal};
use crate::common::generator::Pace;
use crate::options::{Neighbour, Upstream, Urgent};
use crate::relay::{BULK, OTHER};
use crate::stage::{Batch, Stage};

/// Measures how long messages of priority 1 take to the upstream while a bulk of priority 4 drains there.
pub(crate) fn urgent(shape: &Urgent) -> io::Result<()> {
    let pace = Pace {
        least: Duration::from_millis(5),
        most: Duration::from_millis(75),
    };
    let samples = Samples {
        account: BULK,
        priority: 1,
        pace,
        count: shape.samples,
    };
    let times = behind_bulk((4, shape.bulk), &samples, &shape.upstream, &shape.place)?;
    let verdict = at_most(times.median(), 25.0, "median") + &at_most(times.at_99(), 60.0, "99 %");
    times.print("urgent, end of data to complete at the upstream", &verdict);
    Ok(())
}

/// Measures how long one account's messages take to the upstream while another's bulk of the same priority drains there.
pub(crate) fn neighbour(shape: &Neighbour) -> io::Result<()> {
    let samples = Samples {
        account: OTHER,
        priority: 3,
        pace: Pace::every(Duration::from_millis(shape.every)),
        count: shape.samples,
    };
    let times = behind_bulk((3, shape.bulk), &samples, &shape.upstream, &shape.place)?;
    let verdict = at_most(times.median(), 100.0, "median");
    times.print(
        "neighbour, end of data to complete at the upstream",
        &verdict,
    );
    Ok(())
}

struct Samples {
    account: &'static str,
    priority: u8,
    pace: Pace,
    count: u64,
}

fn behind_bulk(
    (priority, bulk): (u8, u64),
    samples: &Samples,
    upstream: &Upstream,
    place: &Place,
) -> io::Result<Times> {
    let keys = format!("connections = {}", upstream.connections);
    let stage = Stage::set(place, bulk + samples.count, upstream.delay(), &keys)?;
    stage.submit(&Batch {
        account: BULK,
        numbers: 0..bulk,
        sessions: 20,
        size: SIZE,
        priority: Some(priority),
        pace: None,
    })?;
    let (waiting, arrived) = (stage.waiting(), stage.ledger.arrived_total());
    let begun = SystemClock.instant();
    let times = stage.sample(&Batch {
        account: samples.account,
        numbers: bulk..bulk + samples.count,
        sessions: 1,
        size: SIZE,
        priority: Some(samples.priority),
        pace: Some(samples.pace),
    })?;
    let seconds = (SystemClock.instant() - begun).as_secs_f64();
    let drained = stage.ledger.arrived_total() - arrived - samples.count;
    println!(
        "queued: {waiting} when it began, {} when it ended; meanwhile {:.0}/s of them arrived",
        stage.waiting(),
        decimal(drained) / seconds
    );
    stage.clear()?;
    Ok(times)
}

const SIZE: usize = 4096;
