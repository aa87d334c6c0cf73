//! The part of a report that programs read (RFC 3464 §2).

use std::fmt::Write;

use super::text::{folded, printable};
use super::{Action, Dsn, plainest, put_line};
use crate::mail::envelope::{OriginalRecipient, Recipient};
use crate::mail::outcome::Failure;
use crate::mail::status::{Class, EnhancedStatusCode};

/// Writes the fields of the message and of each recipient, in blocks separated by empty lines.
pub(super) fn for_programs(
    dsn: &Dsn<'_>,
    recipients: &[(&Recipient, Action<'_>)],
    smtputf8: bool,
) -> String {
    let mut fields = String::new();
    put_line(
        &mut fields,
        &format!("Reporting-MTA: dns; {}", dsn.hostname.as_ascii()),
    );
    if let Some(id) = &dsn.envelope.envelope_id {
        put_field(&mut fields, "Original-Envelope-Id", &escaped(id));
    }
    put_line(&mut fields, &format!("Arrival-Date: {}", dsn.accepted));
    for (recipient, action) in recipients {
        fields.push_str("\r\n");
        put_recipient(&mut fields, dsn, recipient, *action, smtputf8);
    }
    fields
}

fn put_recipient(
    fields: &mut String,
    dsn: &Dsn<'_>,
    recipient: &Recipient,
    action: Action<'_>,
    smtputf8: bool,
) {
    if let Some(original) = &recipient.original {
        put_field(
            fields,
            "Original-Recipient",
            &original_recipient(original, smtputf8),
        );
    }
    put_field(
        fields,
        "Final-Recipient",
        &final_recipient(recipient, smtputf8),
    );
    put_line(fields, &format!("Action: {}", name(action)));
    put_line(fields, &format!("Status: {}", status(action)));
    let response = match action {
        Action::Relayed(response) => Some(response),
        Action::Delayed {
            reason: failure, ..
        }
        | Action::Expired(failure)
        | Action::Failed(failure) => failure.cause.response(),
    };
    if let Some(response) = response {
        if let Some(remote) = dsn.remote {
            put_field(fields, "Remote-MTA", &format!("dns; {}", escaped(remote)));
        }
        let diagnostic = format!("Diagnostic-Code: smtp; {}", escaped(&response.to_string()));
        put_line(fields, &folded(&diagnostic, " "));
    }
    put_line(fields, &format!("Last-Attempt-Date: {}", dsn.date));
    if let Action::Delayed { until, .. } = action {
        put_line(fields, &format!("Will-Retry-Until: {until}"));
    }
}

const fn name(action: Action<'_>) -> &'static str {
    match action {
        Action::Delayed { .. } => "delayed",
        Action::Expired(_) | Action::Failed(_) => "failed",
        Action::Relayed(_) => "relayed",
    }
}

/// Returns the status of a recipient. One that expired without an answer has 5.4.7 (RFC 3463 §3.5).
pub(super) fn status(action: Action<'_>) -> EnhancedStatusCode {
    const EXPIRED: EnhancedStatusCode = EnhancedStatusCode::new(Class::PermanentFailure, 4, 7);
    let own = |failure: &Failure| {
        failure
            .cause
            .response()
            .and_then(|response| response.status)
    };
    match action {
        Action::Delayed { reason, .. } => reason.status(Class::PersistentTransientFailure),
        Action::Expired(failure) => {
            own(failure).map_or(EXPIRED, |status| status.in_class(Class::PermanentFailure))
        }
        Action::Failed(failure) => failure.status(Class::PermanentFailure),
        Action::Relayed(response) => {
            let status = response
                .status
                .filter(|status| status.class() == Class::Success);
            status.unwrap_or(EnhancedStatusCode::new(Class::Success, 0, 0))
        }
    }
}

fn final_recipient(recipient: &Recipient, smtputf8: bool) -> String {
    let mailbox = plainest(recipient.forward_path.mailbox());
    if mailbox.is_ascii() {
        return format!("rfc822; {mailbox}");
    }
    let text = format!("{}@{}", mailbox.local_part(), mailbox.domain().as_ascii());
    if smtputf8 {
        format!("utf-8; {text}")
    } else {
        format!("utf-8; {}", escaped(&text.replace('\\', "\\x{5C}")))
    }
}

fn original_recipient(original: &OriginalRecipient, smtputf8: bool) -> String {
    let is_atom = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let address_type: String = original
        .address_type
        .chars()
        .filter(|&c| is_atom(c))
        .collect();
    let address_type = if address_type.is_empty() {
        "unknown"
    } else {
        &address_type
    };
    if smtputf8 && address_type.eq_ignore_ascii_case("utf-8") {
        format!("{address_type}; {}", printable(&original.address))
    } else {
        format!("{address_type}; {}", escaped(&original.address))
    }
}

/// Returns printable ASCII; other characters as `\x{…}` (RFC 6533 §3, `utf-8-addr-unitext`), controls as `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "\\x{{{:X}}}", u32::from(c));
        }
    }
    escaped
}

/// Writes a field on one line; a value that is too long for that is cut.
fn put_field(fields: &mut String, name: &str, value: &str) {
    let end = value.floor_char_boundary(MAX_VALUE);
    put_line(
        fields,
        &format!("{name}: {}", value.get(..end).unwrap_or_default()),
    );
}

/// The longest value, in octets, with which a line stays below 998.
const MAX_VALUE: usize = 900;
