//! `posthouse account add`.

use crate::auth::CertificateId;
use crate::config::{AccountsFile, Checked, NewAccount};
use crate::identity::TenantName;
use crate::mail::Priority;

use crate::cli::configuration;
use crate::cli::failure::{Code, Failure};
use crate::cli::hash_password::hash;
use crate::cli::output::Output;
use crate::cli::running;

use super::command::{AccountOption, failed};
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
    /// A domain it may send as; *.example.com stands for all below. May be given several times
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// An address it may send as. May be given several times
    #[arg(long = "sender", value_name = "ADDRESS")]
    senders: Vec<String>,
    /// The tenant it belongs to
    #[arg(long, value_name = "NAME", value_parser = TenantName::parse)]
    tenant: Option<TenantName>,
    /// Its priority: 1 very high, 2 high, 3 normal, 4 low, 5 very low
    #[arg(long, value_name = "1-5", value_parser = priority)]
    priority: Option<Priority>,
    /// A note for people
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A certificate that it logs in with: a SHA-256 fingerprint or a name in it. May be given several times
    #[arg(long = "certificate", value_name = "CERTIFICATE", value_parser = CertificateId::parse)]
    certificates: Vec<CertificateId>,
    #[command(flatten)]
    password: PasswordOption,
}

fn priority(text: &str) -> Result<Priority, &'static str> {
    let number = text.parse().ok();
    number
        .and_then(Priority::from_number)
        .ok_or("a priority is a number from 1 (very high) to 5 (very low)")
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let option = arguments.account;
    let config = option.configuration.load()?;
    let by_certificate = !arguments.certificates.is_empty() && !arguments.password.is_given();
    let password = if by_certificate {
        None
    } else {
        Some(arguments.password.obtain()?)
    };
    let secret = password.as_ref().map(Password::secret);
    let scram = secret.map(|secret| arguments.password.scram(secret));
    let may_send_as_anyone = arguments.domains.is_empty() && arguments.senders.is_empty();
    let account = NewAccount {
        name: option.name,
        password: secret.map(hash).transpose()?,
        scram: scram.transpose()?.flatten(),
        tenant: arguments.tenant,
        priority: arguments.priority,
        note: arguments.note,
        certificates: arguments.certificates,
        authorized_domains: arguments.domains,
        authorized_senders: arguments.senders,
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
    if may_send_as_anyone {
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
