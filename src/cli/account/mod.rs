//! `posthouse account`: who may log in, and as whom they may send.
//!
//! Edits go through [`AccountsFile`](crate::config::AccountsFile), which keeps comments and order. An edit is checked
//! with the whole configuration before it is kept, and a running server is told.

mod add;
mod app_password;
mod certificate;
mod change;
mod command;
mod edit;
mod keys;
mod list;
mod passwd;
mod setup;
mod show;
mod view;

pub(super) use command::{Arguments, run};
