//! Whether a message has octets above 127 or long lines.

/// The longest line that every server takes, in octets without its CRLF (RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6).
pub const LONGEST_LINE: usize = 998;

/// What a message has that not every server takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Shape {
    /// Octets above 127.
    pub is_eight_bit: bool,
    /// Lines of more than [`LONGEST_LINE`] octets.
    pub has_long_lines: bool,
}

/// The longest line with its CRLF.
const REACH: usize = LONGEST_LINE + 2;

/// Finds the shape of a message that comes in pieces.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    shape: Shape,
    /// Octets of the line that has begun, fewer than [`REACH`].
    line: usize,
}

impl Gauge {
    /// Takes the next octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.shape.is_eight_bit = self.shape.is_eight_bit || !octets.is_ascii();
        if self.shape.has_long_lines {
            return;
        }
        let mut rest = octets;
        // A line with its CRLF must end within so many octets; one look from behind skips all the lines before it.
        while let Some((head, tail)) = rest.split_at_checked(REACH - self.line) {
            let Some(end) = memchr::memrchr(b'\n', head) else {
                self.shape.has_long_lines = true;
                return;
            };
            self.line = head.len() - end - 1;
            rest = tail;
        }
        self.line = match memchr::memrchr(b'\n', rest) {
            Some(end) => rest.len() - end - 1,
            None => self.line + rest.len(),
        };
    }

    /// Returns what has been found so far. A last line counts with or without its CRLF.
    pub fn shape(&self) -> Shape {
        Shape {
            has_long_lines: self.shape.has_long_lines || self.line > LONGEST_LINE,
            ..self.shape
        }
    }

    /// Returns the shape of a message that is there whole.
    pub fn of(octets: &[u8]) -> Shape {
        let mut gauge = Self::default();
        gauge.push(octets);
        gauge.shape()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(octets: &[u8]) -> Shape {
        let mut lines = octets.split(|octet| *octet == b'\n');
        let length = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len();
        Shape {
            is_eight_bit: octets.iter().any(|octet| *octet > 127),
            has_long_lines: lines.any(|line| length(line) > LONGEST_LINE),
        }
    }

    #[test]
    fn a_line_of_998_octets_is_short_and_one_of_999_is_long() {
        for (length, is_long) in [(998, false), (999, true)] {
            let line = "x".repeat(length);
            for message in [
                line.clone(),
                format!("{line}\r\n"),
                format!("a\r\n{line}\r\n"),
                format!("a\r\n{line}"),
                format!("a\r\n{line}\r\nb\r\n"),
            ] {
                let shape = Gauge::of(message.as_bytes());
                assert_eq!(shape.has_long_lines, is_long, "{length} {message:?}");
            }
        }
    }

    #[test]
    fn one_octet_above_127_is_enough() {
        assert!(!Gauge::of(b"plain\r\n\x7f").is_eight_bit);
        assert!(Gauge::of("f\u{fc}r\r\n".as_bytes()).is_eight_bit);
    }

    proptest! {
        #[test]
        fn the_cut_of_the_message_does_not_matter(
            lengths in proptest::collection::vec(prop_oneof![0..40_usize, 990..1010_usize], 0..6),
            cut in 1..1200_usize,
            octet: u8,
        ) {
            let filler = if matches!(octet, b'\r' | b'\n') { b'x' } else { octet };
            let mut message = Vec::new();
            for length in lengths {
                message.extend(std::iter::repeat_n(filler, length));
                message.extend_from_slice(b"\r\n");
            }
            let mut gauge = Gauge::default();
            for piece in message.chunks(cut) {
                gauge.push(piece);
            }
            prop_assert_eq!(gauge.shape(), naive(&message));
        }
    }
}
