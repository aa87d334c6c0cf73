//! Quoted-printable (RFC 2045 §6.7).

/// The longest line, in characters with the `=` of a soft line break.
const LINE: usize = 76;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Encodes lines of text that come in pieces.
///
/// What some server on the way may alter at the beginning of a line is encoded too: a dot, `From `, and a dash, so that no
/// line that a soft break begins is taken for a boundary.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    /// Characters in the line so far.
    column: usize,
    /// White space that stands behind them if anything follows it in the line.
    space: Option<u8>,
}

impl QuotedPrintable {
    /// Encodes octets of one line, without its end. A line that begins with `From ` comes with these octets together.
    pub(super) fn text(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some((&octet, tail)) = rest.split_first() {
            if let Some(space) = self.space.take() {
                self.plain(space, out);
            }
            match octet {
                b' ' | b'\t' => self.space = Some(octet),
                b'=' => self.encoded(octet, out),
                b'.' | b'-' if self.is_at_start() => self.encoded(octet, out),
                b'F' if self.is_behind_break() => self.encoded(octet, out),
                b'F' if self.column == 0 && rest.starts_with(b"From ") => {
                    self.encoded(octet, out);
                }
                b'!'..=b'~' => self.plain(octet, out),
                _ => self.encoded(octet, out),
            }
            rest = tail;
        }
    }

    /// Ends the line.
    pub(super) fn line_end(&mut self, out: &mut Vec<u8>) {
        self.finish(out);
        out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    /// Ends the text without a line end.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.space.take() {
            self.encoded(space, out);
        }
    }

    /// Whether the next character begins a line, here or behind a soft break.
    fn is_at_start(&self) -> bool {
        self.column == 0 || self.is_behind_break()
    }

    /// Whether the next character comes behind a soft break. What follows it may not have come yet, so that any F is encoded
    /// there: what comes out must not depend on how the octets were cut, since a signature is made in a pass of its own.
    fn is_behind_break(&self) -> bool {
        self.column + 1 >= LINE
    }

    fn plain(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(1, out);
        out.push(octet);
    }

    fn encoded(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(3, out);
        let digit = |value: u8| HEX.get(usize::from(value & 15)).copied().unwrap_or(b'0');
        out.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet)]);
    }

    /// Breaks the line where so many characters do not fit before the `=` of a break.
    fn make_room(&mut self, width: usize, out: &mut Vec<u8>) {
        if self.column + width >= LINE {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column += width;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &[u8], cut: usize) -> String {
        let (mut encoder, mut out) = (QuotedPrintable::default(), Vec::new());
        let mut lines = text.split(|octet| *octet == b'\n').peekable();
        while let Some(line) = lines.next() {
            for piece in line.chunks(cut) {
                encoder.text(piece, &mut out);
            }
            match lines.peek() {
                Some(_) => encoder.line_end(&mut out),
                None => encoder.finish(&mut out),
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn from_behind_a_soft_break_is_written_alike_however_it_was_cut() {
        let text = format!("{}From here", "x".repeat(75));
        let whole = encode(text.as_bytes(), usize::MAX);
        assert!(whole.contains("=\r\n=46rom"), "{whole}");
        for cut in 1..80 {
            assert_eq!(encode(text.as_bytes(), cut), whole, "in pieces of {cut}");
        }
    }

    /// A decoder of its own.
    fn decode(text: &str) -> Vec<u8> {
        let mut octets = Vec::new();
        let joined = text.replace("=\r\n", "");
        let mut rest = joined.as_bytes();
        while let Some((octet, tail)) = rest.split_first() {
            if *octet == b'=' {
                let digits = str::from_utf8(&tail[..2]).unwrap();
                octets.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &tail[2..];
            } else {
                octets.push(*octet);
                rest = tail;
            }
        }
        octets
    }

    #[test]
    fn what_servers_alter_at_the_start_of_a_line_is_encoded() {
        assert_eq!(
            encode(b".\nFrom me\nFrom\n--b\nx.-", 999),
            "=2E\r\n=46rom me\r\nFrom\r\n=2D-b\r\nx.-"
        );
    }

    #[test]
    fn white_space_at_the_end_of_a_line_is_encoded() {
        assert_eq!(
            encode(b"a \nb\t\n \nc  d ", 999),
            "a=20\r\nb=09\r\n=20\r\nc  d=20"
        );
    }

    #[test]
    fn no_octet_of_a_character_is_lost_at_a_break() {
        let text = "\u{fc}".repeat(100);
        let encoded = encode(text.as_bytes(), 999);
        assert!(encoded.starts_with("=C3=BC=C3"));
        assert_eq!(decode(&encoded), text.as_bytes());
    }

    proptest! {
        #[test]
        fn it_decodes_to_what_it_was(
            text in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b' '), Just(b'-'), Just(b'.'), Just(b'='), any::<u8>()],
                0..400,
            ),
            cut in 1..100_usize,
        ) {
            let encoded = encode(&text, cut);
            for line in encoded.split("\r\n") {
                prop_assert!(line.len() <= 76, "{line:?}");
                prop_assert!(!line.ends_with([' ', '\t']));
                prop_assert!(!line.starts_with(['-', '.']));
                prop_assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\t')));
            }
            let lines = text.split(|octet| *octet == b'\n').collect::<Vec<_>>();
            prop_assert_eq!(decode(&encoded), lines.join(&b"\r\n"[..]));
        }
    }
}
