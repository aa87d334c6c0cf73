//! TLS configurations for both sides, and the loading of certificates.

pub mod client;
pub mod server;
