//! Replies: the ones we give, and a parser for the ones we receive (RFC 5321 §4.2).

use bytes::{BufMut, Bytes, BytesMut};

use crate::mail::{EnhancedStatusCode, Response};

/// A reply we give: code, enhanced status, text of one or more lines.
///
/// Constants are checked when the program is compiled: a status whose class is not that of the code is an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reply {
    code: u16,
    status: Option<EnhancedStatusCode>,
    text: &'static str,
}

impl Reply {
    /// Makes a reply with an enhanced status code (RFC 2034).
    ///
    /// # Panics
    /// Where the classes differ; in a constant that is a compile error.
    pub const fn new(code: u16, status: EnhancedStatusCode, text: &'static str) -> Self {
        assert!(
            status.agrees_with(code),
            "reply code and enhanced status code differ in class"
        );
        Self {
            code,
            status: Some(status),
            text,
        }
    }

    /// Makes a reply that has no enhanced status code: greeting, EHLO, 334, 354.
    pub const fn bare(code: u16, text: &'static str) -> Self {
        Self {
            code,
            status: None,
            text,
        }
    }

    /// Returns the reply code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the enhanced status code.
    pub const fn status(&self) -> Option<EnhancedStatusCode> {
        self.status
    }

    /// Returns the constant part of the text.
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// Returns whether the reply is positive: 2yz or 3yz.
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Returns the reply as a line; where there is a `detail`, it stands behind the text and a colon, or alone where there
    /// is no text.
    ///
    /// Whatever is not printable ASCII in `detail` becomes `?`, so that it cannot begin another line. Where the line
    /// would exceed 512 octets (RFC 5321 §4.5.3.1.5) it is cut.
    pub fn line_with(&self, detail: &str) -> Bytes {
        let mut line = BytesMut::with_capacity(64 + detail.len());
        line.put_slice(self.code.to_string().as_bytes());
        line.put_u8(b' ');
        if let Some(status) = self.status {
            line.put_slice(status.to_string().as_bytes());
            line.put_u8(b' ');
        }
        line.put_slice(self.text.as_bytes());
        if !detail.is_empty() && !self.text.is_empty() {
            line.put_slice(b": ");
        }
        for octet in detail.bytes().take(MAX_LINE.saturating_sub(line.len() + 2)) {
            line.put_u8(if matches!(octet, b' '..=b'~') {
                octet
            } else {
                b'?'
            });
        }
        line.put_slice(b"\r\n");
        line.freeze()
    }

    /// Returns the reply as a line.
    pub fn line(&self) -> Bytes {
        self.line_with("")
    }
}

/// The longest reply line, CRLF included. RFC 5321 §4.5.3.1.5.
const MAX_LINE: usize = 512;

/// The most lines one received reply may have.
const MAX_REPLY_LINES: usize = 100;

/// The longest line of a received reply, in octets. Some servers exceed the 512 of RFC 5321 §4.5.3.1.5.
const MAX_RECEIVED_LINE: usize = 2048;

/// The longest text kept of a received reply, in octets.
const MAX_TEXT: usize = 512;

/// Why received octets are no reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// A line does not begin with a code from 200 to 599.
    #[error("a line that does not begin with a reply code")]
    Code,
    /// The lines of one reply have different codes.
    #[error("a reply whose lines have different codes")]
    Mismatch,
    /// A line is longer than 2048 octets, or a reply has more than 100 lines.
    #[error("a reply without end")]
    TooLong,
}

/// A reply received whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceivedReply {
    /// The code, the status of the first line that has one, and the joined text.
    pub response: Response,
    /// Each line without code; EHLO's keywords are read from here.
    pub lines: Vec<Box<str>>,
}

/// Cuts a stream of octets into replies. Bounded: a reply without end is an error, not a growing buffer.
#[derive(Debug, Default)]
pub struct ReplyParser {
    buffer: BytesMut,
    code: Option<u16>,
    lines: Vec<Box<str>>,
}

impl ReplyParser {
    /// Adds octets as they arrive, in pieces of any size.
    pub fn receive(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Returns whether nothing is left unread: no octet behind the last whole reply.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.lines.is_empty()
    }

