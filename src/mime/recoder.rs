//! Writing a message anew, as a plan says.

use crate::mail::{Field, Header};

use super::base64::Base64;
use super::entity::{CONTENT_TYPE, ENCODING, Entity, VERSION};
use super::fold::fold;
use super::quoted_printable::QuotedPrintable;
use super::survey::{Coding, Plan, Treatment};
use super::walker::{Visitor, Walker};

/// Writes a message anew.
#[derive(Debug)]
pub struct Recoder {
    walker: Walker,
    writer: Writer,
}

/// The octets are not those that the plan was made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the message is not the one that was looked at before")]
pub struct Changed;

impl Recoder {
    /// Begins the message that the plan was made for.
    pub fn new(plan: Plan) -> Self {
        Self {
            walker: Walker::new(),
            writer: Writer {
                treatments: plan.treatments.into_iter(),
                folds: plan.folds,
                leaf: Leaf::Keep,
                owes_end: false,
                out: Vec::new(),
            },
        }
    }

    /// Takes the next octets, in pieces of any size; appends what they become to `out`.
    ///
    /// # Errors
    /// [`Changed`].
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Changed> {
        std::mem::swap(&mut self.writer.out, out);
        let walked = self.walker.push(octets, &mut self.writer);
        std::mem::swap(&mut self.writer.out, out);
        walked.map_err(|_| Changed)
    }

    /// Ends the message: appends what is left. The last line has its end.
    ///
    /// # Errors
    /// [`Changed`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Changed> {
        std::mem::swap(&mut self.writer.out, out);
        let walked = self.walker.finish(&mut self.writer);
        if self.writer.owes_end {
            self.writer.between(b"\r\n");
        }
        std::mem::swap(&mut self.writer.out, out);
        walked.map_err(|_| Changed)
    }
}

#[derive(Debug)]
struct Writer {
    treatments: std::vec::IntoIter<Treatment>,
    folds: bool,
    leaf: Leaf,
    /// Whether the last line has no end: what was encoded has ended, and the line end belongs to what follows.
    owes_end: bool,
    out: Vec<u8>,
}

/// How the content of the open part is written.
#[derive(Debug)]
enum Leaf {
    Base64(Base64),
    Keep,
    QuotedPrintable(QuotedPrintable),
}

impl Visitor for Writer {
    fn open(&mut self, entity: &Entity, header: &Header<'_>) {
        let treatment = self.treatments.next().unwrap_or_default();
        let mut says_coding = false;
        for field in header.fields() {
            let label = treatment.coding.label();
            if let Some(label) = label
                && field.is_named(ENCODING)
            {
                self.field(ENCODING, label);
                says_coding = true;
            } else {
                self.keep(field, entity);
            }
        }
        if treatment.adds_version {
            self.field(VERSION, "1.0");
        }
        if let Some(charset) = treatment.charset
            && !entity.has_type
        {
            self.field(CONTENT_TYPE, &format!("text/plain; charset={charset}"));
        }
        if let Some(label) = treatment.coding.label()
            && !says_coding
        {
            self.field(ENCODING, label);
        }
        self.leaf = match treatment.coding {
            Coding::Base64 => Leaf::Base64(Base64::default()),
            Coding::Keep | Coding::SevenBit => Leaf::Keep,
            Coding::QuotedPrintable => Leaf::QuotedPrintable(QuotedPrintable::default()),
        };
    }

    fn blank(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn text(&mut self, octets: &[u8]) {
        match &mut self.leaf {
            Leaf::Base64(encoder) => encoder.push(octets, &mut self.out),
            Leaf::Keep => self.out.extend_from_slice(octets),
            Leaf::QuotedPrintable(encoder) => encoder.text(octets, &mut self.out),
        }
    }

    fn line_end(&mut self) {
        match &mut self.leaf {
            Leaf::Base64(encoder) => encoder.push(b"\r\n", &mut self.out),
            Leaf::Keep => self.out.extend_from_slice(b"\r\n"),
            Leaf::QuotedPrintable(encoder) => encoder.line_end(&mut self.out),
        }
    }

    fn close(&mut self) {
        match std::mem::replace(&mut self.leaf, Leaf::Keep) {
            Leaf::Base64(encoder) => {
                encoder.finish(&mut self.out);
                self.owes_end = true;
            }
            Leaf::Keep => {}
            Leaf::QuotedPrintable(mut encoder) => encoder.finish(&mut self.out),
        }
    }

    fn between(&mut self, octets: &[u8]) {
        self.owes_end = false;
        self.out.extend_from_slice(octets);
    }
}

impl Writer {
    fn keep(&mut self, field: &Field<'_>, entity: &Entity) {
        // A header that a signature covers is not touched.
        if self.folds && !entity.is_signed {
            fold(field.octets(), &mut self.out);
        } else {
            self.out.extend_from_slice(field.octets());
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        for text in [name, ": ", value, "\r\n"] {
            self.out.extend_from_slice(text.as_bytes());
        }
    }
}

impl Coding {
    /// What `Content-Transfer-Encoding:` says.
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Base64 => Some("base64"),
            Self::Keep => None,
            Self::QuotedPrintable => Some("quoted-printable"),
            Self::SevenBit => Some("7bit"),
        }
    }
}

#[cfg(test)]
mod tests;
