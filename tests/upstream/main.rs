//! `upstream::smtp` against a scripted server on loopback.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;

mod connecting;
mod content;
mod pacing;
mod pooling;
mod relaying;
mod support;
