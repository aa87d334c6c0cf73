//! `[tls.acme]`: certificates from an authority.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use toml::Spanned;
use url::Url;

use super::names::host_name;
use super::{Reported, place};
use crate::acme::{Binding, Challenge, FOLDER, Hook, KeyKind, LETS_ENCRYPT, Settings};
use crate::config::check::context::Context;
use crate::config::check::list::entries;
use crate::config::checked::Server;
use crate::config::raw::{self, List};
use crate::config::secret;
use crate::http::Trust;
use crate::mail::Mailbox;
use crate::telemetry::chain;
use crate::tls::client;

/// Returns the table without certificates, or `None` after an error.
pub(super) fn acme(
    context: &mut Context,
    table: &Spanned<raw::Acme>,
    server: &Server,
) -> Option<Settings> {
    let raw = table.get_ref();
    if !raw.agree_to_terms.get_ref() {
        let place = place(raw.agree_to_terms.span(), &table.span());
        let hint = "read them where the authority publishes them, for Let's Encrypt \
                    https://letsencrypt.org/repository/, and write agree_to_terms = true";
        context.error(
            place,
            "an authority wants its terms of service to be agreed to",
            hint,
        );
    }
    let directory = directory(context, &raw.directory);
    let trust = trust(context, raw);
    let contact = contact(context, raw);
    let binding = binding(context, raw).unwrap_or_default();
    let challenge = challenge(context, table);
    // What was wrong has been reported and keeps the whole from being used; the names are checked all the same.
    let unusable = || Challenge::Http01 {
        addresses: Vec::new(),
    };
    Some(Settings {
        directory: directory.or_else(|| Url::parse(LETS_ENCRYPT).ok())?,
        trust: trust.unwrap_or_default(),
        contact: contact.unwrap_or_default(),
        binding,
        challenge: challenge.unwrap_or_else(unusable),
        renew_before: raw.renew_before.get(),
        key: match raw.key {
            raw::AcmeKey::EcdsaP256 => KeyKind::EcdsaP256,
            raw::AcmeKey::Rsa2048 => KeyKind::Rsa2048,
        },
        folder: server.data_dir.join(FOLDER),
        certificates: Vec::new(),
    })
}

/// Returns the names of the certificate for everybody, or `None` after an error.
pub(super) fn names(
    context: &mut Context,
    table: &Spanned<raw::Acme>,
    server: &Server,
) -> Option<Vec<String>> {
    const HINT: &str = "names = [\"mail.example.com\"]: names that lead to this server, and whose mail clients connect \
                        to";
    let Some(list) = &table.get_ref().names else {
        let name = server.hostname.as_ascii();
        if name.starts_with('[') || !name.contains('.') {
            let message = format!("no authority gives a certificate to `{name}`, the hostname");
            context.error(table.span(), message, HINT);
            return None;
        }
        return Some(vec![name.to_ascii_lowercase()]);
    };
    let entries = entries(context, list)?;
    if entries.is_empty() {
        context.error(list.span(), "there is no name in this list", HINT);
        return None;
    }
    let mut names: Vec<String> = Vec::with_capacity(entries.len());
    let mut has_failed = false;
    for entry in entries {
        match host_name(context, entry) {
            Some((name, place)) if names.contains(&name) => {
                let message = format!("`{name}` is in this list twice");
                context.error(place, message, "take one of the two out");
            }
            Some((name, _)) => names.push(name),
            None => has_failed = true,
        }
    }
    (!has_failed).then_some(names)
}

/// Refuses names of a certificate that is not got, since there is one in files.
pub(super) fn refuse_names(context: &mut Context, table: &Spanned<raw::Acme>) {
    if let Some(names) = &table.get_ref().names {
        let message = "there is a certificate already: `certificate` in [tls]";
        let hint = "take `certificate` and `key` out; or take `names` out, so that [tls.acme] serves [[tls.name]] alone";
        context.error(names.span(), message, hint);
    }
}

/// Checks that the challenge is good for all names.
pub(super) fn check_challenge(
    context: &mut Context,
    table: &Spanned<raw::Acme>,
    settings: &Settings,
) {
    let challenge = &table.get_ref().challenge;
    let mut names = settings.certificates.iter().flatten();
    if let Some(wildcard) = names.find(|name| name.starts_with("*."))
        && *challenge.get_ref() != raw::AcmeChallenge::Dns01
    {
        let message = format!("`{wildcard}` can be proven by challenge = \"dns-01\" alone");
        let place = place(challenge.span(), &table.span());
        context.error(place, message, "name a `dns_hook`, or the names themselves");
    }
}

/// Warns where there is nothing to get.
pub(super) fn warn_of_no_use(
    context: &mut Context,
    table: &Spanned<raw::Acme>,
    settings: &Settings,
) {
    if settings.certificates.is_empty() {
        let hint = "write acme = true in a [[tls.name]], or take `certificate` out of [tls], or [tls.acme]";
        context.warning(table.span(), "no certificate is got by [tls.acme]", hint);
    }
}

fn directory(context: &mut Context, text: &Spanned<String>) -> Option<Url> {
    let url = Url::parse(text.get_ref()).ok();
    let url = url.filter(|url| url.scheme() == "https" && url.host_str().is_some());
    if url.is_none() {
        let hint = "it begins with https:; without the key it is Let's Encrypt's, whose servers for trials are at \
                    https://acme-staging-v02.api.letsencrypt.org/directory";
        context.error(text.span(), "this is not the address of a directory", hint);
    }
    url
}

