//! The command line: one file for each subcommand.
//!
//! Results go to standard output, as tables with colours on a terminal and as plain lines with tabs elsewhere, or as
//! JSON where `--json` asks for it. Errors go to standard error as `error: …` and `hint: …`. Exit codes are those of
//! sysexits(3); `failure::Failure` has them. This is the only module that prints.

mod account;
mod alerts;
mod arguments;
mod auth;
mod check;
mod completions;
mod configuration;
mod dkim;
mod explain;
mod failure;
mod hash_password;
mod listener;
mod man;
mod output;
mod probe;
mod queue;
mod reload;
mod run;
mod running;
mod secret_input;
mod sender;
mod serve;
mod settings;
mod status;
mod table;
mod test_mail;
mod tls;
mod trace;
mod trial;
mod upstream;

pub use run::run;
