//! The hash of a body that comes in pieces (RFC 6376 §3.4.3, §3.4.4).

use aws_lc_rs::digest::{Context, Digest, SHA256};

use super::canonical::Form;

/// Hashes a body in one form.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what has come of the line and the body, each by itself"
)]
pub(super) struct BodyHash {
    form: Form,
    context: Context,
    /// What has not been hashed yet.
    buffer: Vec<u8>,
    /// Empty lines that count if anything follows them.
    empty_lines: u64,
    /// White space that counts if anything follows it in the line.
    is_spaced: bool,
    has_cr: bool,
    is_in_line: bool,
    has_text: bool,
}

/// Hashed at once, in octets.
const BLOCK: usize = 8 << 10;

impl BodyHash {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            context: Context::new(&SHA256),
            buffer: Vec::with_capacity(BLOCK),
            empty_lines: 0,
            is_spaced: false,
            has_cr: false,
            is_in_line: false,
            has_text: false,
        }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some((&first, tail)) = rest.split_first() {
            match (first, self.form) {
                (b'\n', _) => {
                    self.line_end();
                    rest = tail;
                }
                (b'\r', _) => {
                    self.settle_cr();
                    self.has_cr = true;
                    rest = tail;
                }
                (b' ' | b'\t', Form::Relaxed) => {
                    self.settle_cr();
                    self.is_spaced = true;
                    rest = tail;
                }
                _ => rest = self.word(rest),
            }
        }
        if self.buffer.len() >= BLOCK {
            self.flush();
        }
    }

    pub(super) fn finish(mut self) -> Digest {
        // Without octets a relaxed body is nothing, and a simple one a line end.
        self.settle_cr();
        if self.is_in_line || (self.form == Form::Simple && !self.has_text) {
            self.buffer.extend_from_slice(b"\r\n");
        }
        self.flush();
        self.context.finish()
    }

    /// Takes what is neither line end nor white space in this form; returns what follows.
    fn word<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        self.settle_cr();
        let end = match self.form {
            Form::Relaxed => octets
                .iter()
                .position(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')),
            Form::Simple => memchr::memchr2(b'\r', b'\n', octets),
        };
        let (word, rest) = octets.split_at(end.unwrap_or(octets.len()));
        self.text(word);
        rest
    }

    fn text(&mut self, word: &[u8]) {
        for _ in 0..self.empty_lines {
            self.buffer.extend_from_slice(b"\r\n");
            if self.buffer.len() >= BLOCK {
                self.flush();
            }
        }
        self.empty_lines = 0;
        if std::mem::take(&mut self.is_spaced) {
            self.buffer.push(b' ');
        }
        self.buffer.extend_from_slice(word);
        self.is_in_line = true;
        self.has_text = true;
    }

    /// A CR that ends no line is text.
    fn settle_cr(&mut self) {
        if std::mem::take(&mut self.has_cr) {
            self.text(b"\r");
        }
    }

    fn line_end(&mut self) {
        self.has_cr = false;
        self.is_spaced = false;
        if std::mem::take(&mut self.is_in_line) {
            self.buffer.extend_from_slice(b"\r\n");
        } else {
            self.empty_lines += 1;
        }
    }

    fn flush(&mut self) {
        self.context.update(&self.buffer);
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use crate::dkim::verify::naive_body;

    use super::*;

    fn hash(form: Form, body: &[u8], cut: usize) -> Vec<u8> {
        let mut hash = BodyHash::new(form);
        for piece in body.chunks(cut) {
            hash.push(piece);
        }
        hash.finish().as_ref().to_vec()
    }

    /// RFC 6376 §3.4.3, §3.4.4: the hashes of nothing.
    #[test]
    fn an_empty_body_has_the_hash_of_the_rfc() {
        let text = |form| STANDARD.encode(hash(form, b"", 1));
        assert_eq!(
            text(Form::Relaxed),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            text(Form::Simple),
            "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
        );
    }

    #[test]
    fn a_body_of_empty_lines_costs_no_memory() {
        let lines = b"\r\n".repeat(1 << 20);
        let body = [&lines[..], b"x"].concat();
        let expected = digest(&SHA256, &[&body[..], b"\r\n"].concat());
        assert_eq!(hash(Form::Simple, &body, 65_536), expected.as_ref());
        assert_eq!(
            hash(Form::Relaxed, &lines, 65_536),
            hash(Form::Relaxed, b"", 1)
        );
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_hash_of_the_naive_form(
            words in proptest::collection::vec("a|bc| |\t|\r\n|\r\n|\r", 0..40),
            cut in 1..20_usize,
            is_simple: bool,
        ) {
            let form = if is_simple { Form::Simple } else { Form::Relaxed };
            let body = words.concat();
            let expected = digest(&SHA256, &naive_body(form, body.as_bytes()));
            prop_assert_eq!(hash(form, body.as_bytes(), cut), expected.as_ref().to_vec(), "{:?}", body);
        }
    }
}
