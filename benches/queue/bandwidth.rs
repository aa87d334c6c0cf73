//! Urgent messages while all connections send large bodies within a bandwidth.

use std::io;
use std::time::Duration;

use posthouse::clock::{Clock, SystemClock};

use crate::common::figures::{at_most, decimal};
use crate::common::generator::Pace;
use crate::options::Bandwidth;
use crate::relay::BULK;
use crate::stage::{Batch, Stage};
use crate::support::process::wait_for;

/// Measures it, and the rate that the large bodies reach.
pub(crate) fn measure(shape: &Bandwidth) -> io::Result<()> {
    let keys = format!(
        "connections = {CONNECTIONS}\nbandwidth = \"{} Mbit/s\"",
        shape.megabits
    );
    let count = shape.bulk + shape.samples;
    let stage = Stage::set(&shape.place, count, Duration::ZERO, &keys)?;
    let size = usize::try_from(shape.mebibytes << 20).map_err(io::Error::other)?;
    stage.submit(&Batch {
        account: BULK,
        numbers: 0..shape.bulk,
        sessions: 4,
        size,
        priority: Some(4),
        pace: None,
    })?;
    let busy = wait_for(shape.place.limit(), || {
        Ok((stage.sink.traffic().receiving() >= CONNECTIONS - 1).then_some(()))
    })?;
    busy.ok_or_else(|| io::Error::other("the large messages did not begin"))?;
    let (begun, octets) = (SystemClock.instant(), stage.sink.traffic().octets());
    let urgent = Batch {
        account: BULK,
        numbers: shape.bulk..count,
        sessions: 1,
        size: SIZE,
        priority: Some(1),
        pace: Some(Pace {
            least: Duration::from_millis(20),
            most: Duration::from_millis(180),
        }),
    };
    let times = stage.sample(&urgent)?;
    let seconds = (SystemClock.instant() - begun).as_secs_f64();
    let octets = stage.sink.traffic().octets() - octets;
    let (busy, rate) = (
        stage.sink.traffic().receiving(),
        decimal(octets) * 8.0 / 1e6 / seconds,
    );
    let of_urgent = decimal(shape.samples * SIZE as u64) * 8.0 / 1e6 / seconds;
    stage.clear()?;
    println!(
        "rate: {rate:.2} of {} Mbit/s in {seconds:.0} s, {:.2} of it bulk; {busy} connections still sent bulk at the end",
        shape.megabits,
        rate - of_urgent,
    );
    let verdict = at_most(times.median(), 100.0, "median");
    times.print("urgent, end of data to complete at the upstream", &verdict);
    Ok(())
}

/// One of them is reserved for urgent mail.
const CONNECTIONS: usize = 4;

const SIZE: usize = 4096;
