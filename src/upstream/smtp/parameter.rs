//! Parameters of MAIL and RCPT for upstreams that speak DSN (RFC 3461 §4), encoded as xtext.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::mail::{DsnReturn, Envelope, OriginalRecipient, Recipient};

/// Appends RET and ENVID, each with a space before it.
pub(super) fn of_mail(envelope: &Envelope, out: &mut Vec<u8>) {
    match envelope.ret {
        Some(DsnReturn::Full) => out.extend_from_slice(b" RET=FULL"),
        Some(DsnReturn::Headers) => out.extend_from_slice(b" RET=HDRS"),
        None => {}
    }
    if let Some(id) = &envelope.envelope_id
        && is_harmless(id)
    {
        out.extend_from_slice(b" ENVID=");
        out.extend_from_slice(xtext(id).as_bytes());
    }
}

/// Appends NOTIFY and ORCPT, each with a space before it.
pub(super) fn of_rcpt(recipient: &Recipient, out: &mut Vec<u8>) {
    if let Some(notify) = recipient.notify {
        // Writing into memory does not fail.
        let _ = write!(out, " NOTIFY={notify}");
    }
    if let Some(value) = recipient.original.as_ref().and_then(original) {
        out.extend_from_slice(b" ORCPT=");
        out.extend_from_slice(value.as_bytes());
    }
}

/// Returns the value of ORCPT, or `None` where it cannot be written: then the upstream takes the address of RCPT.
fn original(original: &OriginalRecipient) -> Option<String> {
    let (address_type, address) = (&*original.address_type, &*original.address);
    let is_type = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if address_type.is_empty() || !address_type.bytes().all(is_type) || !is_harmless(address) {
        return None;
    }
    if address.is_ascii() {
        return Some(format!("{address_type};{}", xtext(address)));
    }
    // RFC 6533 §3: only the type utf-8 carries more than ASCII.
    let is_utf8 = address_type.eq_ignore_ascii_case("utf-8");
    is_utf8.then(|| format!("{address_type};{}", utf8_xtext(address)))
}

/// A control character has no place in an address or an id; what decodes xtext carelessly would be led astray by it.
fn is_harmless(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// RFC 3461 §4: printable ASCII but `+` and `=` stands for itself, everything else is `+` and two hexadecimal digits.
fn xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' | 0..=b' ' | 127.. => {
                let _ = write!(encoded, "+{octet:02X}");
            }
            _ => encoded.push(char::from(octet)),
        }
    }
    encoded
}

/// RFC 6533 §3, utf-8-addr-xtext: as xtext, but with `\x{…}` for what does not stand for itself.
fn utf8_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' | '\0'..=' ' | '\u{7f}'.. => {
                let _ = write!(encoded, "\\x{{{:X}}}", u32::from(c));
            }
            _ => encoded.push(c),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn orcpt(address_type: &str, address: &str) -> Option<String> {
        original(&OriginalRecipient {
            address_type: address_type.into(),
            address: address.into(),
        })
    }

    #[test]
    fn plus_equals_and_space_are_encoded() {
        assert_eq!(
            orcpt("rfc822", "a+b=c d@e.f").unwrap(),
            "rfc822;a+2Bb+3Dc+20d@e.f"
        );
    }

    #[test]
    fn an_international_address_keeps_its_characters_as_numbers() {
        assert_eq!(orcpt("utf-8", "żx@e.f").unwrap(), "utf-8;\\x{17C}x@e.f");
        assert_eq!(orcpt("rfc822", "żx@e.f"), None);
    }

    #[test]
    fn what_could_begin_another_command_is_left_out() {
        assert_eq!(orcpt("rfc822", "a\r\nRCPT TO:<b@c>"), None);
        assert_eq!(orcpt("rfc822 NOTIFY=NEVER", "a@b"), None);
        assert_eq!(orcpt("", "a@b"), None);
    }

    proptest! {
        #[test]
        fn no_text_gives_a_space_or_a_line_end(text: String, kind: String) {
            for value in [xtext(&text), utf8_xtext(&text), orcpt(&kind, &text).unwrap_or_default()] {
                prop_assert!(value.bytes().all(|octet| octet.is_ascii_graphic()));
            }
        }
    }
}
