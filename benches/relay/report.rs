//! Tables of medians and ranges.

use crate::run::Measurement;

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
        spread(of(|run| run.accepted_rate)),
        spread(of(|run| run.arrived_rate)),
        if cpu.is_empty() {
            "-".to_owned()
        } else {
            spread(cpu)
        },
        format!("{:.1}", median(of(|run| run.machine_cpu))),
        mebibytes(runs.iter().map(|run| run.memory).max().unwrap_or(0)),
    );
}

/// Prints how the first is to the second, by medians.
pub(crate) fn ratio(posthouse: &[Measurement], peer: &[Measurement]) {
    let of = |runs: &[Measurement], value: fn(&Measurement) -> f64| {
        median(runs.iter().map(value).collect())
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
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index into a list that fits in memory"
        )]
        let index = ((sorted.len().saturating_sub(1)) as f64 * share) as usize;
        sorted.get(index).copied().unwrap_or(0) / 1000
    };
    println!(
        "{name:<11} messages {:>7}   µs: least {:>6}  median {:>6}  90 % {:>6}  99 % {:>6}  most {:>6}",
        sorted.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// Octets as mebibytes.
pub(crate) fn mebibytes(octets: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory sizes are far below 2^52"
    )]
    let octets = octets as f64;
    octets / f64::from(1 << 20)
}

/// `median (least–most)`.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values.first().copied(), values.last().copied());
    format!(
        "{:.0} ({:.0}–{:.0})",
        median(values),
        least.unwrap_or(f64::NAN),
        most.unwrap_or(f64::NAN)
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
