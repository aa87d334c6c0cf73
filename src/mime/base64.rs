//! Base64 in lines (RFC 2045 §6.8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets in one line: 76 characters.
const LINE: usize = 57;

/// Encodes octets that come in pieces. The last line has no CRLF.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// The beginning of a line, fewer octets than [`LINE`].
    kept: Vec<u8>,
    has_written: bool,
}

impl Base64 {
    /// Encodes the next octets, as far as they fill lines.
    pub(super) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        if !self.kept.is_empty() {
            let missing = LINE.saturating_sub(self.kept.len()).min(rest.len());
            let (head, tail) = rest.split_at(missing);
            self.kept.extend_from_slice(head);
            rest = tail;
            if self.kept.len() < LINE {
                return;
            }
            let line = std::mem::take(&mut self.kept);
            self.line(&line, out);
        }
        let mut lines = rest.chunks_exact(LINE);
        for line in &mut lines {
            self.line(line, out);
        }
        self.kept.extend_from_slice(lines.remainder());
    }

    /// Ends the octets.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.kept);
        if !line.is_empty() {
            self.line(&line, out);
        }
    }

    fn line(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if self.has_written {
            out.extend_from_slice(b"\r\n");
        }
        self.has_written = true;
        let mut text = [0; LINE.div_ceil(3) * 4];
        // The line is as long as any can be, so it fits.
        let written = STANDARD.encode_slice(octets, &mut text).unwrap_or_default();
        out.extend_from_slice(text.get(..written).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_decodes_to_what_it_was_and_has_short_lines(
            octets in proptest::collection::vec(any::<u8>(), 0..400),
            cut in 1..200_usize,
        ) {
            let (mut encoder, mut out) = (Base64::default(), Vec::new());
            for piece in octets.chunks(cut) {
                encoder.push(piece, &mut out);
            }
            encoder.finish(&mut out);
            let text = String::from_utf8(out).unwrap();
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 76));
            prop_assert!(!text.ends_with('\n'));
            let decoded = STANDARD.decode(text.replace("\r\n", "")).unwrap();
            prop_assert_eq!(decoded, octets);
        }
    }
}
