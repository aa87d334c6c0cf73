//! TLS configurations for both sides, and the loading of certificates.

pub mod client;
mod fault;
pub mod server;

pub use fault::fault;
