//! `upstream::smtp` against a scripted server on loopback.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;
#[path = "../support/token_server.rs"]
mod token_server;

mod connecting;
mod fault_matrix;
mod next_try;
mod oauth;
mod pacing;
mod pooling;
mod relaying;
mod support;
mod tokens;
