//! `[[tls.name]]`: certificates that clients get who ask for a name.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::{both, files_of, issued, named as of_names};
use crate::acme::Settings;
use crate::config::check::context::Context;
use crate::config::check::list::{Entry, entries};
use crate::config::raw;
use crate::mail::Domain;
use crate::tls::client::PeerCertificate;
use crate::tls::server::{Named, Source, covers};

/// Returns the certificates that are for some names, or `None` after an error.
pub(super) fn named(
    context: &mut Context,
    tables: &[Spanned<raw::TlsName>],
    mut acme: Option<&mut Settings>,
) -> Option<Vec<Named>> {
    let mut known = BTreeSet::new();
    let mut all = Vec::with_capacity(tables.len());
    for (index, table) in tables.iter().enumerate() {
        let names = names_of(context, table, index);
        if let Some(names) = &names {
            refuse_twice(context, names, &mut known);
        }
        let certificate = certificate(
            context,
            (table, index),
            names.as_deref(),
            acme.as_deref_mut(),
        );
        all.push(names.zip(certificate).map(|(names, certificate)| {
            of_names(
                names.into_iter().map(|(name, _)| name).collect(),
                certificate,
            )
        }));
    }
    all.into_iter().collect()
}

fn names_of(
    context: &mut Context,
    table: &Spanned<raw::TlsName>,
    index: usize,
) -> Option<Vec<Entry>> {
    let Some(list) = &table.get_ref().names else {
        let path = ["tls", "name", &index.to_string(), "names"];
        context.missing(table.span(), &path, HINT);
        return None;
    };
    let entries = entries(context, list)?;
    if entries.is_empty() {
        context.error(list.span(), "there is no name in this list", HINT);
        return None;
    }
    let names = entries.into_iter().map(|entry| host_name(context, entry));
    // All of them are looked at before the first fault counts.
    let names: Vec<_> = names.collect();
    names.into_iter().collect()
}

const HINT: &str = "the names that clients connect to: names = [\"mail.customer.example\", \"*.customer.example\"]";

/// Returns a name in the form that clients ask for it, or `None` after an error.
pub(super) fn host_name(context: &mut Context, (text, place): Entry) -> Option<Entry> {
    let bare = text.strip_prefix("*.").unwrap_or(&text);
    let domain = Domain::parse(bare).ok();
    let is_name = |domain: &Domain| {
        let name = domain.as_ascii();
        !name.starts_with('[') && name.parse::<IpAddr>().is_err()
    };
    let domain = domain.filter(is_name);
    let Some(domain) = domain else {
        let message = format!("`{text}` is not a host name");
        let hint =
            "a name is `mail.example.com`, or `*.example.com` for all below; addresses have none";
        context.error(place, message, hint);
        return None;
    };
    let wildcard = if bare.len() < text.len() { "*." } else { "" };
    let name = format!("{wildcard}{}", domain.as_ascii()).to_ascii_lowercase();
    Some((name, place))
}

fn refuse_twice(context: &mut Context, names: &[Entry], known: &mut BTreeSet<String>) {
    for (name, place) in names {
        if !known.insert(name.clone()) {
            let message = format!("`{name}` has a certificate already");
            context.error(
                place.clone(),
                message,
                "a name has one certificate; take one of the two out",
            );
        }
    }
}

fn certificate(
    context: &mut Context,
    (table, index): (&Spanned<raw::TlsName>, usize),
    names: Option<&[Entry]>,
    acme: Option<&mut Settings>,
) -> Option<Source> {
    let raw = table.get_ref();
    let missing = |place: Range<usize>, key: &str, hint: &str| {
        context.missing(place, &["tls", "name", &index.to_string(), key], hint);
    };
    let files = both((&raw.certificate, &raw.key), missing).ok()?;
    let acme_wanted = raw.acme.as_ref().filter(|wanted| *wanted.get_ref());
    match (files, acme_wanted) {
        (Some(files), None) => {
            let first = names.and_then(<[Entry]>::first);
            let whom = first.map_or("a name", |(name, _)| name);
            let read = files_of(context, files, whom)?;
            if let (Some(own), Some(names)) = (&read.own, names) {
                warn_of_uncovered(context, own, names);
            }
            Some(read.source)
        }
        (None, Some(wanted)) => {
            let Some(settings) = acme else {
                let hint = "describe the authority in [tls.acme]";
                context.error(wanted.span(), "there is no [tls.acme] to get it by", hint);
                return None;
            };
            let names = names?.iter().map(|(name, _)| name.clone()).collect();
            Some(issued(settings, names))
        }
        (Some(_), Some(wanted)) => {
            let hint = "take `acme` out, or `certificate` and `key`";
            context.error(wanted.span(), "there is a certificate already", hint);
            None
        }
        (None, None) => {
            let path = ["tls", "name", &index.to_string(), "certificate"];
            let hint = "name `certificate` and `key`, or let it be got by [tls.acme]: acme = true";
            context.missing(table.span(), &path, hint);
            None
        }
    }
}

/// Clients that ask for a name go away from a certificate that is not for it.
fn warn_of_uncovered(context: &mut Context, own: &PeerCertificate, names: &[Entry]) {
    for (name, place) in names {
        if !own.names.iter().any(|covered| covers(covered, name)) {
            let message = format!("the certificate is not for `{name}`");
            let hint = format!(
                "it is for {}; clients refuse it under another name",
                listed(own)
            );
            context.warning(place.clone(), message, hint);
        }
    }
}

fn listed(own: &PeerCertificate) -> String {
    if own.names.is_empty() {
        "no name".to_owned()
    } else {
        own.names.join(", ")
    }
}
