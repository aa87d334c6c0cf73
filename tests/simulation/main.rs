//! Scheduler, retries, spool index and relay loop in a simulated world: upstreams that stall, throttle, refuse, die and
//! lose replies, clocks that jump, crashes at any operation of the spool, operators in between. Time is virtual and
//! chance comes from a seed, so that a seed which fails fails again:
//!
//! ```text
//! POSTHOUSE_SEED=1234 cargo test --test simulation -- --nocapture
//! ```
//!
//! `POSTHOUSE_SEEDS=20000` tries more than usual. `docs/scheduling.md` says what is checked.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test code"
)]

mod chance;
mod clock;
mod ledger;
mod operator;
mod parked;
mod rules;
mod spool;
mod upstream;
mod world;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

/// How many seeds are tried where nothing else is asked for.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Returns how many panics this thread has seen. The relay survives one in an attempt; a rule that breaks there counts.
pub(crate) fn panics() -> u32 {
    PANICS.get()
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
    PANICS.set(0);
}

/// Runs one world to its end.
///
/// # Panics
/// A rule was broken.
fn run(seed: u64, is_told: bool) -> Vec<String> {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(world::run(seed, is_told))
}

/// Runs the seeds that are this part's of so many.
fn run_part(part: u64, parts: u64) {
    if let Some(seed) = number("POSTHOUSE_SEED") {
        if part == 0 {
            for event in run(seed, true) {
                eprintln!("{event}");
            }
        }
        return;
    }
    let seeds = number("POSTHOUSE_SEEDS").unwrap_or(SEEDS);
    for seed in (part..seeds).step_by(usize::try_from(parts).unwrap()) {
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(seed, false)));
        assert!(
            ran.is_ok(),
            "seed {seed} breaks a rule: POSTHOUSE_SEED={seed} cargo test --test simulation -- --nocapture"
        );
    }
}

#[test]
fn every_world_keeps_the_rules_first_quarter() {
    run_part(0, 4);
}

#[test]
fn every_world_keeps_the_rules_second_quarter() {
    run_part(1, 4);
}

#[test]
fn every_world_keeps_the_rules_third_quarter() {
    run_part(2, 4);
}

#[test]
fn every_world_keeps_the_rules_fourth_quarter() {
    run_part(3, 4);
}

#[test]
fn a_seed_gives_the_same_world_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, true), run(seed, true), "seed {seed}");
    }
}
