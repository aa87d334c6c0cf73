//! Foreign text that may be shown.

/// Returns a text as one line of printable ASCII, at most 300 characters; everything else becomes `?`.
///
/// Texts of failures are made so (`mail::Cause`): what a stranger's server says must not move a terminal's cursor.
pub fn printable(text: &str) -> Box<str> {
    let keep = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars()
        .take(MAX_TEXT)
        .map(keep)
        .collect::<String>()
        .into()
}

/// In characters.
const MAX_TEXT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(&*printable("a\r\nb\u{1b}[31m\u{e9}"), "a??b?[31m?");
        assert_eq!(printable(&"x".repeat(1000)).len(), MAX_TEXT);
    }
}
