//! What is written into the messages of accounts: the sender in the place of unauthorized ones, and added fields.

use std::collections::HashMap;
use std::sync::Arc;

use toml::Spanned;

use super::context::Context;
use crate::config::raw;
use crate::config::sources::{Source, Sources};
use crate::identity::TenantName;
use crate::mail::Mailbox;
use crate::message::{AddedField, AddedFieldError, is_plain_sender};
use crate::policy::{Grants, OnUnauthorized, Rules, VerifiedSenders};

/// What counts for accounts that say nothing of it.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Senders {
    defaults: Said,
    tenants: HashMap<String, OfTenant>,
    added_fields: Arc<[AddedField]>,
}

/// What one table says of senders.
#[derive(Clone, Debug, Default)]
struct Said {
    check_header_from: Option<bool>,
    plus_addressing: Option<bool>,
    on_unauthorized: Option<raw::OnUnauthorized>,
    verified_senders: Option<raw::VerifiedSenders>,
    default_sender: Option<Mailbox>,
}

#[derive(Clone, Debug)]
struct OfTenant {
    parent: Option<String>,
    said: Said,
}

/// How an account's senders are judged, and which tables say so.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) check_header_from: bool,
    pub(super) plus_addressing: bool,
    pub(super) on_unauthorized: raw::OnUnauthorized,
    pub(super) verified_senders: VerifiedSenders,
    default_sender: Option<Mailbox>,
    pub(super) sources: Sources,
}

/// Returns what `[accounts.defaults]` and all `[tenant.NAME]` say, without what has errors.
pub(in crate::config) fn senders(
    context: &mut Context,
    raw: &raw::AccountDefaults,
    tenants: &raw::Named<raw::Tenant>,
) -> Senders {
    let mut sender = |sender: &Option<Spanned<String>>| {
        let sender = sender.as_ref();
        sender.and_then(|sender| default_sender(context, sender))
    };
    let defaults = Said {
        check_header_from: Some(raw.check_header_from),
        plus_addressing: Some(raw.plus_addressing),
        on_unauthorized: Some(raw.on_unauthorized),
        verified_senders: Some(raw.verified_senders),
        default_sender: sender(&raw.default_sender),
    };
    let tenant = |(name, tenant): (&Spanned<String>, &Spanned<raw::Tenant>)| {
        let tenant = tenant.get_ref();
        let said = Said {
            check_header_from: tenant.check_header_from,
            plus_addressing: tenant.plus_addressing,
            on_unauthorized: tenant.on_unauthorized,
            verified_senders: tenant.verified_senders,
            default_sender: sender(&tenant.default_sender),
        };
        let parent = tenant.parent.as_ref();
        let parent = parent.map(|parent| parent.get_ref().clone());
        (name.get_ref().clone(), OfTenant { parent, said })
    };
    Senders {
        defaults,
        tenants: tenants.iter().map(tenant).collect(),
        added_fields: added_fields(context, &raw.added_fields),
    }
}

impl Senders {
    /// Returns what counts for an account: what it says itself, else the next tenant above it that says something, else
    /// the defaults. Its own default sender is not among it.
    pub(super) fn terms(&self, account: &raw::Account, tenant: Option<&TenantName>) -> Terms {
        let own = Said {
            check_header_from: account.check_header_from,
            plus_addressing: account.plus_addressing,
            on_unauthorized: account.on_unauthorized,
            verified_senders: account.verified_senders,
            default_sender: None,
        };
        let mut tables = vec![(Source::Account, &own)];
        let mut next = tenant.map(TenantName::as_str);
        // Parents that go round in a circle are an error; they end here all the same.
        while let Some((name, of)) = next.and_then(|name| self.tenants.get_key_value(name))
            && tables.len() <= self.tenants.len()
        {
            if let Ok(name) = TenantName::parse(name) {
                tables.push((Source::Tenant(name), &of.said));
            }
            next = of.parent.as_deref();
        }
        tables.push((Source::Defaults, &self.defaults));
        let (check_header_from, of_header) = first(&tables, |said| said.check_header_from);
        let (plus_addressing, of_plus) = first(&tables, |said| said.plus_addressing);
        let (on_unauthorized, of_outcome) = first(&tables, |said| said.on_unauthorized);
        let (verified_senders, of_verified) = first(&tables, |said| said.verified_senders);
        let (default_sender, of_sender) = first(&tables, |said| said.default_sender.clone());
        let of_sender = match &account.default_sender {
            Some(_) => Source::Account,
            None => of_sender,
        };
        Terms {
            check_header_from: check_header_from.unwrap_or(true),
            plus_addressing: plus_addressing.unwrap_or_default(),
            on_unauthorized: on_unauthorized.unwrap_or_default(),
            verified_senders: match verified_senders.unwrap_or_default() {
                raw::VerifiedSenders::Additional => VerifiedSenders::Additional,
                raw::VerifiedSenders::Off => VerifiedSenders::Off,
                raw::VerifiedSenders::Required => VerifiedSenders::Required,
            },
            default_sender,
            sources: Sources {
                check_header_from: of_header,
                plus_addressing: of_plus,
                on_unauthorized: of_outcome,
                verified_senders: of_verified,
                default_sender: of_sender,
            },
        }
    }

