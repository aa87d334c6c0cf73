//! Parameters of MAIL and RCPT for upstreams that speak DSN (RFC 3461 §4), encoded as xtext.

use std::io::Write as _;

use crate::mail::{DsnReturn, Envelope, OriginalRecipient, Recipient};
use crate::smtp::xtext;

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
        out.extend_from_slice(xtext::encode(id).as_bytes());
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
    // The forms of RFC 6533 §3 for other characters (`\x{17C}`) are ASCII, and are passed on as they came.
    if !address.is_ascii() {
        return None;
    }
    let value = format!("{address_type};{}", xtext::encode(address));
    (value.len() <= MAX_ORIGINAL_RECIPIENT).then_some(value)
}

/// The longest ORCPT that every server takes, in octets (RFC 3461 §4.2).
const MAX_ORIGINAL_RECIPIENT: usize = 500;

/// A control character has no place in an address or an id; what decodes xtext carelessly would be led astray by it.
fn is_harmless(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
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
        let given = r"\x{17C}x@e.f";
        assert_eq!(orcpt("utf-8", given).unwrap(), format!("utf-8;{given}"));
        assert_eq!(orcpt("rfc822", "żx@e.f"), None);
    }

    #[test]
    fn an_address_too_long_for_the_parameter_is_left_out() {
        let address = format!("{}@e.f", r"\x{17C}".repeat(80));
        assert_eq!(orcpt("utf-8", &address), None);
    }

    #[test]
    fn what_could_begin_another_command_is_left_out() {
        assert_eq!(orcpt("rfc822", "a\r\nRCPT TO:<b@c>"), None);
        assert_eq!(orcpt("rfc822 NOTIFY=NEVER", "a@b"), None);
        assert_eq!(orcpt("", "a@b"), None);
    }

    proptest! {
        #[test]
        fn no_text_gives_a_space_or_a_line_end(text in "\\PC{0,40}|[ -~\\r\\n]{0,40}", kind in "rfc822|utf-8|[ -~]{0,9}") {
            let value = orcpt(&kind, &text).unwrap_or_default();
            prop_assert!(value.bytes().all(|octet| octet.is_ascii_graphic()));
        }
    }
}
