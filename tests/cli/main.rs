//! The command line as people and scripts meet it: the real program, its output, its exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so with a panic"
)]

mod account;
mod check;
mod dkim;
mod explain;
mod listener;
mod program;
mod queue;
mod setup;
mod trial;
mod upstream;
mod usage;

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;
