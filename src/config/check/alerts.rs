//! Alerts: which are told, when, and to whom.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use url::Url;

use super::context::Context;
use super::list::{entries, route, unknown_name};
use super::upstreams::is_endpoint;
use crate::alert::{Contacts, Delivery, Kind, OfAccount, OfTenant, Settings, Webhook};
use crate::config::raw;
use crate::config::secret::resolve;
use crate::identity::{AccountName, TenantName, UpstreamName};
use crate::mail::Mailbox;

/// Returns what is told, to the server's contacts and those of the tenants. The accounts are still to be added.
pub(in crate::config) fn alerts(
    context: &mut Context,
    root: &raw::Root,
    upstreams: &BTreeSet<UpstreamName>,
) -> Settings {
    let raw = &root.alerts;
    let mut settings = Settings {
        kinds: kinds(context, &raw.kinds),
        delivery: match raw.delivery {
            raw::AlertDelivery::AtOnce => Delivery::AtOnce,
            raw::AlertDelivery::Digest => Delivery::Digest {
                every: raw.digest_every.get(),
            },
        },
        keep: raw.keep.get(),
        late_after: Some(raw.delivery_time.get()).filter(|time| !time.is_zero()),
        route: raw
            .upstream
            .as_ref()
            .and_then(|list| route(context, list, upstreams)),
        server: Contacts {
            mail: mailboxes(context, raw.mail.as_ref()),
            webhook: webhook(context, raw.webhook.as_ref()),
        },
        ..Settings::default()
    };
    let mut in_file: Vec<_> = root.tenant.iter().collect();
    in_file.sort_by_key(|(key, _)| key.span().start);
    for (key, tenant) in in_file {
        let tenant = tenant.get_ref();
        let contacts = Contacts {
            mail: mailboxes(context, tenant.alert_mail.as_ref()),
            webhook: webhook(context, tenant.alert_webhook.as_ref()),
        };
        // Wrong names have been reported with the routes.
        let Ok(name) = TenantName::parse(key.get_ref()) else {
            continue;
        };
        let parent = tenant.parent.as_ref();
        let parent = parent.and_then(|parent| TenantName::parse(parent.get_ref()).ok());
        settings.tenants.insert(name, OfTenant { parent, contacts });
    }
    settings
}

/// Adds an account.
pub(super) fn add_account(
    context: &mut Context,
    settings: &mut Settings,
    (name, tenant): (&AccountName, Option<&TenantName>),
    account: &raw::Account,
) {
    let mail = mailboxes(context, account.alert_mail.as_ref());
    if tenant.is_some() || !mail.is_empty() {
        let tenant = tenant.cloned();
        settings
            .accounts
            .insert(name.clone(), OfAccount { tenant, mail });
    }
}

fn kinds(context: &mut Context, list: &Spanned<raw::List>) -> BTreeSet<Kind> {
    let known = Kind::ALL.map(Kind::as_str);
    let mut kinds = BTreeSet::new();
    for (entry, place) in entries(context, list).unwrap_or_default() {
        let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == entry);
        if let Some(kind) = found {
            kinds.insert(kind);
        } else {
            let hint = unknown_name("kinds", &entry, &known);
            context.error(place, format!("unknown kind of alert `{entry}`"), hint);
        }
    }
    kinds
}

fn mailboxes(context: &mut Context, list: Option<&Spanned<raw::List>>) -> Vec<Mailbox> {
    let entries = list.and_then(|list| entries(context, list));
    let mut mailboxes = Vec::new();
    for (entry, place) in entries.unwrap_or_default() {
        match Mailbox::parse(&entry) {
            Ok(mailbox) => mailboxes.push(mailbox),
            Err(error) => {
                let message = format!("`{entry}` is not an address: {error}");
                let hint = "for example \"ops@example.com\", without a display name";
                context.error(place, message, hint);
            }
        }
    }
    mailboxes
}

fn webhook(context: &mut Context, raw: Option<&Spanned<raw::Webhook>>) -> Option<Webhook> {
    let spanned = raw?;
    let raw = spanned.get_ref();
    let (url, secret) = (raw.url.as_ref(), raw.secret.as_ref());
    let url =
        present(context, url, (spanned.span(), "url", URL)).and_then(|url| address(context, url));
    let secret = present(context, secret, (spanned.span(), "secret", SECRET)).and_then(|secret| {
        context.turn_to("a webhook of alerts");
        resolve(context, secret)
    });
    let ca_file = raw.ca_file.as_ref().map(|file| authority(context, file));
    Some(Webhook {
        url: url?,
        secret: secret?,
        ca_file,
    })
}

const URL: &str = "for example: url = \"https://hooks.example.com/posthouse\"";

const SECRET: &str =
    "what requests are signed with, such as secret = { file = \"secrets/webhook\" }";

fn present<'a, T>(
    context: &mut Context,
    value: Option<&'a T>,
    (place, key, hint): (Range<usize>, &str, &str),
) -> Option<&'a T> {
    if value.is_none() {
        context.error(place, format!("`{key}` is missing in this webhook"), hint);
    }
    value
}

fn address(context: &mut Context, text: &Spanned<String>) -> Option<Url> {
    let url = Url::parse(text.get_ref()).ok().filter(is_endpoint);
    if url.is_none() {
        let hint = "for example: \"https://hooks.example.com/posthouse\"; http is for this machine alone, without user name \
                    and fragment";
        context.error(text.span(), "this is not an https address", hint);
    }
    url
}

/// Returns the file of authorities if one is named; `None` after an error.
/// Returns the file of authorities, after an error too.
fn authority(context: &mut Context, file: &Spanned<PathBuf>) -> PathBuf {
    let path = context.path(file.get_ref());
    if let Err(error) = crate::tls::client::authority(&path) {
        let hint = "a PEM file with the certificate of the authority; a relative path starts at the folder of this file";
        context.error(file.span(), crate::telemetry::chain(&error), hint);
    }
    path
}
