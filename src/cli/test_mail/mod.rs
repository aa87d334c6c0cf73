//! `posthouse test-mail`: one message to one upstream, with the whole dialogue.

mod command;
mod dialogue;
mod message;
mod words;

pub(super) use command::{Arguments, run};
