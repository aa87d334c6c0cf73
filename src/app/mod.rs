//! The composition root: builds everything, starts and stops it in order, reloads.
//!
//! Order of a start: configuration, ports, privileges dropped, log, spool, relay, submission, control socket. A stop
//! goes the other way: no new connections, messages in progress end, running attempts end, the spool closes.

mod alerts;
mod build;
mod certificates;
mod challenges;
mod error;
pub mod expiry;
mod faults;
mod operator;
mod orphans;
mod privileges;
mod public;
mod register;
mod reload;
mod reroute;
mod run;
mod runtimes;
mod sandbox;
pub mod senders;
mod tended;

pub use certificates::certificates;
pub use error::AppError;
pub use faults::raise_panics;
pub use register::Register;
pub use reroute::{placement, reroute};
pub use run::{Options, serve};
