//! What is written into the messages of accounts: the sender in the place of unauthorized ones, and added fields.

use std::sync::Arc;

use toml::Spanned;

use super::context::Context;
use crate::config::raw;
use crate::mail::Mailbox;
use crate::message::{AddedField, AddedFieldError, is_plain_sender};
use crate::policy::{Grants, OnUnauthorized, Rules};

/// What counts for accounts that say nothing of it.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Senders {
    default_sender: Option<Mailbox>,
    added_fields: Arc<[AddedField]>,
}

/// Returns what `[accounts.defaults]` says, without what has errors.
pub(in crate::config) fn senders(context: &mut Context, raw: &raw::AccountDefaults) -> Senders {
    Senders {
        default_sender: raw
            .default_sender
            .as_ref()
            .and_then(|sender| default_sender(context, sender)),
        added_fields: added_fields(context, &raw.added_fields),
    }
}

impl Senders {
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
        &self,
        context: &mut Context,
        (key, account): (&Spanned<String>, &raw::Account),
        grants: &Rules,
    ) -> OnUnauthorized {
        let name = key.get_ref().as_str();
        let (sender, place) = match &account.default_sender {
            Some(own) => (default_sender(context, own), own.span()),
            None => (self.default_sender.clone(), key.span()),
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
