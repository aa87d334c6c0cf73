//! The section `[session.timeouts]` of the sample.

use super::{Sample, raw, text};

pub(super) fn session_timeouts(sample: &mut Sample, timeouts: &raw::Timeouts) {
    sample.table(
        "[session.timeouts]",
        "How long a client may take (RFC 5321 section 4.5.3.2).",
    );
    sample.shown(
        "before_auth",
        text(timeouts.before_auth),
        "From connecting to a successful login.",
    );
    sample.shown("command", text(timeouts.command), "For the next command.");
    sample.shown(
        "data",
        text(timeouts.data),
        "For the next octets of a message.",
    );
    sample.shown(
        "handshake",
        text(timeouts.handshake),
        "For the TLS handshake.",
    );
}
