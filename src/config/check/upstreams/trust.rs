//! How an upstream's certificate is judged.

use std::ops::Range;

use crate::clock::{Clock as _, SystemClock};
use crate::config::check::context::Context;
use crate::config::check::server::warn_of_exposed_key;
use crate::config::raw;
use crate::identity::UpstreamName;
use crate::telemetry::chain;
use crate::tls::client;
use crate::upstream::smtp::{ClientCertificate, Verification};

use super::Reported;
use super::values::Values;

pub(super) fn verification(
    context: &mut Context,
    smtp: &raw::Smtp,
    values: &Values,
) -> Option<Verification> {
    match (smtp.verify.get_ref(), &smtp.ca_file, &smtp.fingerprint) {
        (true, None, None) => Some(Verification::SystemRoots),
        (true, Some(file), None) => {
            let path = context.path(file.get_ref());
            if let Err(error) = client::authority(&path) {
                let hint = "a PEM file with the certificates of the authorities to trust";
                context.error(file.span(), chain(&error), hint);
                return None;
            }
            Some(Verification::Authority(path))
        }
        (true, None, Some(text)) => {
            let digest = fingerprint(text.get_ref());
            if digest.is_none() {
                let hint = "64 hexadecimal digits, colons allowed: openssl x509 -in server.pem \
                            -noout -fingerprint -sha256";
                context.error(text.span(), "this is no SHA-256 fingerprint", hint);
            }
            digest.map(Verification::Fingerprint)
        }
        (false, None, None) => {
            if values.tls.value != raw::TlsPolicy::Disabled {
                context.warning(
                    smtp.verify.span(),
                    "the certificate of this upstream is not checked: anybody on the way can read \
                     and change the mail",
                    "name the authority (ca_file) or the certificate (fingerprint) instead",
                );
            }
            Some(Verification::Off)
        }
        (_, Some(place), _) => {
            contradiction(context, place.span());
            None
        }
        (_, None, Some(place)) => {
            contradiction(context, place.span());
            None
        }
    }
}

/// Returns the certificate that is shown to the upstream, where one is set.
pub(super) fn client_certificate(
    context: &mut Context,
    name: &UpstreamName,
    smtp: &raw::Smtp,
    values: &Values,
) -> Result<Option<ClientCertificate>, Reported> {
    let path = |key| ["upstream", name.as_str(), "smtp", key];
    let (certificate, key) = match (&smtp.client_certificate, &smtp.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(certificate), None) => {
            let hint = "name the file with its private key, which may be the same one";
            context.missing(certificate.span(), &path("client_key"), hint);
            return Err(Reported);
        }
        (None, Some(key)) => {
            let hint = "name the file with the certificate of this key";
            context.missing(key.span(), &path("client_certificate"), hint);
            return Err(Reported);
        }
    };
    if values.tls.value == raw::TlsPolicy::Disabled {
        let message = "without TLS no certificate can be shown";
        let hint = "write tls = \"required\" or \"implicit\", or take `client_certificate` and `client_key` out";
        context.error(certificate.span(), message, hint);
        return Err(Reported);
    }
    let own = ClientCertificate {
        certificate: context.path(certificate.get_ref()),
        key: context.path(key.get_ref()),
    };
    match client::Identity::load(&own.certificate, &own.key) {
        Ok(identity) => note_dates(context, certificate.span(), identity.certificate()),
        Err(error) => {
            let is_certificate = error.path() == own.certificate;
            let place = if is_certificate { certificate } else { key };
            let hint = "both are PEM files, and the key is not encrypted";
            context.error(place.span(), chain(&error), hint);
            return Err(Reported);
        }
    }
    warn_of_exposed_key(context, key.span(), &own.key);
    Ok(Some(own))
}

const RENEW: &str = "Have it renewed, put certificate and key in the place of the old ones, and reload: the upstream refuses \
                     an expired one.";

fn note_dates(
    context: &mut Context,
    place: Range<usize>,
    certificate: Option<&client::PeerCertificate>,
) {
    let Some(certificate) = certificate else {
        return;
    };
    if certificate.not_before > SystemClock.now() {
        let message = format!(
            "this certificate is valid from {} on",
            certificate.not_before.to_second()
        );
        let hint = "the upstream will refuse it until then; is the clock of this machine right?";
        context.warning(place.clone(), message, hint);
    }
    let what = "the client certificate";
    context.ends(place, what, certificate.not_after, RENEW);
}

fn contradiction(context: &mut Context, place: Range<usize>) {
    let message = "the certificate is judged in one way only";
    let hint = "keep one of `verify = false`, `ca_file` and `fingerprint`";
    context.error(place, message, hint);
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = text.replace([':', ' '], "");
    let mut digest = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, index) in digest.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(digits.get(index..index + 2)?, 16).ok()?;
    }
    Some(digest)
}
