//! Tagged fields: one octet of tag, four of length (little endian), the content. A reader skips tags that it does not
//! know, so fields can be added without a new version.

use std::fmt::{self, Display, Write};

/// What is stored cannot be understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the record is malformed")]
pub(super) struct Malformed;

/// Fields that are being written.
#[derive(Debug)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// Begins behind `reserved` zero octets.
    pub(super) fn behind(reserved: usize) -> Self {
        let mut octets = Vec::with_capacity(reserved + 480);
        octets.resize(reserved, 0);
        Self(octets)
    }

    pub(super) fn into_octets(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn number(&mut self, tag: u8, number: u64) {
        self.octets(tag, &number.to_le_bytes());
    }

    pub(super) fn octet(&mut self, tag: u8, octet: u8) {
        self.octets(tag, &[octet]);
    }

    pub(super) fn octets(&mut self, tag: u8, octets: &[u8]) {
        self.nested(tag, |fields| fields.0.extend_from_slice(octets));
    }

    pub(super) fn text(&mut self, tag: u8, text: &dyn Display) {
        self.nested(tag, |fields| {
            // Writing to memory does not fail.
            let _ = write!(fields, "{text}");
        });
    }

    /// Writes a field whose content is fields again.
    pub(super) fn nested(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.0.push(tag);
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        content(self);
        let length = u32::try_from(self.0.len() - at - 4).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Writes fields that stand already.
    pub(super) fn raw(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }
}

impl Write for Fields {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Fields that are being read. Ends after the first malformed one.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let split = rest.split_at_checked(4).and_then(|(length, rest)| {
            let length = u32::from_le_bytes(length.try_into().ok()?);
            rest.split_at_checked(usize::try_from(length).ok()?)
        });
        let Some((content, rest)) = split else {
            self.0 = &[];
            return Some(Err(Malformed));
        };
        self.0 = rest;
        Some(Ok((*tag, content)))
    }
}

pub(super) fn number(octets: &[u8]) -> Result<u64, Malformed> {
    let octets = octets.try_into().map_err(|_| Malformed)?;
    Ok(u64::from_le_bytes(octets))
}

pub(super) fn octet(octets: &[u8]) -> Result<u8, Malformed> {
    match octets {
        [octet] => Ok(*octet),
        _ => Err(Malformed),
    }
}

pub(super) fn text(octets: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(octets).map_err(|_| Malformed)
}
