//! `upstream::smtp` against a scripted server on loopback.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;

#[path = "../support/policy_server.rs"]
mod policy_server;

mod connecting;
mod domain_policies;
mod fault_matrix;
mod next_try;
mod pacing;
mod pooling;
mod relaying;
mod requiring_tls;
mod support;
