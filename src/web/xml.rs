//! Text inside HTML and XML.

/// Returns a text in which nothing is markup, fit for elements and for quoted attributes. What XML cannot hold at all
/// becomes `?`.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if is_unfit(c) => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Controls, turns of direction that make an address look like another one, and what is no character of XML 1.0.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_markup() {
        let text = "\"<script>alert('&')</script>\"@b.example\u{202e}\0\n";
        let expected =
            "&quot;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;&quot;@b.example?? ";
        assert_eq!(escaped(text), expected);
    }

    proptest! {
        #[test]
        fn no_text_ends_an_element_or_an_attribute(text in "\\PC*|[<>&\"'\\x00-\\x20]*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            prop_assert!(!escaped.contains(char::is_control));
        }
    }
}
