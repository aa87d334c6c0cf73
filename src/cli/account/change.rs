//! `posthouse account enable`, `disable` and `delete`.

use crate::cli::failure::Failure;
use crate::cli::output::Output;

use super::command::AccountOption;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    account: AccountOption,
}

pub(super) fn enable(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    account.edit(output, "enabled", |file| file.enable(&account.name))
}

pub(super) fn disable(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    account.edit(output, "disabled", |file| file.disable(&account.name))
}

pub(super) fn delete(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let account = &arguments.account;
    account.edit(output, "deleted", |file| file.delete(&account.name))
}
