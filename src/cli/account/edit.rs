//! `posthouse account edit`.

use clap::builder::PossibleValuesParser;

use crate::cli::configuration;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::cli::running;
use crate::config::{AccountKey, AccountsFile, KeyChange};

use super::command::{AccountOption, failed, find};
use super::keys::KeyOptions;

/// Change what an account is allowed, and where its mail goes
///
/// What is given takes the place of what was there; of options that may be given several times, all of it. The rest stays as
/// it is, with its comments. Nothing is changed where the configuration would have errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse account edit shop --domain example.com --domain example.net
  posthouse account edit shop --alert-mail owner@example.com --on-unauthorized hold
  posthouse account edit shop --unset priority --unset messages")]
pub(super) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
    #[command(flatten)]
    keys: KeyOptions,
    /// A key to take out, so that its default counts. May be given several times
    #[arg(long, value_name = "KEY", value_parser = unset())]
    unset: Vec<String>,
}

fn unset() -> PossibleValuesParser {
    PossibleValuesParser::new(AccountKey::ALL.iter().map(|key| key.as_str()))
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let option = &arguments.account;
    let config = option.configuration.load()?;
    let name = &find(&config, &option.name)?.name;
    arguments.keys.refuse_taken(&config, name)?;
    let set = arguments.keys.values().into_iter();
    let set = set.map(|(key, value)| KeyChange::Set(key, value));
    let known = AccountKey::ALL.iter().copied();
    let unset = known.filter(|key| arguments.unset.iter().any(|text| text == key.as_str()));
    let changes: Vec<_> = unset.map(KeyChange::Unset).chain(set).collect();
    if changes.is_empty() {
        let message = "nothing is to be changed";
        let hint = "posthouse account edit --help lists what can be";
        return Err(Failure::new(Code::Usage, message).with_hint(hint));
    }
    let accepted = AccountsFile::new(config.accounts_file.clone())
        .change(name, &changes, || {
            configuration::load(&option.configuration.file).map(drop)
        })
        .map_err(|error| failed(&error))?;
    if let Err(failure) = accepted {
        return Err(Failure {
            code: Code::Usage,
            message: format!("the account `{name}` has not been changed"),
            ..failure
        });
    }
    output.line(format_args!("Account {name} changed."))?;
    running::reload_after_edit(&config.server.data_dir, output)
}
