//! Keys that sign.

use std::time::Duration;

use toml::Spanned;

use super::context::Context;
use crate::clock::Timestamp;
use crate::config::checked::{Engine, Upstream};
use crate::config::{raw, secret};
use crate::dkim::{Canonicalization, Form, Key, KeyError, Selector, Signer, Signers, Subdomains};
use crate::identity::UpstreamName;
use crate::mail::Domain;

/// Returns all keys, or `None` after an error.
pub(in crate::config) fn dkim(
    context: &mut Context,
    raw: &raw::Named<raw::Dkim>,
) -> Option<Signers> {
    let mut signers: Vec<Signer> = Vec::with_capacity(raw.len());
    let mut has_failed = false;
    for (name, table) in raw {
        let Some(signer) = signer(context, name.get_ref(), table) else {
            has_failed = true;
            continue;
        };
        let same = signers
            .iter()
            .find(|other| other.record_name() == signer.record_name());
        if let Some(other) = same {
            let message = format!(
                "`{}` and `{}` have the same domain and selector",
                other.name, signer.name
            );
            let hint = "each key has a record of its own in DNS, so a selector of its own";
            context.error(name.span(), message, hint);
            has_failed = true;
            continue;
        }
        signers.push(signer);
    }
    (!has_failed).then(|| signers.into_iter().collect())
}

/// Gives the keys to the upstreams whose mail is signed.
pub(in crate::config) fn equip(
    upstreams: &mut [(UpstreamName, Option<Upstream>)],
    raw: &raw::Named<raw::Upstream>,
    signers: &Signers,
) {
    let is_signed = |name: &UpstreamName| {
        let mut tables = raw.iter();
        let found = tables.find(|(key, _)| key.get_ref() == name.as_str());
        let smtp = found.and_then(|(_, upstream)| upstream.get_ref().smtp.as_ref());
        smtp.is_some_and(|smtp| smtp.get_ref().dkim)
    };
    for (name, upstream) in upstreams {
        if let Some(Upstream {
            engine: Engine::Smtp(settings),
            ..
        }) = upstream
            && is_signed(name)
        {
            settings.signers = signers.clone();
        }
    }
}

fn signer(context: &mut Context, name: &str, table: &Spanned<raw::Dkim>) -> Option<Signer> {
    let raw = table.get_ref();
    context.turn_to(format!("dkim {name}"));
    let domain = domain(context, name, table);
    let selector = selector(context, name, table);
    let key = key(context, name, table);
    let valid_for = valid_for(context, table);
    let expires = expires(context, raw);
    Some(Signer {
        name: name.into(),
        domain: domain?,
        selector: selector?,
        key: key?,
        subdomains: if raw.subdomains {
            Subdomains::Signed
        } else {
            Subdomains::Unsigned
        },
        canonicalization: canonicalization(raw.canonicalization),
        valid_for,
        expires: expires.ok()?,
    })
}

fn domain(context: &mut Context, name: &str, table: &Spanned<raw::Dkim>) -> Option<Domain> {
    const HINT: &str = "for example: domain = \"example.com\"";
    let Some(text) = &table.get_ref().domain else {
        context.missing(table.span(), &["dkim", name, "domain"], HINT);
        return None;
    };
    let domain = Domain::parse(text.get_ref());
    let domain = domain.ok().filter(|_| !text.get_ref().starts_with('['));
    if domain.is_none() {
        let message = format!("`{}` is not a domain name", text.get_ref());
        context.error(text.span(), message, HINT);
    }
    domain
}

fn selector(context: &mut Context, name: &str, table: &Spanned<raw::Dkim>) -> Option<Selector> {
    const HINT: &str = "for example: selector = \"2026a\", for a record 2026a._domainkey in DNS";
    let Some(text) = &table.get_ref().selector else {
        context.missing(table.span(), &["dkim", name, "selector"], HINT);
        return None;
    };
    match Selector::parse(text.get_ref()) {
        Ok(selector) => Some(selector),
        Err(error) => {
            let message = format!("`{}` is no selector", text.get_ref());
            context.error(text.span(), message, error.to_string());
            None
        }
    }
}

fn key(context: &mut Context, name: &str, table: &Spanned<raw::Dkim>) -> Option<Key> {
    const FILE: &str = "the file holds a private key in PEM; a relative path starts at the folder of the configuration";
    const HINT: &str = "posthouse dkim keygen makes a key: key = \"secrets/2026a.example.com.pem\"";
    let Some(file) = &table.get_ref().key else {
        context.missing(table.span(), &["dkim", name, "key"], HINT);
        return None;
    };
    let text = secret::key_file(context, file, FILE)?;
    match Key::parse(text.expose()) {
        Ok(key) => Some(key),
        Err(error) => {
            let hint = match error {
                KeyError::Encrypted => {
                    "take the password off: openssl pkey -in KEY -out NEW; and protect the file by its mode"
                }
                KeyError::Missing => "a file in PEM, with a line -----BEGIN PRIVATE KEY-----",
                KeyError::NotMade | KeyError::Unsuitable => {
                    "posthouse dkim keygen makes one; RFC 8301 asks for RSA keys of 2048 bits"
                }
            };
            context.error(file.span(), error.to_string(), hint);
            None
        }
    }
}

fn canonicalization(raw: raw::Canonicalization) -> Canonicalization {
    let (header, body) = match raw {
        raw::Canonicalization::RelaxedRelaxed => (Form::Relaxed, Form::Relaxed),
        raw::Canonicalization::RelaxedSimple => (Form::Relaxed, Form::Simple),
        raw::Canonicalization::SimpleRelaxed => (Form::Simple, Form::Relaxed),
        raw::Canonicalization::SimpleSimple => (Form::Simple, Form::Simple),
    };
    Canonicalization { header, body }
}

/// Returns how long a signature counts; `None` for ever.
fn valid_for(context: &mut Context, table: &Spanned<raw::Dkim>) -> Option<Duration> {
    let span = table.get_ref().valid_for.get();
    if span.is_zero() {
        return None;
    }
    if span < SHORT {
        context.warning(
            table.span(),
            format!(
                "signatures that count for {} only end while mail waits",
                table.get_ref().valid_for
            ),
            "write valid_for = \"7d\" or more, or \"0s\" for ever",
        );
    }
    Some(span)
}

/// Receivers give up after five days (RFC 5321 §4.5.4.1), and people look later.
const SHORT: Duration = Duration::from_hours(5 * 24);

/// An error has been recorded.
struct Reported;

const RENEW: &str = "Make another key with another selector (posthouse dkim keygen), publish its record, name it beside or instead \
                     of this one, and reload. Leave the old record for some days: mail on its way is judged by it.";

fn expires(context: &mut Context, raw: &raw::Dkim) -> Result<Option<Timestamp>, Reported> {
    let Some(text) = &raw.expires else {
        return Ok(None);
    };
    let day = text.get_ref();
    let time = (day.len() == 10).then(|| Timestamp::parse(&format!("{day}T00:00:00Z")));
    if let Some(time) = time.flatten() {
        context.ends(text.span(), "the key", time, RENEW);
        return Ok(Some(time));
    }
    let message = format!("`{day}` is not a day");
    context.error(
        text.span(),
        message,
        "for example: expires = \"2027-06-30\"",
    );
    Err(Reported)
}
