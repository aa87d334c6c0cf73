//! The composition root: builds everything, starts and stops it in order, reloads.
//!
//! Order of a start: configuration, ports, privileges dropped, log, spool, relay, submission, control socket. A stop
//! goes the other way: no new connections, messages in progress end, running attempts end, the spool closes.

mod build;
mod drain;
mod error;
mod operator;
mod orphans;
mod privileges;
mod reload;
mod reroute;
mod run;

pub use drain::Drained;
pub use error::AppError;
pub use reroute::{placement, reroute};
pub use run::{Options, serve};
