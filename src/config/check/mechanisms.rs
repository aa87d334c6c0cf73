//! The mechanisms of AUTH that a listener offers, and whether they fit the accounts.

use std::sync::Arc;

use toml::Spanned;

use super::context::Context;
use super::list::entries;
use crate::auth::Account;
use crate::config::raw::{self, List};
use crate::smtp::sasl::Mechanism;

/// What can be configured.
const KNOWN: [Mechanism; 6] = [
    Mechanism::Login,
    Mechanism::Plain,
    Mechanism::ScramSha256,
    Mechanism::ScramSha256Plus,
    Mechanism::XOAuth2,
    Mechanism::OAuthBearer,
];

/// Returns the mechanisms of a listener, in the order of the offer.
pub(super) fn mechanisms(context: &mut Context, list: &Spanned<List>) -> Arc<[Mechanism]> {
    let entries = entries(context, list).unwrap_or_default();
    let names = KNOWN.map(|mechanism| format!("\"{mechanism}\"")).join(", ");
    if entries.is_empty() {
        let hint = format!(
            "leave the key out for those that work for every account, or name some of {names}"
        );
        context.error(list.span(), "there is no mechanism in this list", hint);
    }
    let mut found = Vec::new();
    for (entry, place) in entries {
        match Mechanism::parse(&entry).filter(|mechanism| KNOWN.contains(mechanism)) {
            Some(mechanism) if found.contains(&mechanism) => {
                let message = format!("{mechanism} is in this list twice");
                context.error(place, message, "take one of the two out");
            }
            Some(mechanism) => found.push(mechanism),
            None => {
                let message = format!("`{entry}` is no mechanism that can be offered");
                context.error(place, message, format!("known are {names}"));
            }
        }
    }
    found.into()
}

/// Checks that SCRAM works for every account where it is offered: many a client takes it before all others.
pub(in crate::config) fn check_scram(
    context: &mut Context,
    listeners: &[Spanned<raw::Listener>],
    accounts: &[Account],
) {
    let lists = listeners
        .iter()
        .filter_map(|listener| listener.get_ref().mechanisms.as_ref());
    for list in lists {
        let offered = entries(context, list).unwrap_or_default();
        let mut scram = offered.into_iter().filter(|(entry, _)| {
            matches!(
                Mechanism::parse(entry),
                Some(Mechanism::ScramSha256 | Mechanism::ScramSha256Plus)
            )
        });
        let Some((entry, place)) = scram.next() else {
            continue;
        };
        let mut active = accounts.iter().filter(|account| account.active);
        let without = active.find(|account| {
            let has_password = account.password.is_some();
            has_password && account.scram.is_none() || !account.app_passwords.is_empty()
        });
        let Some(account) = without else { continue };
        let name = &account.name;
        let (why, hint) = if account.app_passwords.is_empty() {
            (
                "has no verifier for it",
                format!(
                    "posthouse account passwd {name} --scram makes one, or account add {name} --scram where it is new; until all accounts have one, take {entry} out"
                ),
            )
        } else {
            (
                "has application passwords, which it cannot tell apart",
                format!("take {entry} out, or revoke the application passwords"),
            )
        };
        let message = format!("{entry} does not work for account `{name}`: it {why}");
        context.error(place, message, hint);
    }
}
