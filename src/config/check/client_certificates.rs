//! Certificates of clients: the listeners that ask for them, and the accounts that are known by them.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use super::context::Context;
use super::list::entries;
use crate::auth::{Account, CertificateId, CertificateIdError};
use crate::config::raw;
use crate::identity::AccountName;
use crate::smtp::sasl::Mechanism;
use crate::smtp::server::{self, AuthRule, CertificateRule, TlsMode};

/// Returns the certificates of an account. Two active accounts have none in common.
pub(super) fn certificates(
    context: &mut Context,
    account: &raw::Account,
    name: &AccountName,
    taken: &mut HashMap<CertificateId, AccountName>,
) -> Vec<CertificateId> {
    let list = account.certificates.as_ref();
    let entries = list.and_then(|list| entries(context, list));
    let mut found = Vec::new();
    for (entry, place) in entries.unwrap_or_default() {
        let id = match CertificateId::parse(&entry) {
            Ok(id) => id,
            Err(error) => {
                let message = format!("`{entry}` tells no certificate from others: {error}");
                context.error(place, message, hint(error));
                continue;
            }
        };
        if account.active
            && let Some(other) = taken.insert(id.clone(), name.clone())
        {
            let message = format!("certificate `{id}` also belongs to account `{other}`");
            context.error(place, message, "a certificate belongs to one account");
        }
        found.push(id);
    }
    found
}

fn hint(error: CertificateIdError) -> &'static str {
    match error {
        CertificateIdError::Digits => {
            "openssl x509 -noout -fingerprint -sha256 -in client.pem prints it"
        }
        CertificateIdError::Name => {
            "for example a fingerprint, \"printer-3.example.com\", \"ann@example.com\" or \"CN=printer-3\", as it stands \
             in the certificate"
        }
        CertificateIdError::Wildcard => "write each name as it stands in the certificate",
    }
}

/// What a listener says of certificates, with its place.
pub(super) struct Asked<'a> {
    pub(super) own: Option<&'a Spanned<raw::ClientCertificates>>,
    pub(super) mechanisms: Option<Range<usize>>,
    /// Whether some clients may log in without TLS.
    pub(super) has_plain: bool,
}

pub(super) fn certificate_rule(raw: raw::ClientCertificates) -> CertificateRule {
    match raw {
        raw::ClientCertificates::Off => CertificateRule::Off,
        raw::ClientCertificates::Requested => CertificateRule::Requested,
        raw::ClientCertificates::Required => CertificateRule::Required,
    }
}

/// Says what does not fit to the certificates that a listener asks for, or does not.
pub(super) fn judge_certificates(
    context: &mut Context,
    asked: &Asked<'_>,
    settings: &server::Settings,
) {
    let has_external = settings.mechanisms.contains(&Mechanism::External);
    let mechanisms = asked.mechanisms.clone();
    let place = asked.own.map_or(0..0, Spanned::span);
    match (settings.certificates, settings.tls) {
        (CertificateRule::Off, _) => {
            if let Some(place) = mechanisms.filter(|_| has_external) {
                let message = "EXTERNAL is a login by certificate, and no client is asked for one";
                let hint = "write client_certificate = \"requested\", or take EXTERNAL out";
                context.error(place, message, hint);
            }
        }
        (CertificateRule::Requested | CertificateRule::Required, TlsMode::Off) => {
            let message = "without TLS no certificate can be shown";
            let hint = "write tls = \"starttls\" or \"implicit\", or take `client_certificate` out";
            context.error(place, message, hint);
        }
        (CertificateRule::Required, TlsMode::Implicit | TlsMode::StartTls)
            if settings.auth == AuthRule::Always || asked.has_plain =>
        {
            let message =
                "without TLS nobody can show a certificate, and logins are offered without";
            let hint =
                "take auth = \"always\" and plain_text_auth_networks out, or write \"requested\"";
            context.error(place, message, hint);
        }
        (CertificateRule::Requested, TlsMode::Implicit | TlsMode::StartTls) if !has_external => {
            let message = "clients are asked for a certificate that is good for nothing here";
            let hint = "add EXTERNAL to `mechanisms`, or write \"required\", or take this out";
            context.warning(place, message, hint);
        }
        (CertificateRule::Requested | CertificateRule::Required, _) => {}
    }
}

/// Says what does not fit between listeners, authorities and accounts.
pub(in crate::config) fn check_client_certificates(
    context: &mut Context,
    root: &raw::Root,
    accounts: &[Account],
) {
    let place = root.accounts.file.span();
    let has_authority = root.tls.get_ref().client_ca.is_some();
    let active = || accounts.iter().filter(|account| account.active);
    let is_known = |account: &&Account| !account.certificates.is_empty();
    let listeners = root.listener.iter().map(Spanned::get_ref);
    let rules = listeners.filter_map(|listener| listener.client_certificate.as_ref());
    let rules: Vec<_> = rules
        .filter(|rule| *rule.get_ref() != raw::ClientCertificates::Off)
        .collect();
    if let Some(account) = active().find(is_known).filter(|_| rules.is_empty()) {
        let name = &account.name;
        let message = format!("account `{name}` has a certificate, and no listener asks for one");
        let hint = "write client_certificate = \"requested\" into a [[listener]]";
        return context.warning(place, message, hint);
    }
    let named = active().find_map(|account| {
        let mut ids = account.certificates.iter();
        Some((&account.name, ids.find(|id| id.is_name())?))
    });
    if let Some((name, id)) = named.filter(|_| !has_authority) {
        let message = format!(
            "account `{name}` is known by the name `{id}` in a certificate, and no authority vouches for names"
        );
        let hint = "write client_ca into [tls], or name the certificate by its fingerprint";
        context.warning(place, message, hint);
    }
    let required = rules
        .iter()
        .find(|rule| *rule.get_ref() == raw::ClientCertificates::Required);
    if let Some(rule) = required
        && !has_authority
        && active().find(is_known).is_none()
    {
        let message = "a certificate is required, and none can be trusted";
        let hint = "write client_ca into [tls], or `certificates` into an account";
        context.error(rule.span(), message, hint);
    }
}
