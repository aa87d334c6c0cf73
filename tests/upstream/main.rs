//! `upstream::smtp` and `upstream::graph` against scripted servers on loopback.

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

#[path = "../support/fake_graph.rs"]
mod fake_graph;

#[path = "../support/policy_server.rs"]
mod policy_server;

mod connecting;
mod content;
mod domain_policies;
mod fault_matrix;
mod graph;
mod next_try;
mod oauth;
mod pacing;
mod pooling;
mod probing;
mod relaying;
mod requiring_tls;
mod support;
mod tokens;
