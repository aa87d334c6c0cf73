//! `posthouse tls`: the server's certificates.

mod command;
mod list;
mod renew;

pub(super) use command::{Arguments, run};
