//! Keys that sign.

use super::{Sample, raw, text};

pub(super) fn dkim(sample: &mut Sample, dkim: &raw::Dkim) {
    sample.shown_table(
        "[dkim.example]",
        "A key that signs mail (DKIM, RFC 6376) whose From: is of its domain; any number: [dkim.NAME]. Several keys of a\n\
         domain sign all; RSA and Ed25519 together are good practice. `posthouse dkim keygen` makes one, with what goes into\n\
         DNS; `posthouse dkim check` looks whether it is there (example).",
    );
    sample.shown(
        "domain",
        text("example.com"),
        "The domain that signs (example; no default).",
    );
    sample.shown(
        "selector",
        text("2026a"),
        "The name of the key: its record in DNS is SELECTOR._domainkey.DOMAIN (example; no default).",
    );
    sample.shown(
        "key",
        text("secrets/2026a.example.com.pem"),
        "PEM file of mode 600 with the private key: RSA of 2048 to 8192 bits, or Ed25519 (example; no default).",
    );
    sample.shown(
        "subdomains",
        dkim.subdomains,
        "Whether mail of domains below it that have no key of their own is signed too.",
    );
    sample.shown(
        "canonicalization",
        text(dkim.canonicalization),
        "What servers on the way may change in header and body: \"relaxed\" white space, \"simple\" nothing.",
    );
    sample.shown(
        "valid_for",
        text(dkim.valid_for),
        "How long a signature counts; \"0s\" for ever. Longer than mail may wait, so a week at least.",
    );
    sample.shown(
        "expires",
        text("2027-06-30"),
        "The day on which you mean to have replaced the key: nothing ends then, it is shown (example; by default none).",
    );
}
