//! Accounts: who may log in, what each may send as, and which way its mail goes.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;

use super::alerts::add_account;
use super::aliases::aliases;
use super::app_passwords::app_passwords;
use super::client_certificates::certificates;
use super::context::Context;
use super::list::{entries, route, unknown_name};
use super::networks::network;
use super::quotas::AccountLimits;
use super::senders::{Senders, Terms};
use super::tenants::Names;
use crate::alert;
use crate::auth::{Account, CertificateId, PasswordHash, ScramVerifier};
use crate::config::raw;
use crate::config::sources::Sources;
use crate::identity::{AccountName, TenantName, folded};
use crate::mail::{Domain, Mailbox, Priority};
use crate::message::{AddressRule, PriorityHeader};
use crate::policy::{Detail, Grant, Grants, OnUnauthorized, Rules, Scope, VerifiedSenders};
use crate::quota;
use crate::route::Table;
use crate::submission::Profile;

/// The accounts in three views.
#[derive(Default)]
pub(in crate::config) struct CheckedAccounts {
    pub(in crate::config) accounts: Vec<Account>,
    pub(in crate::config) profiles: HashMap<AccountName, Profile>,
    pub(in crate::config) notes: HashMap<AccountName, String>,
    pub(in crate::config) verified: HashMap<AccountName, VerifiedSenders>,
    pub(in crate::config) sources: HashMap<AccountName, Sources>,
}

/// What accounts refer to, and are added to.
pub(in crate::config) struct Tables<'a> {
    pub(in crate::config) names: &'a Names,
    pub(in crate::config) routes: &'a mut Table,
    pub(in crate::config) quotas: &'a mut quota::Table,
    /// The limits of accounts that say nothing of them.
    pub(in crate::config) limits: Arc<quota::Limits>,
    /// The senders and fields of accounts that say nothing of them.
    pub(in crate::config) senders: Senders,
    /// Whom alerts are told.
    pub(in crate::config) alerts: &'a mut alert::Settings,
}

/// Returns the accounts without errors, and adds them to the routes and the quotas.
pub(in crate::config) fn accounts(
    context: &mut Context,
    raw: &raw::AccountsRoot,
    defaults: &raw::AccountDefaults,
    tables: Tables<'_>,
) -> CheckedAccounts {
    let mut checked = CheckedAccounts::default();
    let (names, limits) = (tables.names, AccountLimits::new(defaults, tables.limits));
    let mut taken: HashMap<String, AccountName> = HashMap::new();
    let mut networks: HashMap<IpNet, AccountName> = HashMap::new();
    let mut of_others: HashMap<CertificateId, AccountName> = HashMap::new();
    warn_of_exposed_passwords(context, raw);
    let mut in_file: Vec<_> = raw.account.iter().collect();
    in_file.sort_by_key(|(key, _)| key.span().start);
    let mut aliases = aliases(context, &in_file);
    for (key, spanned) in in_file {
        let Some(name) = name(context, key, &mut taken) else {
            continue;
        };
        let account = spanned.get_ref();
        let own_networks = own_networks(context, account, &name, &mut networks);
        let certificates = certificates(context, account, &name, &mut of_others);
        let password = password(context, account);
        let scram = scram(context, account);
        let app_passwords = app_passwords(context, account, &name);
        warn_of_unusable(context, account, key);
        let tenant = tenant(context, account, names);
        let own_route = account
            .upstream
            .as_ref()
            .and_then(|list| route(context, list, &names.upstreams));
        tables
            .routes
            .add_account(name.clone(), tenant.as_ref(), own_route);
        let (own_limits, over) = limits.of(context, account);
        tables
            .quotas
            .add_account(name.clone(), tenant.as_ref(), own_limits, over);
        let terms = tables.senders.terms(account, tenant.as_ref());
        let base = (defaults, &tables.senders, &terms);
        let owner = (&name, tenant.as_ref());
        add_account(context, tables.alerts, owner, account);
        let profile = profile(context, (key, account), base);
        checked.sources.insert(name.clone(), terms.sources);
        checked.profiles.insert(name.clone(), profile);
        checked
            .verified
            .insert(name.clone(), terms.verified_senders);
        checked
            .notes
            .extend(account.note.clone().map(|note| (name.clone(), note)));
        checked.accounts.push(Account {
            aliases: aliases.remove(&name).unwrap_or_default(),
            name,
            tenant,
            password,
            scram,
            app_passwords,
            certificates,
            active: account.active,
            networks: own_networks,
        });
    }
    checked
}

