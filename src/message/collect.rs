//! Gathering the header of a message that arrives in pieces.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::mail::header::MAX_HEADER;

/// Gathers the octets of a message until its header is complete.
///
/// The header ends at the first empty line, or with the message where there is none. A message that begins with an
/// empty line has an empty header. Line ends are CRLF by then; a bare CR or LF never ends a header.
#[derive(Debug, Default)]
pub struct HeaderCollector {
    gathered: BytesMut,
    /// How far `gathered` has been searched.
    searched: usize,
}

/// What a piece has brought.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Collected {
    /// The header is there; the collector has nothing more to do.
    Complete {
        /// The header block without the empty line.
        header: Bytes,
        /// What has come behind it: the empty line and the beginning of the body.
        rest: Bytes,
    },
    /// The header has not ended yet.
    NeedMore,
    /// The header has more than [`MAX_HEADER`] octets. Later pieces give the same answer.
    TooLarge,
}

impl HeaderCollector {
    /// Takes the next octets. A header that comes in one piece is not copied.
    pub fn push(&mut self, piece: Bytes) -> Collected {
        if self.gathered.is_empty()
            && let Some(end) = header_end(&piece, 0)
        {
            return complete(piece, end);
        }
        if self.gathered.len() > MAX_HEADER {
            return Collected::TooLarge;
        }
        self.gathered.extend_from_slice(&piece);
        if let Some(end) = header_end(&self.gathered, self.searched) {
            return complete(std::mem::take(&mut self.gathered).freeze(), end);
        }
        // The end may begin in this piece: up to three of its four octets.
        self.searched = self.gathered.len().saturating_sub(3);
        if self.gathered.len() > MAX_HEADER {
            return Collected::TooLarge;
        }
        Collected::NeedMore
    }

    /// Returns the header of a message that ended before an empty line came: all of it.
    ///
    /// Where its last line lacks its CRLF, the CRLF is added, as a field could not follow otherwise.
    pub fn finish(mut self) -> Bytes {
        if !self.gathered.is_empty() && !self.gathered.ends_with(b"\r\n") {
            self.gathered.extend_from_slice(b"\r\n");
        }
        self.gathered.freeze()
    }
}

fn complete(mut header: Bytes, end: usize) -> Collected {
    if end > MAX_HEADER {
        return Collected::TooLarge;
    }
    let rest = header.split_off(end);
    Collected::Complete { header, rest }
}

/// Returns where the empty line begins.
fn header_end(octets: &[u8], from: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(0);
    }
    let place = memmem::find(octets.get(from..)?, b"\r\n\r\n")?;
    Some(from + place + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(message: &[u8], cut: usize) -> (Collected, Vec<u8>) {
        let mut collector = HeaderCollector::default();
        let mut pieces = message.chunks(cut);
        while let Some(piece) = pieces.next() {
            match collector.push(Bytes::copy_from_slice(piece)) {
                Collected::NeedMore => {}
                done @ (Collected::Complete { .. } | Collected::TooLarge) => {
                    return (done, pieces.flatten().copied().collect());
                }
            }
        }
        let complete = Collected::Complete {
            header: collector.finish(),
            rest: Bytes::new(),
        };
        (complete, Vec::new())
    }

    fn parts(message: &[u8], cut: usize) -> (Bytes, Vec<u8>) {
        match collect(message, cut) {
            (Collected::Complete { header, rest }, later) => (header, [&rest[..], &later].concat()),
            (other, _) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_cut_of_the_message_does_not_matter() {
        let message = b"A: b\r\n c\r\nD: e\r\n\r\nbody\r\n\r\nmore\r\n";
        for cut in 1..=message.len() {
            let (header, rest) = parts(message, cut);
            assert_eq!(&header[..], b"A: b\r\n c\r\nD: e\r\n", "cut {cut}");
            assert_eq!(rest, b"\r\nbody\r\n\r\nmore\r\n", "cut {cut}");
        }
    }

    #[test]
    fn a_message_may_be_all_header() {
        assert_eq!(
            parts(b"A: b\r\n", 1),
            (Bytes::from_static(b"A: b\r\n"), vec![])
        );
        assert_eq!(parts(b"A: b", 2).0, "A: b\r\n");
        assert_eq!(parts(b"", 1).0, "");
    }

    #[test]
    fn a_message_that_begins_with_an_empty_line_has_no_header() {
        for cut in 1..4 {
            let (header, rest) = parts(b"\r\nFrom: a@b\r\n\r\n", cut);
            assert!(header.is_empty());
            assert_eq!(rest, b"\r\nFrom: a@b\r\n\r\n");
        }
    }

    #[test]
    fn a_bare_line_end_does_not_end_the_header() {
        let (header, rest) = parts(b"A: b\n\nC: d\r\r\n\r\n\r\nx", 3);
        assert_eq!(
            (&header[..], &rest[..]),
            (&b"A: b\n\nC: d\r\r\n"[..], &b"\r\n\r\nx"[..])
        );
    }

    #[test]
    fn a_header_without_end_is_too_large() {
        let line = b"A: 1234567890\r\n".repeat(MAX_HEADER / 10);
        assert_eq!(collect(&line, 1000).0, Collected::TooLarge);
        let mut whole = line;
        whole.extend_from_slice(b"\r\n");
        assert_eq!(collect(&whole, whole.len()).0, Collected::TooLarge);
    }

    #[test]
    fn after_too_large_nothing_more_is_kept() {
        let mut collector = HeaderCollector::default();
        assert_eq!(
            collector.push(vec![b'x'; MAX_HEADER + 1].into()),
            Collected::TooLarge
        );
        assert_eq!(collector.push(vec![b'x'; 1000].into()), Collected::TooLarge);
        assert_eq!(collector.gathered.len(), MAX_HEADER + 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made_up(message in "[a:\r\n]{0,40}", cut in 1usize..10) {
            let (header, rest) = parts(message.as_bytes(), cut);
            let joined = [&header[..], &rest].concat();
            prop_assert!(joined == message.as_bytes() || joined == [message.as_bytes(), b"\r\n"].concat());
        }
    }
}
