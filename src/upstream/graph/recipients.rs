//! The header as Graph gets it. Pure.
//!
//! Graph has no envelope: it sends a copy to everybody in `To:`, `Cc:` and `Bcc:`, and to nobody else. So these fields
//! are made to name exactly the recipients of an attempt:
//!
//! - recipients that stand in neither `To:` nor `Cc:` get into one `Bcc:`, which Exchange takes out;
//! - addresses in `To:` and `Cc:` that are no recipients leave, and with them their names. What the field was stays
//!   readable in `X-Header-To:` or `X-Header-Cc:`, octet for octet;
//! - `Resent-To:`, `Resent-Cc:`, `Resent-Bcc:` and a `Bcc:` that is there leave;
//! - several `To:` become one, as some readers know only the first;
//! - a field that cannot be read as RFC 5322 says leaves, and its recipients get into `Bcc:`.
//!
//! Addresses are compared as parsed, never as text. A lenient parser of other people reads the result again; where it
//! finds other recipients, `To:` and `Cc:` leave altogether. See docs/decisions/0018.

use std::collections::HashMap;

use mail_parser::{Address, MessageParser};

use crate::mail::{Domain, Edited, Field, Header, Keep, Mailbox, edit_addresses};

/// A header block whose recipients are those of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Addressed {
    /// The block, without the empty line behind it.
    pub(super) block: Vec<u8>,
    pub(super) change: Change,
}

/// What a reader of the message sees of the change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// Nothing: `To:` and `Cc:` name whom they named.
    Invisible,
    /// Somebody has left `To:` or `Cc:`.
    Visible,
}

/// Returns the header for these recipients, which all print as ASCII.
pub(super) fn address(header: &Header<'_>, recipients: &[&Mailbox]) -> Addressed {
    let mut wanted = Wanted::new(recipients);
    let lines = NAMES.map(|name| (name, Line::of(header, name, &mut wanted)));
    let addressed = written(header, &lines, &wanted);
    if wanted.are_those_of(&addressed.block) {
        return addressed;
    }
    let hidden = lines.map(|(name, line)| (name, line.hidden(name, header)));
    written(header, &hidden, &Wanted::new(recipients))
}

/// The fields whose recipients people see.
const NAMES: [&str; 2] = ["To", "Cc"];

/// The fields that name recipients and never reach Graph.
const TAKEN_OUT: [&str; 4] = ["Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];

/// The recipients of an attempt, and which of them the header names so far.
struct Wanted<'a> {
    recipients: &'a [&'a Mailbox],
    is_named: HashMap<Key, bool>,
}

/// A mailbox as it is compared: whether its local part is ASCII, and the whole in lower case.
///
/// No international local part is the same as an ASCII one, although some have a lower case in ASCII.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key(bool, String);

impl Key {
    fn of(mailbox: &Mailbox) -> Self {
        let local_part = mailbox.local_part();
        let domain = mailbox.domain().as_ascii();
        let lower = local_part.as_unquoted().to_lowercase();
        Self(local_part.is_ascii(), format!("{lower}@{domain}"))
    }

    /// Returns the key of an address whose local part has lost its quotes, if it had any.
    fn of_text(text: &str) -> Option<Self> {
        let (local_part, domain) = text.rsplit_once('@')?;
        let domain = Domain::parse(domain).ok()?;
        let lower = local_part.to_lowercase();
        Some(Self(
            local_part.is_ascii(),
            format!("{lower}@{}", domain.as_ascii()),
        ))
    }
}

impl<'a> Wanted<'a> {
    fn new(recipients: &'a [&'a Mailbox]) -> Self {
        let unnamed = |mailbox: &&Mailbox| (Key::of(mailbox), false);
        Self {
            recipients,
            is_named: recipients.iter().map(unnamed).collect(),
        }
    }

    /// Says what becomes of an address of the header.
    fn keep(&mut self, mailbox: &Mailbox) -> Keep {
        let Some(is_named) = self.is_named.get_mut(&Key::of(mailbox)) else {
            return Keep::No;
        };
        *is_named = true;
        match mailbox.to_ascii() {
            Some(ascii) if !mailbox.is_ascii() => Keep::As(ascii),
            Some(_) | None => Keep::AsIs,
        }
    }

    /// Returns the field for those that the header does not name, or nothing; one line for each.
    fn blind_copies(&self) -> String {
        let mut left = self.is_named.clone();
        let mut unnamed = Vec::new();
        for mailbox in self.recipients {
            // Removed, so that a recipient that is there twice gets in once.
            if left.remove(&Key::of(mailbox)) == Some(false) {
                unnamed.push(format!("<{mailbox}>"));
            }
        }
        if unnamed.is_empty() {
            String::new()
        } else {
            format!("Bcc: {}\r\n", unnamed.join(",\r\n "))
        }
    }

    /// Returns whether a parser that is made to make sense of anything finds these recipients in a header, and no others.
    fn are_those_of(&self, block: &[u8]) -> bool {
        let parser = MessageParser::new().with_address_headers();
        let Some(message) = parser.parse_headers(block) else {
            return false;
        };
        let fields = [message.to(), message.cc(), message.bcc()];
        let mut missing = self.is_named.clone();
        for address in fields.into_iter().flatten().flat_map(Address::iter) {
            let Some(key) = address.address().and_then(Key::of_text) else {
                return false;
            };
            if !self.is_named.contains_key(&key) {
                return false;
            }
            missing.remove(&key);
        }
        missing.is_empty()
    }
}