    /// Returns the next whole reply, or `None` until more octets have arrived.
    ///
    /// # Errors
    /// [`ReplyError`] where the octets are no reply; the connection cannot be used any more.
    pub fn poll(&mut self) -> Result<Option<ReceivedReply>, ReplyError> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer) else {
                let is_bounded = self.buffer.len() <= MAX_RECEIVED_LINE;
                return if is_bounded {
                    Ok(None)
                } else {
                    Err(ReplyError::TooLong)
                };
            };
            let line = self.buffer.split_to(end + 1);
            if line.len() > MAX_RECEIVED_LINE || self.lines.len() >= MAX_REPLY_LINES {
                return Err(ReplyError::TooLong);
            }
            if self.take_line(&line)? {
                return Ok(Some(self.finish()));
            }
        }
    }

    /// Takes one line; returns whether it was the last of its reply.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, ReplyError> {
        let line = line.trim_ascii_end();
        let (digits, rest) = line.split_at_checked(3).ok_or(ReplyError::Code)?;
        let code = str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<u16>().ok());
        let code = code
            .filter(|code| (200..600).contains(code))
            .ok_or(ReplyError::Code)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(ReplyError::Mismatch);
        }
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(ReplyError::Code),
        };
        self.code = Some(code);
        self.lines.push(printable(text));
        Ok(is_last)
    }

    fn finish(&mut self) -> ReceivedReply {
        let code = self.code.take().unwrap_or_default();
        let lines = std::mem::take(&mut self.lines);
        let mut status = None;
        let mut text = String::new();
        for line in &lines {
            let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
            let own = EnhancedStatusCode::parse(first).filter(|status| status.agrees_with(code));
            let words = if own.is_some() { rest } else { line };
            status = status.or(own);
            if !text.is_empty() && !words.is_empty() {
                text.push(' ');
            }
            text.extend(words.chars().take(MAX_TEXT.saturating_sub(text.len())));
        }
        let response = Response {
            code,
            status,
            text: text.into(),
        };
        ReceivedReply { response, lines }
    }
}

/// Keeps printable ASCII; everything else becomes `?`, so that a log line stays one line.
fn printable(octets: &[u8]) -> Box<str> {
    let keep = |&octet: &u8| {
        if matches!(octet, b' '..=b'~') {
            char::from(octet)
        } else {
            '?'
        }
    };
    octets.iter().map(keep).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::status::Class;

    fn parse(octets: &[u8]) -> Result<Vec<ReceivedReply>, ReplyError> {
        let mut parser = ReplyParser::default();
        parser.receive(octets);
        let mut replies = Vec::new();
        while let Some(reply) = parser.poll()? {
            replies.push(reply);
        }
        Ok(replies)
    }

    #[test]
    fn a_reply_of_several_lines_is_one_response() {
        let replies = parse(b"550-5.7.1 first\r\n550 5.7.1 second\r\n").unwrap();
        assert_eq!(replies[0].response.to_string(), "550 5.7.1 first second");
    }

    #[test]
    fn a_code_without_text_is_a_reply() {
        assert_eq!(parse(b"250\r\n").unwrap()[0].response.code, 250);
        assert_eq!(parse(b"250 \r\n").unwrap()[0].response.code, 250);
    }

    #[test]
    fn a_status_of_another_class_is_text() {
        let replies = parse(b"250 5.7.1 odd\r\n").unwrap();
        assert_eq!(replies[0].response.status, None);
    }

    #[test]
    fn garbage_is_an_error() {
        assert_eq!(parse(b"hello\r\n"), Err(ReplyError::Code));
        assert_eq!(parse(b"25\r\n"), Err(ReplyError::Code));
        assert_eq!(parse(b"\r\n"), Err(ReplyError::Code));
        assert_eq!(parse(b"999 x\r\n"), Err(ReplyError::Code));
        assert_eq!(parse(b"250_x\r\n"), Err(ReplyError::Code));
        assert_eq!(parse(b"250-a\r\n251 b\r\n"), Err(ReplyError::Mismatch));
    }

    #[test]
    fn a_reply_without_end_is_an_error() {
        assert_eq!(parse(&b"250-x\r\n".repeat(101)), Err(ReplyError::TooLong));
        assert_eq!(parse(&[b'2'; 3000]), Err(ReplyError::TooLong));
    }

    #[test]
    fn a_detail_cannot_begin_another_line() {
        let reply = Reply::new(250, EnhancedStatusCode::new(Class::Success, 0, 0), "ok");
        assert_eq!(
            &reply.line_with("a\r\n250 b\u{e9}")[..],
            b"250 2.0.0 ok: a??250 b??\r\n"
        );
        assert_eq!(reply.line_with(&"x".repeat(2000)).len(), 512);
    }

    proptest! {
        #[test]
        fn the_cut_of_the_stream_does_not_matter(cuts in proptest::collection::vec(1usize..9, 1..40)) {
            let stream = b"220 hi\r\n250-a\r\n250-b c\r\n250 d\r\n450 4.2.1 later\r\n";
            let whole = parse(stream).unwrap();
            let mut parser = ReplyParser::default();
            let (mut rest, mut replies, mut cuts) = (&stream[..], Vec::new(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                parser.receive(piece);
                rest = after;
                while let Some(reply) = parser.poll().unwrap() {
                    replies.push(reply);
                }
            }
            prop_assert_eq!(replies, whole);
            prop_assert!(parser.is_empty());
        }

        #[test]
        fn no_octets_make_the_parser_panic(octets: Vec<u8>) {
            let _ = parse(&octets);
        }
    }
}
