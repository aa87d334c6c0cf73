//! `posthouse account add`.

use crate::config::{AccountsFile, Checked, NewAccount};

use crate::cli::configuration;
use crate::cli::failure::{Code, Failure};
use crate::cli::hash_password::hash;
use crate::cli::output::Output;
use crate::cli::running;

use super::command::{AccountOption, failed};
use super::keys::{KeyOptions, refuse_taken};
use super::passwd::{Password, PasswordOption};

/// Add an account and print its password
///
/// Without --domain and --sender the account may send as anyone. With --certificate no password is made, unless one is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account add shop --domain example.com --note 'web shop'
  posthouse account add scanner --sender scanner@example.com --priority 4
  posthouse account add ann@example.com --domain example.com --domain '*.example.com'")]
pub(super) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    password: PasswordOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let option = arguments.account;
    let config = option.configuration.load()?;
    refuse_taken(&config, &option.name, &option.name)?;
    arguments.keys.refuse_taken(&config, &option.name)?;
    let is_made = !arguments.keys.has_certificate() || arguments.password.is_given();
    let password = is_made.then(|| arguments.password.obtain()).transpose()?;
    let secret = password.as_ref().map(Password::secret);
    let scram = secret.map(|secret| arguments.password.scram(secret));
    let account = NewAccount {
        name: option.name,
        password: secret.map(hash).transpose()?,
        scram: scram.transpose()?.flatten(),
        keys: arguments.keys.values(),
    };
    add(&option.configuration.file, &config, &account)?;
    output.line(format_args!(
        "Account {} added to {}.",
        account.name,
        config.accounts_file.display()
    ))?;
    output.field("user name", &account.name)?;
    if let Some(password) = &password {
        password.print(output)?;
    }
    if arguments.keys.may_send_as_anyone() {
        output.line("It may send as anyone: --domain and --sender set bounds.")?;
    }
    running::reload_after_edit(&config.server.data_dir, output)
}

/// Adds the account; takes it away again where the configuration has errors with it.
fn add(file: &std::path::Path, config: &Checked, account: &NewAccount) -> Result<(), Failure> {
    let accounts = AccountsFile::new(config.accounts_file.clone());
    accounts.add(account).map_err(|error| failed(&error))?;
    let Err(failure) = configuration::load(file) else {
        return Ok(());
    };
    accounts
        .delete(&account.name)
        .map_err(|error| failed(&error))?;
    let message = format!("the account `{}` has not been added", account.name);
    Err(Failure {
        code: Code::Usage,
        message,
        ..failure
    })
}
