//! The certificates of the listeners: from files, from an authority by ACME, or self-signed.

mod acme;
mod clients;
mod names;

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::context::Context;
use super::server::warn_of_exposed_key;
use crate::acme as authority;
use crate::config::checked::Server;
use crate::config::raw;
use crate::telemetry::chain;
use crate::tls::client::PeerCertificate;
use crate::tls::server::{Named, Settings, Source, check_files, read_own};

/// Where the certificates come from.
pub(in crate::config) struct Certificates {
    pub(in crate::config) tls: Settings,
    pub(in crate::config) acme: Option<authority::Settings>,
}

/// Returns where the certificates come from, or `None` after an error.
pub(in crate::config) fn certificates(
    context: &mut Context,
    raw: &Spanned<raw::Tls>,
    server: &Server,
) -> Option<Certificates> {
    let raw = raw.get_ref();
    let mut acme = match &raw.acme {
        Some(table) => Some(acme::acme(context, table, server)?),
        None => None,
    };
    let default = default(context, raw, server, acme.as_mut());
    let named = names::named(context, &raw.name, acme.as_mut());
    let clients = clients::clients(context, raw);
    if let (Some(settings), Some(table)) = (&acme, &raw.acme) {
        acme::check_challenge(context, table, settings);
    }
    let (certificate, named, clients) = (default?, named?, clients?);
    if let (Some(settings), Some(table)) = (&acme, &raw.acme) {
        acme::warn_of_no_use(context, table, settings);
    }
    Some(Certificates {
        tls: Settings {
            certificate,
            named,
            clients,
        },
        acme,
    })
}

/// Returns where the certificate of those comes from who ask for no name, or `None` after an error.
fn default(
    context: &mut Context,
    raw: &raw::Tls,
    server: &Server,
    acme: Option<&mut authority::Settings>,
) -> Option<Source> {
    let self_signed = || Source::SelfSigned {
        directory: server.data_dir.join("tls"),
        name: server.hostname.as_ascii().to_owned(),
    };
    match (
        pair(context, raw).ok()?,
        &raw.self_signed,
        acme.zip(raw.acme.as_ref()),
    ) {
        (Some(files), None, acme) => {
            if let Some((_, table)) = acme {
                acme::refuse_names(context, table);
            }
            let certificate = files_of(context, files, "the listeners")?;
            Some(certificate.source)
        }
        (None, None, Some((settings, table))) => {
            let names = acme::names(context, table, server)?;
            Some(issued(settings, names))
        }
        (None, _, None) => Some(self_signed()),
        (Some(_), Some(self_signed), _) | (None, Some(self_signed), Some(_)) => {
            let message = "there is a certificate already, and a self-signed one";
            let hint = "take [tls.self_signed] out, or `certificate` and `key`, or [tls.acme]";
            context.error(self_signed.span(), message, hint);
            None
        }
    }
}

/// Lets a certificate be got; returns where it will be.
fn issued(settings: &mut authority::Settings, names: Vec<String>) -> Source {
    let file = authority::certificate_file(&settings.folder, &names);
    settings.certificates.push(names.clone());
    Source::Issued { file, names }
}

/// A certificate and its key, as written.
type Pair<'a> = (&'a Spanned<PathBuf>, &'a Spanned<PathBuf>);

/// Something is wrong and has been told.
#[derive(Clone, Copy, Debug)]
struct Reported;

/// Returns certificate and key where both are there.
fn pair<'a>(context: &mut Context, raw: &'a raw::Tls) -> Result<Option<Pair<'a>>, Reported> {
    let missing = |place: Range<usize>, key: &str, hint: &str| {
        context.missing(place, &["tls", key], hint);
    };
    both((&raw.certificate, &raw.key), missing)
}

/// Returns both of a pair, or none, or tells `missing` which one is missing.
fn both<'a>(
    (certificate, key): (&'a Option<Spanned<PathBuf>>, &'a Option<Spanned<PathBuf>>),
    missing: impl FnOnce(Range<usize>, &str, &str),
) -> Result<Option<Pair<'a>>, Reported> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => return Ok(Some((certificate, key))),
        (None, None) => return Ok(None),
        (Some(certificate), None) => {
            let hint = "name the file with the private key: key = \"certs/server.key\"";
            missing(certificate.span(), "key", hint);
        }
        (None, Some(key)) => {
            let hint = "name the file with the certificate: certificate = \"certs/server.pem\"";
            missing(key.span(), "certificate", hint);
        }
    }
    Err(Reported)
}

/// A certificate in files, and what it says of itself.
struct Read {
    source: Source,
    own: Option<PeerCertificate>,
}

/// Checks certificate and key of `whom`; `None` after an error.
fn files_of(context: &mut Context, (certificate, key): Pair<'_>, whom: &str) -> Option<Read> {
    let path = |context: &Context, path: &Spanned<PathBuf>| context.path(path.get_ref());
    let (certificate_path, key_path) = (path(context, certificate), path(context, key));
    if let Err(error) = check_files(&certificate_path, &key_path) {
        let place = if error.path() == certificate_path {
            certificate.span()
        } else {
            key.span()
        };
        let hint = "both are PEM files; certs/README.md tells how to make or place them";
        context.error(place, chain(&error), hint);
        return None;
    }
    warn_of_exposed_key(context, key.span(), &key_path);
    let own = note_end(context, certificate.span(), &certificate_path, whom);
    Some(Read {
        source: Source::Files {
            certificate: certificate_path,
            key: key_path,
        },
        own,
    })
}

/// Records when a certificate ends.
fn note_end(
    context: &mut Context,
    place: Range<usize>,
    path: &Path,
    whom: &str,
) -> Option<PeerCertificate> {
    let own = read_own(path)?;
    context.turn_to(whom);
    context.ends(place, "the certificate", own.not_after, RENEW);
    Some(own)
}

/// What to do before the certificate ends.
const RENEW: &str = "Have it renewed, put the new one in its place, and reload: a running server goes on with the old one \
                     until then.";

/// Returns the place of a value, or of its table where the value is not written.
fn place(value: Range<usize>, table: &Range<usize>) -> Range<usize> {
    if value.is_empty() {
        table.clone()
    } else {
        value
    }
}

/// Returns the certificate of some names.
fn named(names: Vec<String>, certificate: Source) -> Named {
    Named { names, certificate }
}

#[cfg(test)]
mod tests;
