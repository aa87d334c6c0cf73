//! TLS configurations for both sides, and the loading of certificates.

pub mod server;
pub mod client;
