//! Handing messages to upstreams: claim, attempt, settle, report.
//!
//! Knows the spool and the upstreams as traits, and nothing of submission.

mod attempt;
mod board;
mod chronicle;
mod dispatcher;
mod fate;
mod health;
mod neglect;
mod news;
mod notify;
mod parking;
mod standing;

pub use board::{Arrangement, Lane};
pub use dispatcher::{Relay, Settings};
pub use parking::{History, Park};
pub use standing::{State, Troubled, UpstreamStanding};
