//! xtext, the encoding of parameter values (RFC 3461 §4).

use std::fmt::Write as _;

/// Decodes xtext. The result is printable ASCII (33 to 126) and spaces; a hidden CR, LF or NUL is refused.
pub fn decode(text: &str) -> Option<Box<str>> {
    let mut decoded = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => hex(octets.next()?)? * 16 + hex(octets.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => octet,
            _ => return None,
        };
        if !matches!(octet, b' '..=b'~') {
            return None;
        }
        decoded.push(char::from(octet));
    }
    Some(decoded.into())
}

/// Decodes an international address (RFC 6533 §3): as [`decode`] does, and characters beyond ASCII become `\x{…}`, which
/// can be passed on everywhere. Control characters are refused.
pub fn decode_international(text: &str) -> Option<Box<str>> {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else if c.is_control() {
            return None;
        } else {
            // Writing into a string does not fail.
            let _ = write!(ascii, "\\x{{{:X}}}", u32::from(c));
        }
    }
    decode(&ascii)
}

/// Encodes a text as xtext. Octets outside 33 to 126, `+` and `=` become `+XX`.
pub fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if matches!(octet, b'!'..=b'~') && !matches!(octet, b'+' | b'=') {
            encoded.push(char::from(octet));
            continue;
        }
        encoded.push('+');
        for digit in [octet >> 4, octet & 15] {
            let digit = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0');
            encoded.push(char::from(digit));
        }
    }
    encoded
}

fn hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hidden_line_break_is_refused() {
        assert_eq!(decode("a+0D+0ARCPT"), None);
        assert_eq!(decode("a+00"), None);
        assert_eq!(decode("a+0d"), None);
        assert_eq!(decode("a+4"), None);
        assert_eq!(decode("a=b"), None);
        assert_eq!(decode("a+2Bb").as_deref(), Some("a+b"));
    }

    #[test]
    fn an_international_address_is_kept_in_ascii() {
        let decoded = decode_international("żółw+2Bx@bücher.example");
        assert_eq!(
            decoded.as_deref(),
            Some(r"\x{17C}\x{F3}\x{142}w+x@b\x{FC}cher.example")
        );
        assert_eq!(decode_international("a\u{85}b"), None);
        assert_eq!(decode_international("ż+0D"), None);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[ -~]{0,40}") {
            let decoded = decode(&encode(&text));
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }
    }
}
