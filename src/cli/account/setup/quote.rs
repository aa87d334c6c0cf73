//! Texts as languages quote them.

/// Quotes for a shell: in single quotes, but for words that mean nothing but themselves.
pub(super) fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Quotes in the way of PHP, Python and JavaScript alike: in single quotes, with a backslash before quotes and backslashes.
pub(super) fn single(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Quotes in the way of C#: in double quotes, with a backslash before quotes and backslashes.
pub(super) fn double(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// Writes a value of a file of Java properties, which is read as ISO 8859-1 where nobody says otherwise.
pub(super) fn property(text: &str) -> String {
    let units = text.encode_utf16();
    let written = units.map(|unit| match char::from_u32(u32::from(unit)) {
        Some('\\') => r"\\".to_owned(),
        Some(c) if c.is_ascii() => c.to_string(),
        Some(_) | None => format!("\\u{unit:04x}"),
    });
    written.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(shell("o'brien"), r"'o'\''brien'");
        assert_eq!(shell("$(id)"), "'$(id)'");
        assert_eq!(shell("relay.example.com"), "relay.example.com");
        assert_eq!(single(r"a'b\"), r"'a\'b\\'");
        assert_eq!(double(r#""a b"\"#), r#""\"a b\"\\""#);
    }

    #[test]
    fn a_property_is_ascii() {
        assert_eq!(property("zoë\\x"), "zo\\u00eb\\\\x");
        assert_eq!(property("𝒳"), "\\ud835\\udcb3");
    }
}
