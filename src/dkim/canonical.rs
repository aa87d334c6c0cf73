//! The forms in which header and body are hashed (RFC 6376 §3.4).

/// How much a header or body may be altered on the way without breaking the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// White space may change, and the case of field names.
    Relaxed,
    /// Nothing.
    Simple,
}

/// The forms of header and body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Canonicalization {
    /// Of the header.
    pub header: Form,
    /// Of the body.
    pub body: Form,
}

impl Default for Canonicalization {
    fn default() -> Self {
        Self {
            header: Form::Relaxed,
            body: Form::Relaxed,
        }
    }
}

impl Form {
    /// Returns its name in `c=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Simple => "simple",
        }
    }

    /// Appends a field, with its CRLF, in this form.
    pub(super) fn field(self, field: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Relaxed => relaxed(field, out),
            Self::Simple => out.extend_from_slice(field),
        }
    }
}

/// RFC 6376 §3.4.2: the name in small letters, the value unfolded, each run of white space one space, none at the ends.
fn relaxed(field: &[u8], out: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let (name, value) = field.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value = value.strip_prefix(b":").unwrap_or(value);
    let mut is_first = true;
    for word in value.split(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')) {
        if word.is_empty() {
            continue;
        }
        if !is_first {
            out.push(b' ');
        }
        is_first = false;
        out.extend_from_slice(word);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(form: Form, text: &str) -> String {
        let mut out = Vec::new();
        form.field(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 6376 §3.4.5.
    #[test]
    fn the_examples_of_the_rfc_come_out() {
        assert_eq!(field(Form::Relaxed, "A: X\r\n"), "a:X\r\n");
        assert_eq!(field(Form::Relaxed, "B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
        assert_eq!(
            field(Form::Simple, "B : Y\t\r\n\tZ  \r\n"),
            "B : Y\t\r\n\tZ  \r\n"
        );
    }

    #[test]
    fn a_field_without_a_value_is_its_name() {
        assert_eq!(field(Form::Relaxed, "Subject: \r\n"), "subject:\r\n");
    }
}
