//! `posthouse account setup`: what to type into a client, from the configuration as it is.
//!
//! Nothing here knows a password: what is printed has a placeholder, or reads the password from the environment.

mod access;
mod choice;
mod client;
mod command;
mod quote;
mod text;

pub(super) use command::{Arguments, run};
