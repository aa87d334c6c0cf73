//! Parts of the table of an SMTP upstream.

use super::{Sample, raw, text};

/// How its certificate is judged, and where its password may go.
pub(super) fn trust(sample: &mut Sample, smtp: &raw::Smtp) {
    sample.shown(
        "verify",
        smtp.verify.get_ref(),
        "Whether the certificate is checked: by the authorities the system trusts, or by one of the next two keys.",
    );
    sample.shown(
        "ca_file",
        text("../certs/upstream-ca.pem"),
        "PEM file with the authorities to trust instead (example).",
    );
    sample.shown(
        "fingerprint",
        text("00".repeat(32)),
        "SHA-256 of the one certificate to trust; names and dates do not count then (example).",
    );
    sample.shown(
        "plain_text_login",
        smtp.plain_text_login.get_ref(),
        "Whether the password may be sent without TLS. Dangerous.",
    );
}

/// What it may be sent.
pub(super) fn bandwidth(sample: &mut Sample) {
    sample.shown(
        "bandwidth",
        text("10 Mbit/s"),
        "What all connections together may send in a second: kbit/s, Mbit/s, Gbit/s, or octets, KiB/s, MiB/s. Urgent mail has\n\
         all of it; other mail pauses in the middle of its body meanwhile (example; by default there is no limit).",
    );
}
