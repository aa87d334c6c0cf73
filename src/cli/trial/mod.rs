//! `posthouse try`: the relay at once, with nothing configured.
//!
//! A trial writes an ordinary configuration into its folder and runs the server with it, so that everything in it is
//! as it would be in earnest: TLS, login, authorization, spool, relaying. Only the certificate is self-signed, the
//! listeners are on this machine alone, and mail goes into a folder.

mod command;
mod files;
mod paste;
mod ports;
mod url;
mod watch;

pub(super) use command::{Arguments, run};
