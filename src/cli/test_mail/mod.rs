//! `posthouse test-mail`: one message, and what becomes of it: straight to an upstream, or the way of an account's mail
//! through the running server.

mod command;
mod direct;
mod message;
mod queued;
mod sender;
mod words;

pub(super) use command::{Arguments, run};
