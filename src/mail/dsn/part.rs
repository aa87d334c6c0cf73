//! The parts of a report, and what separates them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::put_line;
use crate::mail::queue_id::QueueId;

/// One part of the report.
pub(super) struct Part {
    pub(super) description: &'static str,
    pub(super) content_type: &'static str,
    pub(super) encoding: Encoding,
    pub(super) content: Bytes,
}

/// How the content of a part is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Base64,
    EightBit,
    SevenBit,
}

impl Encoding {
    /// Returns the encoding of a content, which is hidden from the way back or may be seen by it.
    pub(super) fn of(content: &[u8], is_hidden: bool) -> Self {
        match (content.is_ascii(), is_hidden) {
            (true, _) => Self::SevenBit,
            (false, true) => Self::Base64,
            (false, false) => Self::EightBit,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::EightBit => "8bit",
            Self::SevenBit => "7bit",
        }
    }
}

impl Part {
    pub(super) fn is_eight_bit(&self) -> bool {
        self.encoding == Encoding::EightBit
    }

    pub(super) fn put(&self, octets: &mut BytesMut) {
        let mut header = String::new();
        put_line(
            &mut header,
            &format!("Content-Description: {}", self.description),
        );
        put_line(&mut header, &format!("Content-Type: {}", self.content_type));
        put_line(
            &mut header,
            &format!("Content-Transfer-Encoding: {}", self.encoding.name()),
        );
        octets.put_slice(header.as_bytes());
        octets.put_slice(b"\r\n");
        if self.encoding != Encoding::Base64 {
            return octets.put_slice(&self.content);
        }
        for line in self.content.chunks(BASE64_LINE) {
            octets.put_slice(STANDARD.encode(line).as_bytes());
            octets.put_slice(b"\r\n");
        }
    }
}

/// Returns a boundary that occurs in no part (RFC 2046 §5.1.1).
pub(super) fn boundary(queue_id: QueueId, parts: &[Part]) -> String {
    let prefix = format!("=_{queue_id}.");
    let mut used = BTreeSet::new();
    for part in parts {
        for place in memmem::find_iter(&part.content, &prefix) {
            let behind = part.content.get(place + prefix.len()..).unwrap_or_default();
            let digits = behind
                .iter()
                .take_while(|octet| octet.is_ascii_digit())
                .count();
            let number = behind
                .get(..digits.min(MAX_DIGITS))
                .and_then(|text| str::from_utf8(text).ok());
            used.extend(number.and_then(|text| text.parse::<u64>().ok()));
        }
    }
    // Of one number more than are used, one is free.
    let most = u64::try_from(used.len()).unwrap_or(u64::MAX - 1) + 1;
    let free = (1..=most).find(|number| !used.contains(number));
    let free = free.unwrap_or(most);
    format!("{prefix}{free}/")
}

/// How many octets go into a line of base64: 76 characters (RFC 2045 §6.8).
const BASE64_LINE: usize = 57;

/// The digits of a number that fits into 64 bits for certain.
const MAX_DIGITS: usize = 19;