/// Hashes can be guessed at, day and night, by whoever can read them.
fn warn_of_exposed_passwords(context: &mut Context, raw: &raw::AccountsRoot) {
    let accounts = raw.account.values().map(Spanned::get_ref);
    let passwords = accounts.flat_map(|account| {
        let further = account.app_password.values().map(Spanned::get_ref);
        let further = further.filter_map(|further| further.password.as_ref());
        account.password.iter().chain(further)
    });
    let first = passwords.map(Spanned::span).min_by_key(|place| place.start);
    if let Some(place) = first.filter(|_| context.is_readable_by_others) {
        let message = "others can read the passwords of this file and try to guess them";
        context.warning(place, message, "chmod 600 this file");
    }
}

fn warn_of_unusable(context: &mut Context, account: &raw::Account, key: &Spanned<String>) {
    let name = key.get_ref().as_str();
    let is_reported = context.is_wrong_below(&["account", name]);
    let has_password = account.password.is_some() || !account.app_password.is_empty();
    let has_proof = has_password || account.networks.is_some() || account.certificates.is_some();
    if account.active && !has_proof && !is_reported {
        let message = format!("nobody can use account `{name}`: it has no password");
        let hint = format!(
            "posthouse account passwd {name} sets one; `networks` lets addresses in without one"
        );
        context.warning(key.span(), message, hint);
    }
}

fn name(
    context: &mut Context,
    key: &Spanned<String>,
    taken: &mut HashMap<String, AccountName>,
) -> Option<AccountName> {
    let name = match AccountName::parse(key.get_ref()) {
        Ok(name) => name,
        Err(error) => {
            let message = format!("`{}` cannot be the name of an account", key.get_ref());
            context.error(key.span(), message, error.to_string());
            return None;
        }
    };
    if let Some(other) = taken.insert(folded(name.as_str()), name.clone()) {
        let message = format!("accounts `{other}` and `{name}` differ only in letter case");
        let hint = "letter case of names does not count; give one of them another name";
        context.error(key.span(), message, hint);
        return None;
    }
    Some(name)
}

fn password(context: &mut Context, account: &raw::Account) -> Option<PasswordHash> {
    let password = account.password.as_ref()?;
    match PasswordHash::parse(password.get_ref().0.expose()) {
        Ok(hash) => Some(hash),
        Err(error) => {
            let message = format!("the password is not usable: {error}");
            let hint = "posthouse account passwd NAME sets one; posthouse hash-password makes the \
                        hash of one you have";
            context.error(password.span(), message, hint);
            None
        }
    }
}

fn scram(context: &mut Context, account: &raw::Account) -> Option<ScramVerifier> {
    let scram = account.scram.as_ref()?;
    let hint = "posthouse account passwd NAME --scram sets it with the password";
    if account.password.is_none() {
        let message = "a verifier for SCRAM stands beside a password";
        context.error(scram.span(), message, hint);
    }
    match ScramVerifier::parse(scram.get_ref().0.expose()) {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            let message = format!("the verifier is not usable: {error}");
            context.error(scram.span(), message, hint);
            None
        }
    }
}

fn tenant(context: &mut Context, account: &raw::Account, names: &Names) -> Option<TenantName> {
    let tenant = account.tenant.as_ref()?;
    let found = names
        .tenants
        .iter()
        .find(|known| known.as_str() == tenant.get_ref());
    if found.is_none() {
        let mut known: Vec<&str> = names.tenants.iter().map(TenantName::as_str).collect();
        known.sort_unstable();
        let hint = unknown_name("tenants", tenant.get_ref(), &known);
        let message = format!("unknown tenant `{}`", tenant.get_ref());
        context.error(tenant.span(), message, hint);
    }
    found.cloned()
}

/// What is wrong with a network that has every address, and what to do.
const EVERYBODY: (&str, &str) = (
    "is the whole internet: anybody could send",
    "name the network of the devices",
);

fn own_networks(
    context: &mut Context,
    account: &raw::Account,
    name: &AccountName,
    taken: &mut HashMap<IpNet, AccountName>,
) -> Vec<IpNet> {
    let list = account.networks.as_ref();
    let entries = list.and_then(|list| entries(context, list));
    let mut networks = Vec::new();
    for (entry, place) in entries.unwrap_or_default() {
        let network = match network(&entry, EVERYBODY) {
            Ok(network) => network,
            Err((message, hint)) => {
                context.error(place, message, hint);
                continue;
            }
        };
        if account.active
            && let Some(other) = taken.insert(network, name.clone())
        {
            let message = format!("network `{network}` also belongs to account `{other}`");
            context.error(place, message, "a network belongs to one account");
        }
        networks.push(network);
    }
    networks
}

