//! The SMTP protocol without sockets: grammar, replies, and the server's session.
//!
//! `smtp` decides nothing. The session asks, and whoever drives it answers.

pub mod command;
pub mod data;
pub mod extension;
pub mod foreign;
pub mod limits;
pub mod line;
pub mod parameter;
pub mod replies;
pub mod reply;
pub mod sasl;
pub mod server;
pub mod timing;
pub mod xtext;
