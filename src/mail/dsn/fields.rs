//! The part of a report that programs read (RFC 3464 §2).

use std::fmt::Write;
use std::net::IpAddr;

use super::text::{folded, printable};
use super::{Action, Dsn, Told, plainest, put_line};
use crate::mail::date::Date;
use crate::mail::envelope::{OriginalRecipient, Recipient};
use crate::mail::outcome::{Failure, Response};
use crate::mail::status::{Class, EnhancedStatusCode};

/// Writes the fields of the message and of each recipient, in blocks separated by empty lines.
pub(super) fn for_programs(dsn: &Dsn<'_>, told: &[Told<'_>], smtputf8: bool) -> String {
    let mut fields = String::new();
    put_line(
        &mut fields,
        &format!("Reporting-MTA: dns; {}", dsn.hostname.as_ascii()),
    );
    if let Some(id) = &dsn.envelope.envelope_id {
        put_field(&mut fields, "Original-Envelope-Id", &escaped(id));
    }
    put_line(&mut fields, &format!("Arrival-Date: {}", dsn.accepted));
    // RFC 4865 §5.1.2 and RFC 2852 §5 add these fields to those of RFC 3464.
    if let Some(hold) = dsn.envelope.hold {
        put_line(&mut fields, &format!("Future-Release-Request: {hold}"));
    }
    if let Some(deliver_by) = dsn.envelope.deliver_by {
        let deadline = Date::from(deliver_by.deadline);
        put_line(&mut fields, &format!("Deliver-By-Date: {deadline}"));
    }
    for told in told {
        fields.push_str("\r\n");
        put_recipient(&mut fields, told, smtputf8);
    }
    fields
}

fn put_recipient(fields: &mut String, told: &Told<'_>, smtputf8: bool) {
    let (recipient, action) = (told.recipient, told.action);
    if let Some(original) = &recipient.original {
        let original = original_recipient(original, smtputf8);
        put_field(fields, "Original-Recipient", &original);
    }
    let last = final_recipient(recipient, smtputf8);
    put_field(fields, "Final-Recipient", &last);
    put_line(fields, &format!("Action: {}", name(action)));
    put_line(fields, &format!("Status: {}", status(action)));
    if let Some(response) = response(action) {
        if let Some(remote) = told.remote {
            put_field(fields, "Remote-MTA", &format!("dns; {}", host(remote)));
        }
        let diagnostic = format!("Diagnostic-Code: smtp; {}", escaped(&response.to_string()));
        put_line(fields, &folded(&diagnostic, " "));
    }
    if let Some(attempted) = told.attempted {
        put_line(fields, &format!("Last-Attempt-Date: {attempted}"));
    }
    if let Action::Delayed { until, .. } | Action::Late { until, .. } = action {
        put_line(fields, &format!("Will-Retry-Until: {until}"));
    }
}

