//! Faults that no client, upstream or disk can be made to show from outside: panics, and a disk that takes for ever. The
//! parts of the server are put together here as `app` does, with a spool, a clock and upstreams that misbehave on demand.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/dialogue.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod dialogue;

mod crowd;
mod failing_disk;
mod panics;
mod slow_disk;
mod spool;
mod stage;
mod upstream;