/// What becomes of the fields of one name.
enum Line<'a> {
    /// There is none.
    Missing,
    /// They are one field, which stays as it is.
    Same(Field<'a>),
    /// They are replaced.
    Replaced {
        name: &'static str,
        /// What stands behind the colon; `None` where nobody is left.
        value: Option<Vec<u8>>,
        /// The fields of which somebody has left.
        before: Vec<Field<'a>>,
    },
}

impl<'a> Line<'a> {
    fn of(header: &Header<'a>, name: &'static str, wanted: &mut Wanted<'_>) -> Self {
        let fields: Vec<Field<'a>> = header.find(name).copied().collect();
        let (mut values, mut before, mut is_same) = (Vec::new(), Vec::new(), fields.len() == 1);
        for field in &fields {
            let mut has_left = false;
            let edited = edit_addresses(field.value(), |mailbox| {
                let keep = wanted.keep(mailbox);
                has_left |= keep == Keep::No;
                keep
            });
            match edited {
                Ok(Edited::Unchanged) => values.push(field.value().to_vec()),
                Ok(Edited::Changed(value)) => {
                    is_same = false;
                    values.push(value);
                }
                Ok(Edited::Empty) => is_same = false,
                Err(_) => {
                    is_same = false;
                    has_left = true;
                }
            }
            before.extend(has_left.then_some(*field));
        }
        match fields.first() {
            None => Self::Missing,
            Some(field) if is_same => Self::Same(*field),
            Some(_) => Self::Replaced {
                name,
                value: joined(&values),
                before,
            },
        }
    }

    /// Takes all addresses out.
    fn hidden(self, name: &'static str, header: &Header<'a>) -> Self {
        let before: Vec<Field<'a>> = header.find(name).copied().collect();
        match self {
            Self::Missing => Self::Missing,
            Self::Same(_) | Self::Replaced { .. } => Self::Replaced {
                name,
                value: None,
                before,
            },
        }
    }

    fn write(&self, block: &mut Vec<u8>) {
        match self {
            Self::Missing => {}
            Self::Same(field) => block.extend_from_slice(field.octets()),
            Self::Replaced {
                name,
                value,
                before,
            } => {
                if let Some(value) = value {
                    block.extend_from_slice(format!("{name}:").as_bytes());
                    block.extend_from_slice(value);
                    block.extend_from_slice(b"\r\n");
                }
                for field in before {
                    block.extend_from_slice(format!("X-Header-{name}:").as_bytes());
                    block.extend_from_slice(field.value());
                    block.extend_from_slice(b"\r\n");
                }
            }
        }
    }

    fn change(&self) -> Change {
        match self {
            Self::Replaced { before, .. } if !before.is_empty() => Change::Visible,
            Self::Missing | Self::Same(_) | Self::Replaced { .. } => Change::Invisible,
        }
    }
}

/// Makes one value of several; a single one stays as it is.
fn joined(values: &[Vec<u8>]) -> Option<Vec<u8>> {
    if let [value] = values {
        return Some(value.clone());
    }
    // What was folded behind the colon would be a blank line here.
    let trimmed: Vec<&[u8]> = values.iter().map(|value| value.trim_ascii()).collect();
    let list = trimmed.join(&b",\r\n "[..]);
    (!list.is_empty()).then(|| [b" ", &list[..]].concat())
}

/// Writes the header with these lines where the first fields of their names stood.
fn written(header: &Header<'_>, lines: &[(&str, Line<'_>)], wanted: &Wanted<'_>) -> Addressed {
    let mut block = Vec::with_capacity(header.octets().len() + 64);
    let mut pending: Vec<&(&str, Line<'_>)> = lines.iter().collect();
    for field in header.fields() {
        if lines.iter().any(|(name, _)| field.is_named(name)) {
            let first = pending.extract_if(.., |(name, _)| field.is_named(name));
            first.for_each(|(_, line)| line.write(&mut block));
        } else if !TAKEN_OUT.iter().any(|name| field.is_named(name)) {
            block.extend_from_slice(field.octets());
        }
    }
    block.extend_from_slice(wanted.blind_copies().as_bytes());
    let is_visible = lines
        .iter()
        .any(|(_, line)| line.change() == Change::Visible);
    Addressed {
        block,
        change: if is_visible {
            Change::Visible
        } else {
            Change::Invisible
        },
    }
}

#[cfg(test)]
mod tests;
