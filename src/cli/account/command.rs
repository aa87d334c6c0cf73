//! The subcommands, and what they have in common.

use std::path::PathBuf;

use clap::Subcommand;

use crate::auth::Account;
use crate::config::{AccountsFile, AccountsFileError, Checked};
use crate::identity::AccountName;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::running;

use super::{add, app_password, certificate, change, edit, list, passwd, setup, show};

/// Add, show and change accounts
///
/// Accounts live in accounts.toml, which can also be edited by hand: comments and order stay. Passwords are stored as
/// argon2id hashes; a password is shown once, when it is made.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Box<add::Arguments>),
    List(list::Arguments),
    Show(show::Arguments),
    #[command(visible_alias = "set")]
    Edit(Box<edit::Arguments>),
    Passwd(passwd::Arguments),
    AppPassword(app_password::Arguments),
    Certificate(certificate::Arguments),
    Setup(setup::Arguments),
    /// Let a disabled account be used again
    Enable(change::Arguments),
    /// Keep an account from being used, without deleting it
    ///
    /// Clients hear that user name or password are wrong. Mail that has been accepted is relayed all the same.
    Disable(change::Arguments),
    /// Delete an account
    ///
    /// Mail that has been accepted is relayed all the same.
    Delete(change::Arguments),
}

pub(in crate::cli) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    match arguments.command {
        Command::Add(arguments) => add::run(*arguments, output),
        Command::List(arguments) => list::run(&arguments, output),
        Command::Show(arguments) => show::run(&arguments, output),
        Command::Edit(arguments) => edit::run(&arguments, output),
        Command::AppPassword(arguments) => app_password::run(arguments, output),
        Command::Certificate(arguments) => certificate::run(&arguments, output),
        Command::Passwd(arguments) => passwd::run(&arguments, output),
        Command::Setup(arguments) => setup::run(&arguments, output),
        Command::Enable(arguments) => change::enable(&arguments, output),
        Command::Disable(arguments) => change::disable(&arguments, output),
        Command::Delete(arguments) => change::delete(&arguments, output),
    }
}

/// Which account is meant.
#[derive(Debug, clap::Args)]
pub(super) struct AccountOption {
    /// The account
    #[arg(value_name = "NAME", value_parser = AccountName::parse)]
    pub(super) name: AccountName,
    #[command(flatten)]
    pub(super) configuration: ConfigurationOption,
}

impl AccountOption {
    /// Makes an edit, and lets a running server know.
    pub(super) fn edit(
        &self,
        output: &mut Output,
        done: &str,
        change: impl FnOnce(&AccountsFile) -> Result<(), AccountsFileError>,
    ) -> Result<(), Failure> {
        let data_dir = self.change(output, done, change)?;
        running::reload_after_edit(&data_dir, output)
    }

    /// Makes an edit; returns the data directory, where a running server can be found.
    pub(super) fn change(
        &self,
        output: &mut Output,
        done: &str,
        change: impl FnOnce(&AccountsFile) -> Result<(), AccountsFileError>,
    ) -> Result<PathBuf, Failure> {
        let config = self.configuration.load()?;
        change(&AccountsFile::new(config.accounts_file)).map_err(|error| failed(&error))?;
        output.line(format_args!("Account {} {done}.", self.name))?;
        Ok(config.server.data_dir)
    }
}

/// Finds an account by its name; letter case does not count.
pub(super) fn find<'a>(config: &'a Checked, name: &AccountName) -> Result<&'a Account, Failure> {
    config.accounts.find(name.as_str()).ok_or_else(|| {
        let message = format!("there is no account `{name}`");
        Failure::new(Code::NoInput, message).with_hint("`posthouse account list` shows all")
    })
}

/// Tells why the accounts file has not been changed.
pub(super) fn failed(error: &AccountsFileError) -> Failure {
    match error {
        AccountsFileError::AppPasswordExists(_) => Failure::of(Code::CannotCreate, error)
            .with_hint("`posthouse account app-password revoke NAME LABEL` removes it"),
        AccountsFileError::AppPasswordMissing(_) => Failure::of(Code::NoInput, error)
            .with_hint("`posthouse account app-password list NAME` shows all"),
        AccountsFileError::CertificateExists(_) => Failure::of(Code::CannotCreate, error),
        AccountsFileError::CertificateMissing(_) => {
            Failure::of(Code::NoInput, error).with_hint("`posthouse account show NAME` lists them")
        }
        AccountsFileError::Exists(_) => Failure::of(Code::CannotCreate, error)
            .with_hint("`posthouse account passwd NAME` gives it a new password"),
        AccountsFileError::Invalid(report) => {
            Failure::new(Code::Configuration, error.to_string()).with_details(report.to_string())
        }
        AccountsFileError::Missing(_) => {
            Failure::of(Code::NoInput, error).with_hint("`posthouse account list` shows all")
        }
        AccountsFileError::Read { path, source } => {
            Failure::file(Code::NoInput, "read", path, source)
        }
        AccountsFileError::Write { path, source } => {
            Failure::file(Code::CannotCreate, "write", path, source)
        }
    }
}
