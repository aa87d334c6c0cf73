//! `upstream::smtp` against a scripted server on loopback.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../support/fake_upstream.rs"]
mod fake_upstream;

#[path = "../support/fake_proxy.rs"]
mod fake_proxy;

mod client_certificate;
mod connecting;
mod pacing;
mod pooling;
mod proxying;
mod relaying;
mod services;
mod support;
