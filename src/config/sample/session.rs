//! The tables `[session]` and below.

use super::{Sample, text};
use crate::config::raw;

pub(super) fn session(sample: &mut Sample, session: &raw::Session) {
    let (limits, timeouts) = (&session.limits, &session.timeouts);
    sample.table("[session]", "");
    sample.shown(
        "bare_newlines",
        text(session.bare_newlines),
        "A CR or LF alone in a message: \"repair\" makes it CRLF, \"refuse\" answers 550 5.6.11. It never ends the message.",
    );
    sample.table("[session.limits]", "Bounds of a session.");
    sample.shown(
        "message_size",
        text(limits.message_size),
        "The largest message.",
    );
    sample.shown(
        "recipients",
        limits.recipients,
        "Recipients of a message, 1 to 65535.",
    );
    sample.shown("command_line", text(limits.command_line), "A command line.");
    sample.shown(
        "auth_line",
        text(limits.auth_line),
        "A line of a login (RFC 4954 section 4).",
    );
    sample.shown("data_line", text(limits.data_line), "A line of a message.");
    sample.shown(
        "errors",
        limits.errors,
        "Refused commands after which the session is closed.",
    );
    sample.shown(
        "auth_failures",
        limits.auth_failures,
        "Failed logins after which the session is closed.",
    );
    sample.shown(
        "idle_commands",
        limits.idle_commands,
        "Commands without effect between two messages.",
    );
    sample.shown("messages", limits.messages, "Messages of one session.");
    sample.shown(
        "future_release",
        text(limits.future_release),
        "How long a client may have a message held (FUTURERELEASE, RFC 4865); \"0s\": it is not offered.",
    );
    sample.shown(
        "deliver_by_min",
        text(limits.deliver_by_min),
        "The least time a client may give whose message is to come back when it is over (DELIVERBY, RFC 2852);\n\"0s\": it is not offered.",
    );
    session_timeouts(sample, timeouts);
}

fn session_timeouts(sample: &mut Sample, timeouts: &raw::Timeouts) {
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
