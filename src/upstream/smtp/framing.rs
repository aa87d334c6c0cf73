//! How a message's octets are written: line ends repaired, and dots stuffed for DATA (RFC 5321 §4.5.2).
//!
//! Stored messages have CRLF line ends only. The repair stands here all the same, because a CR or LF that passes
//! alone is what makes the *next* server see two messages in one (SMTP smuggling, THREATS S2).

use memchr::memchr2;

/// How the end of the content is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// By its size, told beforehand: BDAT. Nothing is stuffed.
    Counted,
    /// By a line with a dot: DATA.
    Dotted,
}

/// Writes a message's octets in a framing. Pieces may be cut anywhere.
#[derive(Debug)]
pub(super) struct Encoder {
    framing: Framing,
    place: Place,
}

/// Where the last octet stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Behind a CR that has not been written yet.
    AfterCr,
    /// At the start of a line.
    LineStart,
    /// Inside a line.
    Middle,
}

impl Encoder {
    /// Begins a message.
    pub(super) const fn new(framing: Framing) -> Self {
        Self {
            framing,
            place: Place::LineStart,
        }
    }

    /// Appends the next piece of the message to `out`.
    pub(super) fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 32 + 8);
        let mut rest = self.settle_cr(piece, out);
        while !rest.is_empty() {
            rest = self.line(rest, out);
        }
    }

    /// Ends the message: completes its last line, and for DATA adds the line with the dot.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.place {
            Place::AfterCr | Place::Middle => out.extend_from_slice(b"\r\n"),
            Place::LineStart => {}
        }
        self.place = Place::LineStart;
        if self.framing == Framing::Dotted {
            out.extend_from_slice(b".\r\n");
        }
    }

    /// A CR at the end of the last piece: with or without its LF it ends the line.
    fn settle_cr<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        if self.place != Place::AfterCr || piece.is_empty() {
            return piece;
        }
        out.extend_from_slice(b"\r\n");
        self.place = Place::LineStart;
        piece.strip_prefix(b"\n").unwrap_or(piece)
    }

    /// Writes up to the end of one line; returns what follows it.
    fn line<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let is_stuffed = self.framing == Framing::Dotted && self.place == Place::LineStart;
        if is_stuffed && rest.first() == Some(&b'.') {
            out.push(b'.');
        }
        let end = memchr2(b'\r', b'\n', rest);
        let Some((text, from_end)) = end.and_then(|end| rest.split_at_checked(end)) else {
            out.extend_from_slice(rest);
            self.place = Place::Middle;
            return &[];
        };
        out.extend_from_slice(text);
        if from_end == b"\r" {
            self.place = Place::AfterCr;
            return &[];
        }
        out.extend_from_slice(b"\r\n");
        self.place = Place::LineStart;
        match from_end {
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
            [] => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(framing: Framing, pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(framing);
        let mut out = Vec::new();
        for piece in pieces {
            encoder.encode(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    fn dotted(message: &[u8]) -> Vec<u8> {
        encode(Framing::Dotted, &[message])
    }

    /// What a server makes of DATA: lines with one leading dot less, up to the line with a dot alone.
    fn receive(data: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut rest = data;
        while rest != b".\r\n" {
            let end = memchr::memmem::find(rest, b"\r\n").unwrap() + 2;
            let (line, after) = rest.split_at(end);
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            rest = after;
        }
        message
    }

    #[test]
    fn a_dot_at_the_start_of_a_line_is_doubled() {
        assert_eq!(dotted(b".a\r\n..\r\nb.\r\n"), b"..a\r\n...\r\nb.\r\n.\r\n");
    }

    #[test]
    fn a_counted_message_is_not_stuffed() {
        assert_eq!(encode(Framing::Counted, &[b".a\r\n"]), b".a\r\n");
    }

    #[test]
    fn a_message_without_a_last_line_end_gets_one() {
        assert_eq!(dotted(b"a"), b"a\r\n.\r\n");
        assert_eq!(dotted(b"a\r"), b"a\r\n.\r\n");
        assert_eq!(encode(Framing::Counted, &[b"a"]), b"a\r\n");
    }

    #[test]
    fn an_empty_message_stays_empty() {
        assert_eq!(dotted(b""), b".\r\n");
        assert_eq!(encode(Framing::Counted, &[]), b"");
    }

    #[test]
    fn no_smuggled_end_of_data_passes() {
        for end in [
            "\n.\n",
            "\n.\r\n",
            "\r.\r",
            "\r\n.\n",
            "\r.\r\n",
            "\r\n.\r",
            "\n.\r",
            "\r\r\n.\r\r\n",
            "\r\n.\r\n",
        ] {
            let message = format!("a{end}MAIL FROM:<b@c>\r\n");
            let data = dotted(message.as_bytes());
            let ends = memchr::memmem::find_iter(&data, b"\r\n.\r\n").count();
            assert_eq!(ends, 1, "{end:?}");
            assert!(data.ends_with(b"\r\n.\r\n"));
        }
    }

    proptest! {
        #[test]
        fn the_cut_of_the_message_does_not_matter(
            pieces in proptest::collection::vec("[.\r\na]{0,4}", 0..12),
            is_dotted: bool,
        ) {
            let framing = if is_dotted { Framing::Dotted } else { Framing::Counted };
            let cut: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let whole = pieces.concat();
            prop_assert_eq!(encode(framing, &cut), encode(framing, &[whole.as_bytes()]));
        }

        #[test]
        fn line_ends_are_crlf_only(message in "[.\r\na]{0,40}") {
            let out = encode(Framing::Counted, &[message.as_bytes()]);
            let text = String::from_utf8(out).unwrap().replace("\r\n", "");
            prop_assert!(!text.contains(['\r', '\n']));
        }

        #[test]
        fn the_server_gets_what_was_stored(lines in proptest::collection::vec("[.a]{0,4}", 0..12)) {
            let message = lines.iter().fold(String::new(), |text, line| text + line + "\r\n");
            prop_assert_eq!(receive(&dotted(message.as_bytes())), message.as_bytes());
        }
    }
}
