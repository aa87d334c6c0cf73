//! A message on its way to Graph: its header, and the content of a request.

use std::io;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderStringWriter;
use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::body::Body;
use crate::mail::header::MAX_HEADER;

/// A message in memory.
#[derive(Clone, Debug)]
pub(super) struct Message {
    octets: Bytes,
    /// Where the empty line begins.
    header_end: usize,
}

impl Message {
    /// Reads a message, from its first octet: all of it where it has at most `largest` octets, else its header and
    /// what comes with it. Leaves the body at its first octet.
    ///
    /// # Errors
    /// The body cannot be read.
    pub(super) async fn read(body: &mut dyn Body, largest: u64) -> io::Result<Self> {
        let is_small = body.size() <= largest;
        let room = if is_small { body.size() } else { 0 };
        let mut octets = BytesMut::with_capacity(usize::try_from(room).unwrap_or_default());
        let mut header_end = None;
        while is_small || (header_end.is_none() && octets.len() <= MAX_HEADER) {
            let Some(piece) = body.next().await? else {
                break;
            };
            let from = octets.len().saturating_sub(EMPTY_LINE.len());
            octets.extend_from_slice(&piece);
            header_end = header_end.or_else(|| header_end_of(&octets, from));
        }
        body.rewind()?;
        Ok(Self {
            header_end: header_end.unwrap_or(octets.len()),
            octets: octets.freeze(),
        })
    }

    /// Returns the header block without the empty line.
    pub(super) fn header(&self) -> &[u8] {
        self.octets.get(..self.header_end).unwrap_or_default()
    }

    /// Returns how large the message is with this header.
    pub(super) fn size_with(&self, header: &[u8]) -> u64 {
        (header.len() + self.behind_header().len()) as u64
    }

    /// Returns the content of a request: the message with this header, in base64 without line breaks.
    pub(super) fn content_with(&self, header: &[u8]) -> Bytes {
        let parts = [header, self.behind_header()];
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let text = String::with_capacity(size.div_ceil(3) * 4);
        let mut encoder = EncoderStringWriter::from_consumer(text, &STANDARD);
        for part in parts {
            // Writing to a `String` cannot fail.
            let _ = io::Write::write_all(&mut encoder, part);
        }
        encoder.into_inner().into()
    }

    /// Returns the empty line and the body. A message without an empty line gets one: what follows the header would be
    /// taken for more of it.
    fn behind_header(&self) -> &[u8] {
        let rest = self.octets.get(self.header_end..).unwrap_or_default();
        if rest.is_empty() { b"\r\n" } else { rest }
    }
}

const EMPTY_LINE: &[u8] = b"\r\n\r\n";

fn header_end_of(octets: &[u8], from: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(0);
    }
    let place = memmem::find(octets.get(from..)?, EMPTY_LINE)?;
    Some(from + place + 2)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use base64::Engine as _;

    use super::*;

    /// Gives a message in pieces.
    struct Pieces {
        octets: Vec<u8>,
        cut: usize,
        at: usize,
    }

    #[async_trait]
    impl Body for Pieces {
        fn size(&self) -> u64 {
            self.octets.len() as u64
        }

        async fn next(&mut self) -> io::Result<Option<Bytes>> {
            let end = self.octets.len().min(self.at + self.cut);
            let piece = self.octets[self.at..end].to_vec();
            self.at = end;
            Ok((!piece.is_empty()).then(|| piece.into()))
        }

        fn rewind(&mut self) -> io::Result<()> {
            self.at = 0;
            Ok(())
        }
    }

    async fn read(octets: &[u8], cut: usize, largest: u64) -> Message {
        let octets = octets.to_vec();
        let mut body = Pieces { octets, cut, at: 0 };
        let message = Message::read(&mut body, largest).await.unwrap();
        assert_eq!(body.at, 0);
        message
    }

    #[tokio::test]
    async fn the_cut_does_not_matter() {
        let octets = b"A: b\r\n\r\nbody\r\n\r\nmore\r\n";
        for cut in 1..=octets.len() {
            for largest in [0, 100] {
                let message = read(octets, cut, largest).await;
                assert_eq!(message.header(), b"A: b\r\n", "{cut}");
            }
            let message = read(octets, cut, 100).await;
            let content = message.content_with(b"C: d\r\n");
            let decoded = STANDARD.decode(content).unwrap();
            assert_eq!(decoded, b"C: d\r\n\r\nbody\r\n\r\nmore\r\n");
            assert_eq!(message.size_with(b"C: d\r\n"), decoded.len() as u64);
        }
    }

    #[tokio::test]
    async fn a_message_without_body_gets_its_empty_line() {
        let message = read(b"A: b\r\n", 3, 100).await;
        assert_eq!(message.header(), b"A: b\r\n");
        let decoded = STANDARD.decode(message.content_with(b"A: b\r\n")).unwrap();
        assert_eq!(decoded, b"A: b\r\n\r\n");
    }

    #[tokio::test]
    async fn a_message_may_have_no_header() {
        let message = read(b"\r\nbody\r\n", 1, 100).await;
        assert_eq!(message.header(), b"");
    }
}
