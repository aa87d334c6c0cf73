//! From arguments to an exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Parser as _;

use super::arguments::{Arguments, Command};
use super::failure::{Code, Failure};
use super::output::Output;
use super::{
    account, alerts, auth, check, completions, dkim, explain, hash_password, listener, man, queue,
    reload, sender, serve, status, test_mail, tls, trace, trial, upstream,
};

/// Does what the arguments say; returns the exit code (sysexits(3)). Blocks until it is done.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too; they are printed to standard output. Nobody is left to tell
            // where printing fails.
            let _ = error.print();
            return if error.use_stderr() {
                Code::Usage.number()
            } else {
                0
            };
        }
    };
    match execute(arguments.command, &mut Output::standard()) {
        Ok(()) => 0,
        Err(failure) => {
            tell(&failure);
            failure.code.number()
        }
    }
}

fn execute(command: Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Account(arguments) => account::run(arguments, output),
        Command::Alerts(arguments) => alerts::run(&arguments, output),
        Command::Auth(arguments) => auth::run(&arguments, output),
        Command::Check(arguments) => check::run(&arguments, output),
        Command::Completions(arguments) => completions::run(&arguments, output),
        Command::Dkim(arguments) => dkim::run(&arguments, output),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::HashPassword(arguments) => hash_password::run(&arguments, output),
        Command::Listener(arguments) => listener::run(arguments, output),
        Command::Man(arguments) => man::run(&arguments, output),
        Command::Queue(arguments) => queue::run(arguments, output),
        Command::Reload(arguments) => reload::run(&arguments, output),
        Command::Sender(arguments) => sender::run(arguments, output),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Status(arguments) => status::run(&arguments, output),
        Command::TestMail(arguments) => test_mail::run(&arguments, output),
        Command::Tls(arguments) => tls::run(arguments, output),
        Command::Trace(arguments) => trace::run(&arguments, output),
        Command::Try(arguments) => trial::run(&arguments, output),
        Command::Upstream(arguments) => upstream::run(arguments, output),
    }
}

fn tell(failure: &Failure) {
    if failure.code == Code::NobodyReads {
        return;
    }
    let (error, hint) = if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        ("\u{1b}[1;31merror:\u{1b}[0m", "\u{1b}[1mhint:\u{1b}[0m")
    } else {
        ("error:", "hint:")
    };
    let details = failure
        .details
        .iter()
        .map(|details| format!("{details}\n\n"));
    let message = std::iter::once(format!("{error} {}\n", failure.message));
    let advice = failure.hint.iter().map(|text| format!("{hint} {text}\n"));
    let lines: Vec<String> = details.chain(message).chain(advice).collect();
    // Where standard error is closed, the exit code still tells.
    let _ = io::stderr().write_all(lines.concat().as_bytes());
}
