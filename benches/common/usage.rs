//! What a process and its children have used, from /proc.

use std::fs;
use std::io;
use std::time::Duration;

/// User and system time of a process, of its living children and of those it has waited for.
pub(crate) fn cpu(pid: u32) -> Duration {
    let parents = parents();
    let ticks = family(pid, &parents).into_iter().map(ticks).sum::<u64>();
    Duration::from_millis(ticks * MILLIS_PER_TICK)
}

/// Resident memory of a process and its living children, shared pages divided by their users, in octets.
pub(crate) fn proportional_memory(pid: u32) -> u64 {
    let parents = parents();
    let pids = family(pid, &parents).into_iter();
    pids.map(|pid| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
        .sum()
}

/// The largest resident memory that a process has had, in octets.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Resident memory of a process, in octets.
pub(crate) fn resident_memory(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Time that all processors have worked, for anyone.
pub(crate) fn machine() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // user nice system idle iowait irq softirq: all but the fourth and fifth are work.
    let worked = fields.iter().take(7).sum::<u64>() - fields.iter().skip(3).take(2).sum::<u64>();
    Ok(Duration::from_millis(worked * MILLIS_PER_TICK))
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Each living process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let parent = stat(pid)?.get(1)?.parse().ok()?;
        Some((pid, parent))
    })
    .collect()
}

fn family(pid: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut members = vec![pid];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == member);
        members.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    members
}

/// utime, stime, cutime and cstime, in ticks.
fn ticks(pid: u32) -> u64 {
    let fields = stat(pid).unwrap_or_default();
    let times = fields.iter().skip(11).take(4);
    times.map(|time| time.parse().unwrap_or(0)).sum()
}

/// The fields of /proc/PID/stat behind the command's name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Linux shows processor time in hundredths of a second on every machine (`USER_HZ`).
const MILLIS_PER_TICK: u64 = 10;
