//! The field `TLS-Required:` (RFC 8689 §3).

use mail_parser::parsers::MessageStream;

use crate::mail::Header;

const NAME: &str = "TLS-Required";

/// The only value that there is.
const NO: &str = "no";

/// A value longer than this is not that one, whatever folds it has.
const MAX_VALUE: usize = 64;

/// Returns whether the sender waives TLS: exactly one `TLS-Required: No`. Other values mean nothing, and two fields
/// contradict the standard, so that neither counts.
pub(super) fn is_waived(header: &Header<'_>) -> bool {
    let mut fields = header.find(NAME);
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let value = field.value();
    if value.len() > MAX_VALUE {
        return false;
    }
    let value = MessageStream::new(value).parse_raw();
    value
        .as_text()
        .is_some_and(|text| text.eq_ignore_ascii_case(NO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waived(fields: &str) -> bool {
        let block = format!("From: a@b\r\n{fields}");
        is_waived(&Header::parse(block.as_bytes()).unwrap())
    }

    #[test]
    fn no_waives_tls_in_any_letter_case_and_fold() {
        for field in [
            "TLS-Required: No",
            "tls-required:NO",
            "TLS-Required:\r\n no ",
        ] {
            assert!(waived(&format!("{field}\r\n")), "{field}");
        }
    }

    #[test]
    fn nothing_else_waives_it() {
        for fields in [
            "",
            "TLS-Required: Yes\r\n",
            "TLS-Required:\r\n",
            "TLS-Required: No way\r\n",
            "TLS-Required: No\r\nTLS-Required: No\r\n",
            "X-TLS-Required: No\r\n",
        ] {
            assert!(!waived(fields), "{fields}");
        }
    }
}
