//! A queue of a million messages, and the same relay without them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use posthouse::clock::{Clock, SystemClock};
use rustix::fs::Advice;

use crate::common::figures::{at_least, at_most, decimal, median, spread};
use crate::common::ledger::Ledger;
use crate::common::run::Measurement;
use crate::common::usage;
use crate::options::Million;
use crate::relay::{BULK, STORED};
use crate::stage::{Batch, Stage};
use crate::support::process::wait_for;

/// Measures memory, start, list and rates.
pub(crate) fn measure(shape: &Million) -> io::Result<()> {
    check_room(shape)?;
    let rated = shape.messages * (u64::from(shape.runs) + 1);
    let empty = Stage::set(&shape.place, rated, Duration::ZERO, "")?;
    let full = Stage::set(&shape.place, rated, Duration::ZERO, "")?;
    let without = settled_memory(&empty)?;
    fill(&full, shape)?;
    let grown = settled_memory(&full)?;
    let full = starts(full)?;
    memory(shape, without, settled_memory(&full)?, grown);
    list(&full)?;
    rates(&empty, &full, shape)?;
    empty.clear()?;
    full.clear()
}

fn check_room(shape: &Million) -> io::Result<()> {
    let facts = rustix::fs::statvfs(&shape.place.directory)?;
    let (free, size) = (facts.f_bavail * facts.f_frsize, shape.size as u64);
    let needed = (size + HEAD) * (shape.count + 4 * shape.messages);
    if free < needed {
        let text = format!("{needed} octets needed, {free} free; take a smaller --count");
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// Queues the messages on a route whose upstream cannot be reached.
fn fill(stage: &Stage, shape: &Million) -> io::Result<()> {
    let begun = SystemClock.instant();
    let batch = Batch {
        account: STORED,
        numbers: 0..shape.count,
        sessions: shape.sessions,
        size: shape.size,
        priority: None,
        pace: None,
    };
    stage.submit_apart(&batch, &Ledger::new(shape.count))?;
    let seconds = (SystemClock.instant() - begun).as_secs_f64();
    let rate = decimal(shape.count) / seconds;
    println!("queued {} messages, {rate:.0}/s", shape.count);
    Ok(())
}

/// Starts it again, with the spool in the system's memory and without.
fn starts(mut stage: Stage) -> io::Result<Stage> {
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        stage = stage.restart(|_| Ok(()))?;
        warm.push(stage.relay.process().ready_after().as_secs_f64());
        stage = stage.restart(forget)?;
        cold.push(stage.relay.process().ready_after().as_secs_f64());
    }
    for (what, times) in [("warm", warm), ("read from the disk", cold)] {
        let verdict = at_most(median(&times), 10.0, "median");
        println!(
            "start until ready, {what}: s {}{verdict}",
            spread(&times, 2)
        );
    }
    Ok(stage)
}

/// Makes the system forget what it has in memory of the spool's log.
fn forget(spool: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(spool.join("segments"))? {
        let file = File::open(entry?.path())?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn memory(shape: &Million, without: u64, started: u64, grown: u64) {
    let each = |with: u64| decimal(with.saturating_sub(without)) / decimal(shape.count);
    let verdict = at_most(each(started), 400.0, "octets");
    println!(
        "memory for each message: {:.0} octets after a start{verdict} ({:.0} in the process that took them, with its \
         cache; {} MiB without any)",
        each(started),
        each(grown),
        without >> 20
    );
}

fn list(stage: &Stage) -> io::Result<()> {
    let mut times = Vec::new();
    for _ in 0..LISTS {
        let begun = SystemClock.instant();
        let text = stage.relay.ask(&["queue", "list", "--limit", "100"])?;
        times.push((SystemClock.instant() - begun).as_secs_f64() * 1e3);
        let lines = text.lines().count();
        if lines < 100 {
            return Err(io::Error::other(format!("{lines} lines: {text}")));
        }
    }
    let verdict = at_most(median(&times), 100.0, "median");
    println!(
        "queue list of the first 100, as a command: ms {}{verdict}",
        spread(&times, 1)
    );
    Ok(())
}

/// Runs the same load without and with the million, in turn.
fn rates(empty: &Stage, full: &Stage, shape: &Million) -> io::Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for run in 0..=u64::from(shape.runs) {
        let batch = Batch {
            account: BULK,
            numbers: run * shape.messages..(run + 1) * shape.messages,
            sessions: shape.sessions,
            size: shape.size,
            priority: None,
            pace: None,
        };
        let pair = (empty.measure(&batch)?, full.measure(&batch)?);
        // The first warms up.
        if run > 0 {
            without.push(pair.0);
            with.push(pair.1);
        }
    }
    compare("accepted/s", &without, &with, |run| run.accepted_rate);
    compare("arrived/s", &without, &with, |run| run.arrived_rate);
    let cpu = |runs: &[Measurement]| {
        let values: Vec<_> = runs.iter().filter_map(|run| run.relay_cpu).collect();
        spread(&values, 0)
    };
    println!(
        "CPU µs for each message: without {}, with {}",
        cpu(&without),
        cpu(&with)
    );
    Ok(())
}

fn compare(
    what: &str,
    without: &[Measurement],
    with: &[Measurement],
    of: impl Fn(&Measurement) -> f64,
) {
    let values = |runs: &[Measurement]| runs.iter().map(&of).collect::<Vec<_>>();
    let (without, with) = (values(without), values(with));
    let pairs = without.iter().zip(&with);
    let ratios: Vec<_> = pairs.map(|(without, with)| with / without).collect();
    let verdict = at_least(median(&ratios), 0.8, "ratio");
    println!(
        "{what}: without {}, with {}, ratio {}{verdict}",
        spread(&without, 0),
        spread(&with, 0),
        spread(&ratios, 2)
    );
}

/// Returns the resident memory once what only the beginning needed is given back, in octets.
fn settled_memory(stage: &Stage) -> io::Result<u64> {
    let settled = SystemClock.instant() + SETTLE;
    wait_for(SETTLE * 2, || {
        Ok((SystemClock.instant() > settled).then_some(()))
    })?;
    Ok(usage::resident_memory(stage.relay.id()))
}

/// Octets that the spool and the relay add to a message, about.
const HEAD: u64 = 1024;

const STARTS: usize = 3;

const LISTS: usize = 51;

const SETTLE: Duration = Duration::from_secs(4);
