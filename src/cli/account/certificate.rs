//! `posthouse account certificate`.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::auth::CertificateId;
use crate::tls::server::read_own;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;

use super::command::AccountOption;

/// Certificates that an account logs in with, in the place of a password (EXTERNAL)
///
/// A certificate is named by its SHA-256 fingerprint, or by a name in it where an authority of `client_ca` has issued it: a
/// host name, an address, or CN= and the common name. `posthouse account show` lists them.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    Remove(Remove),
}

/// Let certificates open an account
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account certificate add printer --file printer.pem
  posthouse account certificate add printer printer-3.example.com")]
struct Add {
    #[command(flatten)]
    account: AccountOption,
    /// A fingerprint or a name; may be given several times
    #[arg(value_name = "CERTIFICATE", value_parser = CertificateId::parse, required_unless_present = "files")]
    ids: Vec<CertificateId>,
    /// A PEM file with a certificate, whose fingerprint is taken. May be given several times
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Let a certificate open an account no more; sessions that logged in with it end
#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    account: AccountOption,
    /// Which
    #[arg(value_name = "CERTIFICATE", value_parser = CertificateId::parse)]
    id: CertificateId,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Add(arguments) => add(arguments, output),
        Command::Remove(arguments) => remove(arguments, output),
    }
}

fn add(arguments: &Add, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    let mut ids = arguments.ids.clone();
    for file in &arguments.files {
        ids.push(fingerprint(file)?);
    }
    let config = account.configuration.load()?;
    for id in &ids {
        let owners = config.accounts.of_certificate(std::slice::from_ref(id));
        if let Some(owner) = owners.first().filter(|owner| owner.account != account.name) {
            let message = format!("certificate `{id}` belongs to account `{}`", owner.account);
            let hint = "`posthouse account certificate remove NAME CERTIFICATE` takes it away";
            return Err(Failure::new(Code::CannotCreate, message).with_hint(hint));
        }
    }
    let shown: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let done = format!("is known by {}", shown.join(", "));
    account.edit(output, &done, |file| {
        file.add_certificates(&account.name, &ids)
    })
}

/// Returns the fingerprint of the certificate in a file.
pub(super) fn fingerprint(file: &Path) -> Result<CertificateId, Failure> {
    let own = read_own(file).and_then(|own| CertificateId::parse(&own.fingerprint).ok());
    own.ok_or_else(|| {
        let message = format!("there is no certificate in {}", file.display());
        Failure::new(Code::NoInput, message)
            .with_hint("a PEM file, with -----BEGIN CERTIFICATE-----")
    })
}

fn remove(arguments: &Remove, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    let done = format!("is not known by {} any more", arguments.id);
    account.edit(output, &done, |file| {
        file.remove_certificate(&account.name, &arguments.id)
    })
}
