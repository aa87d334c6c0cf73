//! MTA-STS (RFC 8461): what a domain says, over HTTPS, of the servers that take its mail.
//!
//! MX records of an unsigned zone can be forged. A policy names the servers and asks for TLS with a certificate that
//! proves who they are; whoever has seen it once holds on to it for as long as it says, so that an attacker who hides it
//! later gains nothing.
//!
//! `policy` reads, `cache` keeps and forgets, both without I/O; `store` has the file; `policies` asks DNS and HTTPS. What
//! it does *not* do: judge connections (`upstream` does), or report to domains (RFC 8460).

mod cache;
mod policies;
mod policy;
mod store;

pub use policies::{Policies, Source};
pub use policy::{MAX_AGE, MAX_PATTERNS, Mode, Pattern, Policy, PolicyError, announced_id};
