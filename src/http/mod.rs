//! Requests to HTTPS servers: token endpoints, Graph, policies, webhooks.
//!
//! HTTP/1.1 over TLS with the certificate checks of [`tls`](crate::tls). What it does *not* do:
//!
//! - it follows no redirect, so that what was meant for one host never goes to another; the answer is the redirect;
//! - it takes no answer larger than it was told, and waits no longer;
//! - it sends nothing over plain `http:`, but to this machine;
//! - it keeps no cookies, asks for no compression, and logs nothing: requests hold secrets, and so do addresses.
//!
//! Connections are kept and used again. A request goes out once; only where a kept connection turns out to be closed
//! before anything was written is it sent over another one.

mod answer;
mod client;
mod connector;
mod dial;
mod error;
mod request;

pub use answer::Answer;
pub use client::{Client, PlainHttp, Settings, Trust};
pub use dial::{Dial, DialError, Direct};
pub use error::HttpError;
pub use hyper::header;
pub use hyper::{HeaderMap, Method};
pub use request::Request;

#[cfg(test)]
mod tests;
