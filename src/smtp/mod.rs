//! The SMTP protocol without sockets: grammar, replies, and the server's session.
//!
//! `smtp` decides nothing. The session asks, and whoever drives it answers.

pub mod extension;
pub mod reply;
pub mod server;
