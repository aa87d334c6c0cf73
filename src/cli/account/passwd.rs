//! `posthouse account passwd`.

use crate::auth::ScramVerifier;
use crate::cli::failure::Failure;
use crate::cli::hash_password::{chance, hash, verifier};
use crate::cli::output::Output;
use crate::cli::running;
use crate::cli::secret_input;
use crate::secret::Secret;

use super::command::{AccountOption, find};

/// Give an account a new password
///
/// A new password is made and printed; it cannot be shown again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account passwd shop
  printf '%s' \"$PASSWORD\" | posthouse account passwd shop --password-stdin")]
pub(super) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
    #[command(flatten)]
    password: PasswordOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    let password = arguments.password.obtain()?;
    let hash = hash(password.secret())?;
    let config = account.configuration.load()?;
    // An account that had a verifier gets another, or listeners that offer SCRAM would fail it.
    let scram = if find(&config, &account.name)?.scram.is_some() {
        Some(verifier(password.secret())?)
    } else {
        arguments.password.scram(password.secret())?
    };
    let done = "has a new password";
    let data_dir = account.change(output, done, |file| {
        file.set_password(&account.name, &hash, scram.as_ref())
    })?;
    password.print(output)?;
    running::reload_after_edit(&data_dir, output)
}

/// Where the password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordOption {
    /// Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
    /// Keep besides what SCRAM-SHA-256 checks a login with; listeners offer that where all accounts have it
    #[arg(long)]
    scram: bool,
}

/// A password, and whether whoever typed the command knows it.
pub(super) enum Password {
    Given(Secret),
    Made(Secret),
}

impl PasswordOption {
    /// Returns whether a password is given, rather than to be made.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin
    }

    /// Makes what is kept of a password for SCRAM, where that is wanted.
    pub(super) fn scram(&self, password: &Secret) -> Result<Option<ScramVerifier>, Failure> {
        self.scram.then(|| verifier(password)).transpose()
    }

    pub(super) fn obtain(&self) -> Result<Password, Failure> {
        if self.password_stdin {
            secret_input::read().map(Password::Given)
        } else {
            Ok(Password::Made(crate::auth::generate_password::<20>(
                chance()?,
            )))
        }
    }
}

impl Password {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Given(secret) | Self::Made(secret) => secret,
        }
    }

    /// Prints a password that nobody knows yet.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Made(secret) => {
                output.field("password", secret.expose())?;
                output.line("Note it now: it is stored as a hash and cannot be shown again.")
            }
        }
    }
}
