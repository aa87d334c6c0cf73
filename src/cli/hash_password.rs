//! `posthouse hash-password`.

use crate::auth::{PasswordHash, ScramVerifier, hash_password};
use crate::secret::Secret;

use super::failure::{Code, Failure};
use super::output::Output;
use super::secret_input;

/// Read a password from standard input and print its hash
///
/// The hash is what stands in accounts.toml behind `password`. `posthouse account` does this by itself; this command
/// is for programs that write the file on their own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse hash-password                              asks, without showing what is typed
  printf '%s' \"$PASSWORD\" | posthouse hash-password")]
pub(super) struct Arguments {
    /// Print what SCRAM-SHA-256 checks a login with, which stands behind `scram`
    #[arg(long)]
    scram: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    if arguments.scram {
        return output.line(verifier(&secret_input::read()?)?.as_str());
    }
    let hash = hash(&secret_input::read()?)?;
    output.line(hash.as_str())
}

/// Hashes a password with fresh salt.
pub(super) fn hash(password: &Secret) -> Result<PasswordHash, Failure> {
    hash_password(password, chance()?).map_err(|error| Failure::of(Code::Usage, &error))
}

/// Makes what is kept of a password for SCRAM, with fresh salt.
pub(super) fn verifier(password: &Secret) -> Result<ScramVerifier, Failure> {
    ScramVerifier::of(password, chance()?).map_err(|error| Failure::of(Code::Usage, &error))
}

/// Returns octets that nobody can guess.
pub(super) fn chance<const N: usize>() -> Result<[u8; N], Failure> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| {
        Failure::new(
            Code::Unavailable,
            format!("the system has no random numbers: {error}"),
        )
    })?;
    Ok(octets)
}
