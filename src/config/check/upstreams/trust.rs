//! How an upstream's certificate is judged.

use std::ops::Range;

use crate::config::check::context::Context;
use crate::config::raw;
use crate::telemetry::chain;
use crate::tls::client;
use crate::upstream::smtp::Verification;

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
