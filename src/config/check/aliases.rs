//! Other names that accounts log in with.

use std::collections::HashMap;

use toml::Spanned;

use super::context::Context;
use super::list::entries;
use crate::config::raw;
use crate::identity::{AccountName, folded};

/// An account of the file, with its name.
type Entry<'a> = (&'a Spanned<String>, &'a Spanned<raw::Account>);

/// Returns the aliases of each account that has some. A name and an alias mean one account, whatever their letter case.
pub(super) fn aliases(
    context: &mut Context,
    accounts: &[Entry<'_>],
) -> HashMap<AccountName, Vec<AccountName>> {
    let names = accounts.iter().map(|(key, _)| key.get_ref().as_str());
    let mut taken: HashMap<String, String> = names
        .map(|name| (folded(name), format!("the name of account `{name}`")))
        .collect();
    let mut aliases: HashMap<AccountName, Vec<AccountName>> = HashMap::new();
    for (key, account) in accounts {
        let (Ok(owner), Some(list)) = (
            AccountName::parse(key.get_ref()),
            &account.get_ref().aliases,
        ) else {
            continue;
        };
        for (entry, place) in entries(context, list).unwrap_or_default() {
            let alias = match AccountName::parse(&entry) {
                Ok(alias) => alias,
                Err(error) => {
                    let message = format!("`{entry}` cannot be a name to log in with");
                    context.error(place, message, error.to_string());
                    continue;
                }
            };
            let use_of_it = format!("an alias of account `{owner}`");
            if let Some(other) = taken.insert(folded(&entry), use_of_it) {
                let message = format!("`{entry}` is also {other}");
                let hint =
                    "a name to log in with belongs to one account; letter case does not count";
                context.error(place, message, hint);
                continue;
            }
            aliases.entry(owner.clone()).or_default().push(alias);
        }
    }
    aliases
}
