//! The header of a message: its fields as octets, and the address lists that are judged.
//!
//! [`Header`] splits a header block into fields without changing or decoding an octet, so that what was not asked
//! for survives byte for byte. [`AddressList`] is the strict reader of `From:` and its kin. Both fail closed: what
//! two mail readers could take for two different things is an error, never a guess.
//!
//! Obsolete syntax that readers disagree about is refused although RFC 5322 §4 lets readers accept it: white space
//! before the colon, fields without a printable name, a block that begins with a continuation line. A continuation
//! line of white space alone is kept in fields that nobody judges: a reader that takes it for the end of the header
//! sees fewer fields than were judged, never others.

mod address_edit;
mod address_list;
mod encoded_word;
mod token;

pub use address_edit::{Edited, Keep, edit_addresses};
pub use address_list::{AddressList, AddressListError, MAX_SENDERS, Senders};
pub use encoded_word::encoded_words;

/// The largest header block accepted, in octets.
pub const MAX_HEADER: usize = 256 << 10;

/// The most fields one header may have.
pub const MAX_FIELDS: usize = 1000;

/// A header block, split into fields.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    octets: &'a [u8],
    fields: Vec<Field<'a>>,
}

impl<'a> Header<'a> {
    /// Splits a header block, without the empty line that ends it, into its fields (RFC 5322 §2.2).
    ///
    /// Each line, the last included, ends with CRLF. An empty block is a header without fields.
    ///
    /// # Errors
    /// [`HeaderError`] names what is wrong and the line, counted from 1.
    pub fn parse(octets: &'a [u8]) -> Result<Self, HeaderError> {
        if octets.len() > MAX_HEADER {
            return Err(HeaderError::TooLong);
        }
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut rest = octets;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let (first, after) = take_line(rest, number)?;
            let (name, colon) = field_name(first, number)?;
            let mut length = first.len();
            let mut after = after;
            while matches!(after.first(), Some(b' ' | b'\t')) {
                number += 1;
                let (line, next) = take_line(after, number)?;
                length += line.len();
                after = next;
            }
            if fields.len() == MAX_FIELDS {
                return Err(HeaderError::TooManyFields);
            }
            fields.push(Field {
                name,
                octets: rest.get(..length).unwrap_or_default(),
                value: rest.get(colon + 1..length - 2).unwrap_or_default(),
            });
            rest = after;
        }
        Ok(Self { octets, fields })
    }

    /// Returns the whole block as it was given.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Returns the fields in their order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// Returns the fields of a name, in their order. Letter case does not count.
    pub fn find<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h Field<'a>> {
        self.fields.iter().filter(move |field| field.is_named(name))
    }

    /// Returns whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).next().is_some()
    }
}

/// One field of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    name: &'a str,
    octets: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Returns the name as it was written, without the colon: printable ASCII.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the whole field, from its name to its last CRLF.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Returns what follows the colon, still folded, without the last CRLF.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Returns whether this is the field's name. Letter case does not count.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Why octets are not a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// A CR without LF, a LF without CR, or a last line without its end.
    #[error("line {line} of the header does not end with CRLF")]
    LineEnd {
        /// The line, from 1.
        line: usize,
    },
    /// A line that is neither a field nor continues one.
    #[error("line {line} of the header is not a field")]
    NotAField {
        /// The line, from 1.
        line: usize,
    },
    /// An octet zero.
    #[error("line {line} of the header has an octet zero")]
    Nul {
        /// The line, from 1.
        line: usize,
    },
    /// White space between a field's name and its colon.
    #[error("line {line} of the header has white space before its colon")]
    SpaceBeforeColon {
        /// The line, from 1.
        line: usize,
    },
    /// The block has more than [`MAX_HEADER`] octets.
    #[error("the header is larger than 256 KiB")]
    TooLong,
    /// There are more than [`MAX_FIELDS`] fields.
    #[error("the header has more than 1000 fields")]
    TooManyFields,
}

/// Takes one line, its CRLF included, from the front of `octets`.
fn take_line(octets: &[u8], line: usize) -> Result<(&[u8], &[u8]), HeaderError> {
    let end = memchr::memchr(b'\n', octets).ok_or(HeaderError::LineEnd { line })?;
    let (taken, rest) = octets.split_at_checked(end + 1).unwrap_or((octets, &[]));
    let content = taken
        .strip_suffix(b"\r\n")
        .ok_or(HeaderError::LineEnd { line })?;
    match memchr::memchr2(b'\r', 0, content).and_then(|place| content.get(place)) {
        None => Ok((taken, rest)),
        Some(0) => Err(HeaderError::Nul { line }),
        Some(_) => Err(HeaderError::LineEnd { line }),
    }
}

/// Returns the name at the front of a line, and the place of the colon behind it (RFC 5322 §2.2).
fn field_name(line: &[u8], number: usize) -> Result<(&str, usize), HeaderError> {
    let fault = HeaderError::NotAField { line: number };
    let colon = memchr::memchr(b':', line).ok_or(fault)?;
    let name = line.get(..colon).unwrap_or_default();
    let trimmed = name.trim_ascii_end();
    if trimmed.is_empty() || !trimmed.iter().all(|&octet| is_name_octet(octet)) {
        return Err(fault);
    }
    if trimmed.len() < name.len() {
        return Err(HeaderError::SpaceBeforeColon { line: number });
    }
    let name = str::from_utf8(name).map_err(|_| fault)?;
    Ok((name, colon))
}

const fn is_name_octet(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~') && octet != b':'
}

#[cfg(test)]
mod tests;
