//! Folding of header lines that are too long (RFC 5322 §2.2.3).

use crate::mail::Header;

use super::gauge::LONGEST_LINE;

/// Appends a field, folded at white space where a line of it exceeds [`LONGEST_LINE`]. A line without white space in
/// reach stays longer.
///
/// Unfolded it is the same as before: only CRLF is added, in front of white space that was there.
pub(super) fn fold(field: &[u8], out: &mut Vec<u8>) {
    let mut is_first = true;
    for line in field.split_inclusive(|octet| *octet == b'\n') {
        let text_start = if is_first { after_name(line) } else { 0 };
        is_first = false;
        let mut rest = line;
        let mut from = text_start;
        while length(rest) > LONGEST_LINE
            && let Some(place) = place(rest, from)
            && let Some((head, tail)) = rest.split_at_checked(place)
        {
            out.extend_from_slice(head);
            out.extend_from_slice(b"\r\n");
            rest = tail;
            from = 0;
        }
        out.extend_from_slice(rest);
    }
}

/// Returns whether folding changes anything.
pub(super) fn is_effective(header: &Header<'_>) -> bool {
    is_long(header.octets())
        && header.fields().iter().any(|field| {
            let mut folded = Vec::new();
            fold(field.octets(), &mut folded);
            folded.len() > field.octets().len()
        })
}

/// Returns whether a header has a long line.
pub(super) fn is_long(header: &[u8]) -> bool {
    let mut lines = header.split_inclusive(|octet| *octet == b'\n');
    lines.any(|line| length(line) > LONGEST_LINE)
}

/// Octets of a line without its CRLF.
fn length(line: &[u8]) -> usize {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line).len()
}

/// Returns where the value begins.
fn after_name(line: &[u8]) -> usize {
    memchr::memchr(b':', line).map_or(0, |colon| colon + 1)
}

/// Returns the best place to fold: the last white space within reach, else the first behind it. What stands before and
/// behind it, from `from` on, has text: a line of white space alone could be taken for the end of the header.
fn place(line: &[u8], from: usize) -> Option<usize> {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let end = line.trim_ascii_end().len();
    let start = from
        + line
            .get(from..)?
            .iter()
            .position(|octet| !is_space(octet))?;
    // A place is good if it is white space behind text and is followed by text, which is before `end` anyway.
    let near = LONGEST_LINE.min(end.saturating_sub(1));
    let last = line
        .get(start..=near)
        .and_then(|reach| reach.iter().rposition(is_space));
    let behind = near.max(start);
    let first = || line.get(behind..end)?.iter().position(is_space);
    match last {
        Some(at) => Some(start + at),
        None => first().map(|at| behind + at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(field: &str) -> String {
        let mut out = Vec::new();
        fold(field.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_long_line_is_folded_at_the_last_white_space_in_reach() {
        let field = format!("References: {} <b@c>\r\n", "x".repeat(990));
        let expected = format!("References: {}\r\n <b@c>\r\n", "x".repeat(990));
        assert_eq!(folded(&field), expected);
    }

    #[test]
    fn what_is_short_or_has_no_white_space_stays() {
        let short = "Subject: a b c\r\n d\r\n".to_owned();
        let solid = format!("Subject: {}\r\n", "x".repeat(2000));
        let ends_with_space = format!("X: {}    \r\n", "x".repeat(2000));
        for field in [short, solid, ends_with_space] {
            assert_eq!(folded(&field), field);
        }
    }

    #[test]
    fn no_line_of_white_space_alone_comes_into_being() {
        let field = format!("X:{}{}\r\n", " ".repeat(1200), "x".repeat(1200));
        assert_eq!(folded(&field), field);
    }

    proptest! {
        #[test]
        fn only_line_ends_in_front_of_white_space_are_added(
            words in proptest::collection::vec(("[a-z]{1,300}", "[ \\t]{1,3}|\\r\\n "), 0..20),
        ) {
            let value: String = words.iter().map(|(word, space)| word.clone() + space).collect();
            let field = format!("X: {value}end\r\n");
            let out = folded(&field);
            prop_assert_eq!(out.replace("\r\n", ""), field.replace("\r\n", ""));
            let mut lines = out.strip_suffix("\r\n").unwrap().split("\r\n");
            let first = lines.next().unwrap();
            prop_assert!(first.len() <= LONGEST_LINE);
            for line in lines {
                prop_assert!(line.starts_with([' ', '\t']) && !line.trim().is_empty());
                prop_assert!(line.len() <= LONGEST_LINE);
            }
        }
    }
}
