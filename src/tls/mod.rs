//! TLS configurations for both sides, and the loading of certificates.

pub mod client;
mod fault;
mod files;
pub mod server;

pub use fault::{fault, late_refusal, refusal};
pub use files::FilesError;
