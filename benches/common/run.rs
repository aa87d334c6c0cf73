//! One run: a load from the first message to the last arrival, with what it cost.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::figures::decimal;
use super::generator;
use super::generator::Load;
use super::ledger::{Balance, Ledger};
use super::usage;
use crate::support::process::wait_for;

/// What a run showed.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// Acknowledged messages per second, from the start to the last acknowledgement.
    pub(crate) accepted_rate: f64,
    /// Arrived messages per second, from the start to the last arrival.
    pub(crate) arrived_rate: f64,
    /// Microseconds of the relay's processor time per message; none where there is no relay.
    pub(crate) relay_cpu: Option<f64>,
    /// Microseconds of all processors' time per message.
    pub(crate) machine_cpu: f64,
    /// The largest proportional memory seen, in octets.
    pub(crate) memory: u64,
}

/// Runs `load` against the process `relay` (none: the load goes straight into the sink), and waits until everything
/// acknowledged has arrived.
///
/// # Errors
///
/// What the generator fails with; a message that is missing, double or mixed up; the end of the time.
pub(crate) fn measure(
    load: &Load,
    ledger: &Arc<Ledger>,
    relay: Option<u32>,
) -> io::Result<Measurement> {
    let before = (relay.map(usage::cpu), usage::machine()?);
    let origin = ledger.elapsed();
    let balance_before = ledger.balance();
    let memory = generate_and_watch(load, ledger, relay)?;
    let expected = ledger.accepted_total();
    let arrived = wait_for(load.limit, || {
        Ok((ledger.arrived_total() >= expected).then_some(()))
    })?;
    let after = (relay.map(usage::cpu), usage::machine()?);
    check(ledger.balance(), arrived.is_some())?;
    let messages = decimal(ledger.accepted_total() - balance_before.accepted);
    let (accepted, arrival) = ledger.last_times();
    let seconds = |nanos: u64| {
        Duration::from_nanos(nanos)
            .saturating_sub(origin)
            .as_secs_f64()
    };
    Ok(Measurement {
        accepted_rate: messages / seconds(accepted),
        arrived_rate: messages / seconds(arrival),
        relay_cpu: after
            .0
            .zip(before.0)
            .map(|(after, before)| micros(after, before) / messages),
        machine_cpu: micros(after.1, before.1) / messages,
        memory,
    })
}

/// Runs the generator in a thread of its own and returns the largest memory that was seen meanwhile.
fn generate_and_watch(load: &Load, ledger: &Ledger, relay: Option<u32>) -> io::Result<u64> {
    thread::scope(|scope| {
        let generator = thread::Builder::new()
            .name("generator".to_owned())
            .spawn_scoped(scope, || generator::run(load, ledger))?;
        let mut memory = 0;
        while !generator.is_finished() {
            memory = memory.max(relay.map_or(0, usage::proportional_memory));
            thread::park_timeout(WATCH_EVERY);
        }
        memory = memory.max(relay.map_or(0, usage::proportional_memory));
        let result = generator.join();
        result.map_err(|_| io::Error::other("the generator panicked"))??;
        Ok(memory)
    })
}

/// Refuses a run that lost, doubled or mixed up a message.
pub(crate) fn check(balance: Balance, in_time: bool) -> io::Result<()> {
    if balance.is_even() {
        return Ok(());
    }
    let late = if in_time {
        ""
    } else {
        " when the time was over"
    };
    Err(io::Error::other(format!("not even{late}: {balance:?}")))
}

fn micros(after: Duration, before: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64() * 1e6
}

const WATCH_EVERY: Duration = Duration::from_millis(250);