const fn name(action: Action<'_>) -> &'static str {
    match action {
        Action::Delayed { .. } | Action::Late { .. } => "delayed",
        Action::Delivered(_) => "delivered",
        Action::Expired(_) | Action::Failed(_) | Action::Lapsed(_) => "failed",
        Action::Relayed { .. } => "relayed",
    }
}

const fn response(action: Action<'_>) -> Option<&Response> {
    match action {
        Action::Delivered(response) | Action::Relayed { response, .. } => Some(response),
        Action::Delayed { reason: None, .. } | Action::Late { reason: None, .. } => None,
        Action::Delayed {
            reason: Some(failure),
            ..
        }
        | Action::Late {
            reason: Some(failure),
            ..
        }
        | Action::Expired(failure)
        | Action::Failed(failure)
        | Action::Lapsed(failure) => failure.cause.response(),
    }
}

/// Returns the status of a recipient. One that expired without an answer has 5.4.7 (RFC 3463 §3.5), and so has one whose
/// deadline is over, whatever was answered (RFC 2852 §4.1.2).
pub(super) fn status(action: Action<'_>) -> EnhancedStatusCode {
    const EXPIRED: EnhancedStatusCode = EnhancedStatusCode::new(Class::PermanentFailure, 4, 7);
    const LATE: EnhancedStatusCode =
        EnhancedStatusCode::new(Class::PersistentTransientFailure, 4, 7);
    const WAITING: EnhancedStatusCode =
        EnhancedStatusCode::new(Class::PersistentTransientFailure, 4, 0);
    let own = |failure: &Failure| {
        failure
            .cause
            .response()
            .and_then(|response| response.status)
    };
    match action {
        Action::Delayed { reason, .. } => reason.map_or(WAITING, |reason| {
            reason.status(Class::PersistentTransientFailure)
        }),
        Action::Delivered(response) | Action::Relayed { response, .. } => {
            let status = response
                .status
                .filter(|status| status.class() == Class::Success);
            status.unwrap_or(EnhancedStatusCode::new(Class::Success, 0, 0))
        }
        Action::Expired(failure) => {
            own(failure).map_or(EXPIRED, |status| status.in_class(Class::PermanentFailure))
        }
        Action::Failed(failure) => failure.status(Class::PermanentFailure),
        Action::Lapsed(_) => EXPIRED,
        Action::Late { .. } => LATE,
    }
}

/// Returns the name of a host, an address in brackets (RFC 3464 §2.1.2).
fn host(name: &str) -> String {
    if name.parse::<IpAddr>().is_ok() {
        format!("[{name}]")
    } else {
        escaped(name)
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
        format!("utf-8; {}", utf8_xtext(&text))
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
    if !address_type.eq_ignore_ascii_case("utf-8") {
        return format!("{address_type}; {}", escaped(&original.address));
    }
    let address = unitext(&original.address);
    if smtputf8 {
        format!("{address_type}; {}", printable(&address))
    } else {
        format!("{address_type}; {}", utf8_xtext(&address))
    }
}

/// Returns an international address in ASCII (RFC 6533 §3, `utf-8-addr-xtext`).
fn utf8_xtext(address: &str) -> String {
    let mut xtext = String::with_capacity(address.len());
    for c in printable(address).chars() {
        if c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') {
            xtext.push(c);
        } else {
            let _ = write!(xtext, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    xtext
}

/// Returns an international address with the characters that `\x{…}` stands for (RFC 6533 §3, `utf-8-addr-unitext`).
/// What stands for no character stays.
fn unitext(address: &str) -> String {
    let mut text = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((before, behind)) = rest.split_once("\\x{") {
        text.push_str(before);
        let embedded = behind.split_once('}').and_then(|(digits, after)| {
            let number = u32::from_str_radix(digits, 16).ok()?;
            Some((char::from_u32(number)?, after))
        });
        rest = behind;
        match embedded {
            Some((c, after)) => {
                text.push(c);
                rest = after;
            }
            None => text.push_str("\\x{"),
        }
    }
    text.push_str(rest);
    text
}

/// Returns printable ASCII; other characters as `\x{…}`, as RFC 6533 §3 writes them in addresses, controls as `?`.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_xtext_cannot_hold_is_embedded() {
        assert_eq!(
            utf8_xtext("ż+a=b\\c d@e"),
            r"\x{17C}\x{2B}a\x{3D}b\x{5C}c\x{20}d@e"
        );
    }

    #[test]
    fn what_embeds_no_character_stays() {
        for text in [r"\x{}", r"\x{D800}", r"\x{17C", r"a\x{zz}b", r"\x"] {
            assert_eq!(unitext(text), text);
        }
    }

    #[test]
    fn an_address_stands_in_brackets() {
        assert_eq!(host("192.0.2.1"), "[192.0.2.1]");
        assert_eq!(host("mx.example"), "mx.example");
    }

    proptest! {
        #[test]
        fn an_address_survives_xtext(address in "[ -~żóé𝄞]{0,20}") {
            prop_assert_eq!(unitext(&utf8_xtext(&address)), address);
        }
    }
}
