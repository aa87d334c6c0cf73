//! The Unix socket between a running server and the command line.
//!
//! The socket is `control` in the data directory, for the user of the server alone. One JSON object each line: a
//! [`protocol::Call`] with the version of the protocol, answered by one [`protocol::Response`]; any number of calls on
//! one connection, one after the other. Lines have a bound on both sides.
//!
//! [`queue::answer`] answers what is asked about the queue from any [`SpoolAdmin`](crate::spool::SpoolAdmin), so that
//! the command line does the same on a spool whose server does not run.

pub mod certificates;
pub mod client;
pub mod protocol;
pub mod queue;
pub mod senders;
pub mod server;
pub mod sums;
pub mod trace;
pub mod view;