fn profile(
    context: &mut Context,
    (key, account): (&Spanned<String>, &raw::Account),
    (defaults, senders, terms): (&raw::AccountDefaults, &Senders, &Terms),
) -> Profile {
    let priority = |number: u64| u8::try_from(number).ok().and_then(Priority::from_number);
    let own = priority(account.priority.unwrap_or(defaults.priority).get());
    let max = priority(account.max_priority.unwrap_or(defaults.max_priority).get());
    let is_strict = account
        .strict_addresses
        .unwrap_or(defaults.strict_addresses);
    let header = account.priority_header.unwrap_or(defaults.priority_header);
    Profile {
        rules: rules(context, (key, account), terms),
        priority: own.unwrap_or_default(),
        max_priority: max.filter(|max| *max != Priority::VeryHigh),
        priority_header: match header {
            raw::PriorityHeader::Keep => PriorityHeader::Keep,
            raw::PriorityHeader::Set => PriorityHeader::Set,
            raw::PriorityHeader::Strip => PriorityHeader::Strip,
        },
        address_rule: if is_strict {
            AddressRule::All
        } else {
            AddressRule::Senders
        },
        added_fields: senders.added_fields(context, account),
    }
}

fn rules(
    context: &mut Context,
    (key, account): (&Spanned<String>, &raw::Account),
    terms: &Terms,
) -> Rules {
    let mut rules = Rules {
        grants: grants(context, (key, account), terms.verified_senders),
        scope: if terms.check_header_from {
            Scope::EnvelopeAndHeader
        } else {
            Scope::Envelope
        },
        detail: if terms.plus_addressing {
            Detail::Ignored
        } else {
            Detail::Significant
        },
        on_unauthorized: OnUnauthorized::Reject,
    };
    rules.on_unauthorized = match terms.on_unauthorized {
        raw::OnUnauthorized::Alert => OnUnauthorized::Alert,
        raw::OnUnauthorized::Hold => OnUnauthorized::Hold,
        raw::OnUnauthorized::Reject => OnUnauthorized::Reject,
        raw::OnUnauthorized::Rewrite => Senders::rewriting(terms, context, (key, account), &rules),
    };
    rules
}

fn grants(
    context: &mut Context,
    (key, account): (&Spanned<String>, &raw::Account),
    verified: VerifiedSenders,
) -> Grants {
    let mut grants = Vec::new();
    let mut is_written = false;
    for (list, parse) in [
        (&account.authorized_domains, domain as Parse),
        (&account.authorized_senders, sender),
    ] {
        let Some(list) = list else { continue };
        let Some(entries) = entries(context, list) else {
            is_written = true;
            continue;
        };
        is_written |= !entries.is_empty();
        for (entry, place) in entries {
            match parse(&entry) {
                Ok(grant) => grants.push(grant),
                Err((message, hint)) => context.error(place, message, hint),
            }
        }
    }
    if is_written {
        // Never `Anyone`, even if no entry could be read: the errors refuse the file, and this is the second lock.
        return Grants::Only(grants);
    }
    let name = key.get_ref().as_str();
    let is_anyone = verified != VerifiedSenders::Required;
    if is_anyone && !context.is_wrong_below(&["account", name]) {
        let message = format!("account `{name}` may send as anyone");
        let hint = "list what it may send as in authorized_domains and authorized_senders";
        context.warning(key.span(), message, hint);
    }
    Grants::Anyone
}

type Parse = fn(&str) -> Result<Grant, (String, String)>;

fn domain(entry: &str) -> Result<Grant, (String, String)> {
    let refused = |hint: String| Err((format!("`{entry}` is not a domain"), hint));
    if let Some(parent) = entry.strip_prefix("*.") {
        return match Domain::parse(parent) {
            Ok(domain) if domain.as_ascii().contains('.') => Ok(Grant::Subdomains(domain)),
            Ok(_) => refused(format!("this would be every domain below `{parent}`")),
            Err(_) => refused("for example \"*.example.com\"".to_owned()),
        };
    }
    match Domain::parse(entry) {
        Ok(domain) => Ok(Grant::Domain(domain)),
        Err(_) if entry == "*" => {
            refused("leave both lists out to let the account send as anyone".to_owned())
        }
        Err(_) if Mailbox::parse(entry).is_ok() => {
            refused("addresses are listed in authorized_senders".to_owned())
        }
        Err(_) => match entry.trim_start_matches('@').trim_end_matches('.') {
            bare if Domain::parse(bare).is_ok() => refused(format!("write \"{bare}\"")),
            _ => refused("for example \"example.com\" or \"*.example.com\"".to_owned()),
        },
    }
}

fn sender(entry: &str) -> Result<Grant, (String, String)> {
    if let Some(domain) = entry.strip_prefix("*@") {
        let message = format!("`{entry}` is one address, of somebody called `*`");
        return Err((message, format!("list \"{domain}\" in authorized_domains")));
    }
    Mailbox::parse(entry).map(Grant::Mailbox).map_err(|error| {
        let hint = if Domain::parse(entry.trim_start_matches('@')).is_ok() {
            "whole domains are listed in authorized_domains"
        } else {
            "for example \"info@example.com\", without a display name"
        };
        (
            format!("`{entry}` is not an address: {error}"),
            hint.to_owned(),
        )
    })
}
