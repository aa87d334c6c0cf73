//! Application passwords of an account.

use toml::Spanned;

use super::context::Context;
use crate::auth::{AppPassword, PasswordHash, Prefix};
use crate::config::day::Day;
use crate::config::raw;
use crate::identity::{AccountName, Label};

/// The most application passwords of an account.
const MAX: usize = 100;

/// Returns the application passwords without errors, in the order of the file.
pub(super) fn app_passwords(
    context: &mut Context,
    account: &raw::Account,
    name: &AccountName,
) -> Vec<AppPassword> {
    let mut in_file: Vec<_> = account.app_password.iter().collect();
    in_file.sort_by_key(|(key, _)| key.span().start);
    if let Some((key, _)) = in_file.get(MAX) {
        let message = format!("account `{name}` has more than {MAX} application passwords");
        context.error(key.span(), message, "revoke those that nobody uses");
    }
    let mut found: Vec<AppPassword> = Vec::new();
    for (key, raw) in in_file {
        let Some(password) = app_password(context, (key, raw), name) else {
            continue;
        };
        let twin = found.iter().find(|other| other.prefix == password.prefix);
        if let (Some(twin), Some(prefix)) = (twin, &raw.get_ref().prefix) {
            let message = format!(
                "application passwords `{}` and `{}` begin with the same letters",
                twin.label, password.label
            );
            context.error(
                prefix.span(),
                message,
                "revoke one of them and make another",
            );
            continue;
        }
        found.push(password);
    }
    found
}

fn app_password(
    context: &mut Context,
    (key, raw): (&Spanned<String>, &Spanned<raw::AppPassword>),
    name: &AccountName,
) -> Option<AppPassword> {
    let label = match Label::parse(key.get_ref()) {
        Ok(label) => label,
        Err(error) => {
            let message = format!(
                "`{}` cannot be the name of an application password",
                key.get_ref()
            );
            context.error(key.span(), message, error.to_string());
            return None;
        }
    };
    let raw = raw.get_ref();
    let expires = raw.expires.as_ref();
    if let Some(expires) = expires.filter(|_| raw.active) {
        context.turn_to(format!("account {name}"));
        let what = format!("the application password {label}");
        let repair = "make another with posthouse account app-password add, and revoke this one";
        context.ends(expires.span(), &what, expires.get_ref().begins(), repair);
    }
    let hash = hash(context, (key, raw), (name, &label));
    let prefix = prefix(context, (key, raw), (name, &label));
    Some(AppPassword {
        hash: hash?,
        prefix: prefix?,
        active: raw.active,
        created: raw.created.map(Day::begins),
        expires: expires.map(|expires| expires.get_ref().begins()),
        label,
    })
}

fn hash(
    context: &mut Context,
    (key, raw): (&Spanned<String>, &raw::AppPassword),
    (name, label): (&AccountName, &Label),
) -> Option<PasswordHash> {
    let hint = format!("posthouse account app-password add {name} {label} makes one");
    let Some(password) = &raw.password else {
        let path = path(name, label, "password");
        context.missing(key.span(), &path.each_ref().map(String::as_str), hint);
        return None;
    };
    let hash = PasswordHash::parse(password.get_ref().0.expose());
    hash.inspect_err(|error| {
        let message = format!("the password is not usable: {error}");
        context.error(password.span(), message, hint);
    })
    .ok()
}

fn prefix(
    context: &mut Context,
    (key, raw): (&Spanned<String>, &raw::AppPassword),
    (name, label): (&AccountName, &Label),
) -> Option<Prefix> {
    let hint =
        "the first five letters of the password, as posthouse account app-password add writes them";
    let Some(prefix) = &raw.prefix else {
        let path = path(name, label, "prefix");
        context.missing(key.span(), &path.each_ref().map(String::as_str), hint);
        return None;
    };
    let parsed = Prefix::parse(prefix.get_ref().0.expose());
    if parsed.is_none() {
        context.error(prefix.span(), "this is no prefix of a password", hint);
    }
    parsed
}

fn path(name: &AccountName, label: &Label, key: &str) -> [String; 5] {
    [
        "account",
        name.as_str(),
        "app_password",
        label.as_str(),
        key,
    ]
    .map(str::to_owned)
}
