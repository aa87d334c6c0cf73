//! Tables of medians and ranges.

use super::figures::{Times, mebibytes, median, spread};
use super::run::Measurement;

/// Prints the head of the table that [`row`] fills.
pub(crate) fn head() {
    println!(
        "{:<11} {:>8} {:>8} {:>22} {:>22} {:>20} {:>12} {:>10}",
        "through",
        "sessions",
        "octets",
        "accepted/s",
        "arrived/s",
        "CPU µs/message",
        "machine µs",
        "memory MiB"
    );
}

/// Prints one line for all runs of a load.
pub(crate) fn row(name: &str, sessions: usize, size: usize, runs: &[Measurement]) {
    let of = |value: fn(&Measurement) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    let cpu: Vec<f64> = runs.iter().filter_map(|run| run.relay_cpu).collect();
    println!(
        "{name:<11} {sessions:>8} {size:>8} {:>22} {:>22} {:>20} {:>12} {:>10.1}",
        spread(&of(|run| run.accepted_rate), 0),
        spread(&of(|run| run.arrived_rate), 0),
        if cpu.is_empty() {
            "-".to_owned()
        } else {
            spread(&cpu, 0)
        },
        format!("{:.1}", median(&of(|run| run.machine_cpu))),
        mebibytes(runs.iter().map(|run| run.memory).max().unwrap_or(0)),
    );
}

/// Prints how the first is to the second, by medians.
pub(crate) fn ratio(posthouse: &[Measurement], peer: &[Measurement]) {
    let of = |runs: &[Measurement], value: fn(&Measurement) -> f64| {
        median(&runs.iter().map(value).collect::<Vec<_>>())
    };
    let arrived = |run: &Measurement| run.arrived_rate;
    let cpu = |run: &Measurement| run.relay_cpu.unwrap_or(f64::NAN);
    println!(
        "ratio: {:.1} times the messages per second, {:.1} times less processor time per message",
        of(posthouse, arrived) / of(peer, arrived),
        of(peer, cpu) / of(posthouse, cpu)
    );
}

/// Prints percentiles of sorted nanoseconds, in microseconds.
pub(crate) fn latencies(name: &str, sorted: &[u64]) {
    let times = Times::from_nanos(sorted);
    let at = |share| times.at(share) * 1e3;
    println!(
        "{name:<11} messages {:>7}   µs: least {:>6.0}  median {:>6.0}  90 % {:>6.0}  99 % {:>6.0}  most {:>6.0}",
        sorted.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
