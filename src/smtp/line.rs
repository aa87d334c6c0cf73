//! Octets into lines.
//!
//! Only CRLF ends a line (RFC 5321 §2.3.8): a bare CR or LF stays in the line, where no grammar accepts it. An
//! overlong line is skipped to its own end and reported once, so that its tail is never read as a command.

use bytes::BytesMut;

/// Cuts lines off the front of a buffer.
#[derive(Debug, Default)]
pub struct LineSplitter {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Reading,
    /// Inside a line that has been too long already.
    Skipping,
}

/// A line was longer than its limit. All of it has been skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineTooLong;

impl LineSplitter {
    /// Returns whether what comes next is the start of a line, not the rest of one that was too long.
    pub fn is_at_start(&self) -> bool {
        matches!(self.state, State::Reading)
    }

    /// Takes the next line off `input`, without its CRLF, or `None` until more octets have arrived.
    ///
    /// `limit` is the longest line in octets, CRLF included. No more than `limit` octets are ever kept waiting.
    pub fn take(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
    ) -> Option<Result<BytesMut, LineTooLong>> {
        let end = memchr::memmem::find(input, b"\r\n");
        match (self.state, end) {
            (State::Reading, Some(end)) if end + 2 <= limit => {
                let line = input.split_to(end);
                let _newline = input.split_to(2);
                Some(Ok(line))
            }
            (_, Some(end)) => {
                let _line = input.split_to(end + 2);
                self.state = State::Reading;
                Some(Err(LineTooLong))
            }
            (State::Reading, None) if input.len() < limit => None,
            (_, None) => {
                // The last octet may be the CR of the line's end.
                let keep = usize::from(input.last() == Some(&b'\r'));
                let _skipped = input.split_to(input.len() - keep);
                self.state = State::Skipping;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]], limit: usize) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let (mut splitter, mut input, mut lines) =
            (LineSplitter::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(line) = splitter.take(&mut input, limit) {
                lines.push(line.map(|line| line.to_vec()));
            }
            assert!(input.len() <= limit);
        }
        lines
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(
            split(&[b"a\nb\rc\r\nd\r\n"], 100),
            [Ok(b"a\nb\rc".to_vec()), Ok(b"d".to_vec())]
        );
    }

    #[test]
    fn an_overlong_line_is_reported_once_and_skipped_whole() {
        let long = [b'x'; 50];
        assert_eq!(
            split(&[&long, b"RSET\r", b"\nNOOP\r\n"], 10),
            [Err(LineTooLong), Ok(b"NOOP".to_vec())]
        );
    }

    #[test]
    fn the_limit_counts_the_newline() {
        assert_eq!(split(&[b"12345678\r\n"], 10), [Ok(b"12345678".to_vec())]);
        assert_eq!(split(&[b"123456789\r\n"], 10), [Err(LineTooLong)]);
    }

    proptest! {
        #[test]
        fn the_cut_of_the_stream_does_not_matter(stream in "([a-c\r\n]|\r\n){0,60}", cut in 1usize..7) {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(cut).collect();
            prop_assert_eq!(split(&pieces, 8), split(&[stream.as_bytes()], 8));
        }
    }
}