    /// Returns the fields that are added to the mail of an account.
    pub(super) fn added_fields(
        &self,
        context: &mut Context,
        account: &raw::Account,
    ) -> Arc<[AddedField]> {
        match &account.added_fields {
            Some(own) => added_fields(context, own),
            None => Arc::clone(&self.added_fields),
        }
    }

    /// Returns what is done with an account's unauthorized mail where it is to be rewritten: never with a sender that the
    /// account may not use itself.
    pub(super) fn rewriting(
        terms: &Terms,
        context: &mut Context,
        (key, account): (&Spanned<String>, &raw::Account),
        grants: &Rules,
    ) -> OnUnauthorized {
        let name = key.get_ref().as_str();
        let (sender, place) = match &account.default_sender {
            Some(own) => (default_sender(context, own), own.span()),
            None => (terms.default_sender.clone(), key.span()),
        };
        let Some(sender) = sender else {
            if account.default_sender.is_none() && !context.is_wrong_below(&["account", name]) {
                let message =
                    format!("account `{name}` has no `default_sender` to rewrite senders to");
                let hint = "for example: default_sender = \"shop@example.com\"";
                context.error(place, message, hint);
            }
            return OnUnauthorized::Reject;
        };
        let is_known = grants.grants != Grants::Only(Vec::new());
        if is_known && !grants.may_use(&sender) {
            let message = format!("account `{name}` may not send as its default_sender {sender}");
            let hint =
                "add it to authorized_senders, or use an address that the account may send as";
            context.error(place, message, hint);
            return OnUnauthorized::Reject;
        }
        OnUnauthorized::Rewrite(sender)
    }
}

/// Returns what the first of these tables says that says something, and which it is.
fn first<T>(tables: &[(Source, &Said)], of: impl Fn(&Said) -> Option<T>) -> (Option<T>, Source) {
    let mut said = tables.iter();
    let found = said.find_map(|(source, said)| Some((of(said)?, source.clone())));
    found.map_or((None, Source::Defaults), |(value, source)| {
        (Some(value), source)
    })
}

fn default_sender(context: &mut Context, raw: &Spanned<String>) -> Option<Mailbox> {
    const HINT: &str = "for example \"shop@example.com\", without a display name";
    match Mailbox::parse(raw.get_ref()) {
        Ok(sender) if is_plain_sender(&sender) => Some(sender),
        Ok(_) => {
            let message = format!("`{}` has a local part that readers mistake", raw.get_ref());
            context.error(raw.span(), message, HINT);
            None
        }
        Err(error) => {
            let message = format!("`{}` is not an address: {error}", raw.get_ref());
            context.error(raw.span(), message, HINT);
            None
        }
    }
}

/// Returns the fields in the order of the file, without those that have errors.
fn added_fields(context: &mut Context, raw: &raw::Named<String>) -> Arc<[AddedField]> {
    let mut in_file: Vec<_> = raw.iter().collect();
    in_file.sort_by_key(|(name, _)| name.span().start);
    let mut fields: Vec<AddedField> = Vec::with_capacity(in_file.len());
    for (name, value) in in_file {
        let (text, is_known) = (name.get_ref(), |field: &AddedField| {
            field.name().eq_ignore_ascii_case(name.get_ref())
        });
        if fields.iter().any(is_known) {
            let message = format!("field `{text}` is added twice");
            let hint = "letter case of field names does not count";
            context.error(name.span(), message, hint);
            continue;
        }
        match AddedField::parse(text, value.get_ref()) {
            Ok(field) => fields.push(field),
            Err(error) => {
                let place = match error {
                    AddedFieldError::Name | AddedFieldError::Reserved => name.span(),
                    AddedFieldError::Placeholder(_) | AddedFieldError::Value => value.span(),
                };
                let message = format!("field `{text}` cannot be added: {error}");
                let hint =
                    "for example: added_fields = { \"X-Authenticated-User\" = \"{account}\" }";
                context.error(place, message, hint);
            }
        }
    }
    fields.into()
}
