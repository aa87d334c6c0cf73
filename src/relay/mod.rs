//! Handing messages to upstreams: claim, attempt, settle, report.
//!
//! Knows the spool and the upstreams as traits, and nothing of submission.

mod attempt;
mod board;
mod chronicle;
mod dispatcher;
mod fate;
mod neglect;
mod news;
mod notify;

pub use board::{Arrangement, Lane, UpstreamStanding};
pub use dispatcher::{Relay, Settings};
