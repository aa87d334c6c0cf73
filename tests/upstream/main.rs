//! `upstream::smtp` and `upstream::graph` against scripted servers on loopback.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;
#[path = "../support/http_server.rs"]
mod http_server;
#[path = "../support/token_server.rs"]
mod token_server;

#[path = "../support/fake_graph.rs"]
mod fake_graph;

#[path = "../support/fake_proxy.rs"]
mod fake_proxy;

#[path = "../support/policy_server.rs"]
mod policy_server;

mod client_certificate;
mod connecting;
mod content;
mod domain_policies;
mod fault_matrix;
mod graph;
mod limits;
mod next_try;
mod oauth;
mod pacing;
mod pooling;
mod probing;
mod proxying;
mod relaying;
mod requiring_tls;
mod services;
mod support;
mod tokens;