fn trust(context: &mut Context, raw: &raw::Acme) -> Option<Trust> {
    let Some(file) = &raw.ca_file else {
        return Some(Trust::SystemRoots);
    };
    let path = context.path(file.get_ref());
    if let Err(error) = client::authority(&path) {
        let hint = "a PEM file with the certificates that the authority's own server is judged by";
        context.error(file.span(), chain(&error), hint);
        return None;
    }
    Some(Trust::Authority(path))
}

fn contact(context: &mut Context, raw: &raw::Acme) -> Option<Vec<String>> {
    let Some(list) = &raw.contact else {
        return Some(Vec::new());
    };
    let mut contact = Vec::new();
    let mut has_failed = false;
    for (text, place) in entries(context, list)? {
        let address = text.strip_prefix("mailto:");
        if address.is_some_and(|address| Mailbox::parse(address).is_ok()) {
            contact.push(text);
        } else {
            let message = format!("`{text}` is not a way to write to somebody");
            let hint = "for example: contact = [\"mailto:postmaster@example.com\"]";
            context.error(place, message, hint);
            has_failed = true;
        }
    }
    (!has_failed).then_some(contact)
}

/// Returns the account at the authority, if one is set.
fn binding(context: &mut Context, raw: &raw::Acme) -> Result<Option<Binding>, Reported> {
    const HINT: &str =
        "the authority shows both: eab = { key_id = \"…\", hmac_key = { file = \"…\" } }";
    let Some(eab) = &raw.eab else {
        return Ok(None);
    };
    let raw::Eab { key_id, hmac_key } = eab.get_ref();
    let (Some(key_id), Some(hmac_key)) = (key_id, hmac_key) else {
        let key = if key_id.is_none() {
            "key_id"
        } else {
            "hmac_key"
        };
        context.missing(eab.span(), &["tls", "acme", "eab", key], HINT);
        return Err(Reported);
    };
    let secret = secret::resolve(context, hmac_key).ok_or(Reported)?;
    let octets = BASE64_URL_SAFE_NO_PAD.decode(secret.expose());
    if octets.is_ok_and(|octets| !octets.is_empty()) {
        return Ok(Some(Binding {
            key_id: key_id.get_ref().clone(),
            hmac_key: secret,
        }));
    }
    let message = "the key is not base64url without `=`";
    context.error(
        hmac_key.span(),
        message,
        "copy it as the authority shows it",
    );
    Err(Reported)
}

fn challenge(context: &mut Context, table: &Spanned<raw::Acme>) -> Option<Challenge> {
    let raw = table.get_ref();
    if let Some(hook) = &raw.dns_hook
        && *raw.challenge.get_ref() != raw::AcmeChallenge::Dns01
    {
        let hint = "write challenge = \"dns-01\", or take `dns_hook` out";
        context.error(hook.span(), "this program is never run", hint);
    }
    match raw.challenge.get_ref() {
        raw::AcmeChallenge::Http01 => {
            let addresses = addresses(context, &raw.http)?;
            Some(Challenge::Http01 { addresses })
        }
        raw::AcmeChallenge::TlsAlpn01 => {
            let addresses = addresses(context, &raw.tls_alpn)?;
            Some(Challenge::TlsAlpn01 { addresses })
        }
        raw::AcmeChallenge::Dns01 => hook(context, table).map(Challenge::Dns01),
    }
}

fn hook(context: &mut Context, table: &Spanned<raw::Acme>) -> Option<Hook> {
    let raw = table.get_ref();
    let Some(file) = &raw.dns_hook else {
        let place = place(raw.challenge.span(), &table.span());
        let hint =
            "name the program that sets the record: dns_hook = \"/usr/local/bin/set-record\"";
        context.missing(place, &["tls", "acme", "dns_hook"], hint);
        return None;
    };
    let program = context.path(file.get_ref());
    let mode =
        std::fs::metadata(&program).map(|found| (found.is_file(), found.permissions().mode()));
    let fault = match mode {
        Ok((true, mode)) if mode & 0o111 == 0 => Some("cannot be run: chmod 755"),
        Ok((true, _)) => None,
        Ok((false, _)) => Some("is no file"),
        Err(_) => Some("is not there"),
    };
    if let Some(fault) = fault {
        let message = format!("the program {} {fault}", program.display());
        let hint = "it is run as PROGRAM present|cleanup DOMAIN NAME VALUE";
        context.error(file.span(), message, hint);
        return None;
    }
    Some(Hook {
        program,
        limit: raw.dns_hook_timeout.get(),
    })
}

fn addresses(context: &mut Context, list: &Spanned<List>) -> Option<Vec<SocketAddr>> {
    const HINT: &str =
        "for example \"[::]:80\", which is every address of the machine, or \"192.0.2.1:80\"";
    let entries = entries(context, list)?;
    if entries.is_empty() {
        context.error(list.span(), "there is no address in this list", HINT);
        return None;
    }
    let mut addresses = Vec::with_capacity(entries.len());
    let mut has_failed = false;
    for (text, place) in entries {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => addresses.push(address),
            Ok(_) | Err(_) => {
                let message = format!("`{text}` is not an address with a port");
                context.error(place, message, HINT);
                has_failed = true;
            }
        }
    }
    (!has_failed).then_some(addresses)
}
