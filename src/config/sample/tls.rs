//! The tables of the server's certificates.

use super::{Sample, list, text};
use crate::config::raw::Acme;

pub(super) fn tls(sample: &mut Sample, acme: &Acme) {
    sample.table(
        "[tls]",
        "The certificate of the listeners. Without one posthouse makes a self-signed one at the first start, which mail\n\
         clients warn of. docs/certificates.md tells how to get a real one.",
    );
    sample.shown(
        "certificate",
        text("../certs/server.pem"),
        "PEM file: the certificate, followed by those that lead to its root (example).",
    );
    sample.shown(
        "key",
        text("../certs/server.key"),
        "PEM file: its private key, not encrypted (example).",
    );
    sample.shown(
        "client_ca",
        text("../certs/client-ca.pem"),
        "PEM file: the authorities whose word counts for names in certificates of clients, best one of your own (example;\n\
         by default no name counts). See client_certificate in [[listener]], and docs/logins.md.",
    );
    sample.shown(
        "client_crl",
        text("../certs/client-ca.crl"),
        "PEM file: what they have revoked. With it a certificate counts only where each issuer's list is here and has not\n\
         run out (example; by default nothing is revoked).",
    );
    sample.shown_table(
        "[tls.self_signed]",
        "Says in words that the self-signed one is wanted.",
    );
    of_acme(sample, acme);
    names(sample);
}

fn of_acme(sample: &mut Sample, acme: &Acme) {
    sample.shown_table(
        "[tls.acme]",
        "Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt: got at the first start and\n\
         renewed by themselves. It is the certificate of the listeners, unless `certificate` above names one.",
    );
    sample.shown(
        "agree_to_terms",
        true,
        "That you agree to the authority's terms of service (no default: nothing is got without).",
    );
    sample.shown(
        "contact",
        "[\"mailto:postmaster@example.com\"]",
        "Whom the authority may write to (example; nobody by default).",
    );
    sample.shown(
        "names",
        "[\"relay.example.com\"]",
        "The names in the certificate (example; by default the hostname). Each must lead to this server.",
    );
    sample.shown(
        "challenge",
        text(acme.challenge.get_ref()),
        "How the authority sees that the names are yours: \"http-01\" by a page on port 80, \"tls-alpn-01\" by a handshake\n\
         on port 443, \"dns-01\" by a record that your own program sets, which works without open ports and for `*.`.",
    );
    of_challenges(sample, acme);
    of_authority(sample, acme);
}

fn of_challenges(sample: &mut Sample, acme: &Acme) {
    sample.shown(
        "http",
        list(acme.http.get_ref()),
        "Where the page is served, for \"http-01\". Authorities ask port 80; another one is for a proxy before it.",
    );
    sample.shown(
        "tls_alpn",
        list(acme.tls_alpn.get_ref()),
        "Where the handshake is answered, for \"tls-alpn-01\"; nothing else is served there. Authorities ask port 443.",
    );
    sample.shown(
        "dns_hook",
        text("/usr/local/lib/posthouse/dns-hook"),
        "The program, for \"dns-01\" (example). It is run as PROGRAM present|cleanup DOMAIN NAME VALUE, with PATH as its\n\
         only environment, sets or removes the TXT record NAME, and ends with 0 when the record can be seen.",
    );
    sample.shown(
        "dns_hook_timeout",
        text(acme.dns_hook_timeout),
        "How long it may take each time; then it is killed.",
    );
}

fn of_authority(sample: &mut Sample, acme: &Acme) {
    sample.shown(
        "renew_before",
        text(acme.renew_before),
        "How long before its end a certificate is renewed; one that is valid for less than twice as long, at half time.",
    );
    sample.shown(
        "key",
        text(acme.key),
        "The keys of new certificates: \"ecdsa-p256\", or \"rsa-2048\" for old devices that know nothing else.",
    );
    sample.shown(
        "directory",
        text(acme.directory.get_ref()),
        "The authority. For trials, Let's Encrypt has https://acme-staging-v02.api.letsencrypt.org/directory, whose\n\
         certificates nobody trusts and whose limits are wide.",
    );
    sample.shown(
        "ca_file",
        text("/etc/posthouse/private-ca.pem"),
        "PEM file: what the authority's own HTTPS server is judged by (example; by default the system's authorities).",
    );
    sample.shown(
        "eab",
        "{ key_id = \"…\", hmac_key = { file = \"secrets/eab\" } }",
        "Your account at the authority, where it wants one (example; external account binding, RFC 8555 §7.3.4).",
    );
}

fn names(sample: &mut Sample) {
    sample.shown_table(
        "[[tls.name]]",
        "Another certificate for clients that ask for one of these names (SNI); any number. An exact name goes before `*.`,\n\
         which stands for one label; everybody else gets the certificate above.",
    );
    sample.shown(
        "names",
        "[\"mail.customer.example\", \"*.mail.customer.example\"]",
        "(example)",
    );
    sample.shown(
        "certificate",
        text("../certs/customer.pem"),
        "As in [tls] (example).",
    );
    sample.shown(
        "key",
        text("../certs/customer.key"),
        "As in [tls] (example).",
    );
    sample.shown(
        "acme",
        false,
        "In the place of both: whether it is got by [tls.acme].",
    );
}
