//! Delivery status notifications as octets (RFC 3464, RFC 6522, RFC 6533).
//!
//! A report has three parts: a text for a person who knows nothing of mail, fields for programs, and the header of the
//! message it is about, or the message itself. Nothing that comes from outside can begin a field, a line of its own or
//! another part: texts are made printable, and the boundary is chosen so that it does not occur.
//!
//! Whether somebody wants a report (NOTIFY), and to send it with a null reverse-path, is the caller's business.

mod fields;
mod text;

use std::collections::BTreeSet;
use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::address::{Domain, Mailbox};
use super::date::Date;
use super::envelope::{BodyType, DsnReturn, Envelope, Recipient};
use super::header::Header;
use super::outcome::{Failure, RecipientIndex, Response};
use super::queue_id::QueueId;

/// The most octets of a header that a report returns.
pub const MAX_RETURNED_HEADER: usize = 64 << 10;

/// All that a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Dsn<'a> {
    /// The name of this relay.
    pub hostname: &'a Domain,
    /// The sender in `From:`, such as `postmaster@relay.example`.
    pub from: &'a Mailbox,
    /// The name in `From:`, such as `Mail Delivery System`. It may hold anything.
    pub from_name: &'a str,
    /// When the report is written.
    pub date: Date,
    /// The queue id of the message it is about.
    pub queue_id: QueueId,
    /// The envelope of that message.
    pub envelope: &'a Envelope,
    /// When that message was accepted.
    pub accepted: Date,
    /// The octets of that message, as far as the caller has read them.
    pub original: Original<'a>,
    /// The name of the host that answered, if one did.
    pub remote: Option<&'a str>,
    /// The recipients it is about, and what became of each.
    pub recipients: &'a [(RecipientIndex, Action<'a>)],
}

/// The octets of the message that a report is about, with CRLF line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Original<'a> {
    /// Its beginning; the caller's limit on returned messages was reached. Should hold [`MAX_RETURNED_HEADER`] octets.
    Beginning(&'a [u8]),
    /// All of it; returned whole where RET=FULL.
    Whole(&'a [u8]),
}

/// What became of a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action<'a> {
    /// Not relayed yet; attempts go on.
    Delayed {
        /// Why the last attempt did not succeed.
        reason: &'a Failure,
        /// When the last attempt will be made.
        until: Date,
    },
    /// Given up: its lifetime is over. The failure is that of the last attempt.
    Expired(&'a Failure),
    /// Given up: refused for good.
    Failed(&'a Failure),
    /// Handed to an upstream that sends no reports of its own.
    Relayed(&'a Response),
}

/// A report ready to be queued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Header and body.
    pub octets: Bytes,
    /// The BODY= that its envelope needs.
    pub body: BodyType,
    /// Whether its envelope needs SMTPUTF8.
    pub smtputf8: bool,
}

impl<'a> Dsn<'a> {
    /// Writes the report to the sender of the message.
    ///
    /// Returns `None` where the reverse-path is null, as a report about a report would run in circles (RFC 5321 §6.1),
    /// and where none of the recipients is in the envelope.
    ///
    /// The whole message is returned where RET=FULL, it is [`Original::Whole`], and a mail of lines can carry it;
    /// otherwise its header, up to [`MAX_RETURNED_HEADER`] octets, without fields that have a line of over 998.
    pub fn write(&self) -> Option<Report> {
        let to = plainest(self.envelope.reverse_path.mailbox()?);
        let from = plainest(self.from);
        let (first, _) = self.known().next()?;
        // An ASCII sender's own system may not know SMTPUTF8; its report stays ASCII but for free text.
        let smtputf8 = !to.is_ascii() || !from.is_ascii();
        let parts = self.parts(smtputf8);
        let boundary = boundary(self.queue_id, &parts);
        let is_eight_bit = !parts.iter().all(|part| part.content.is_ascii());
        let mut octets = BytesMut::new();
        octets.put_slice(self.header(&to, &from, first).as_bytes());
        octets.put_slice(b"Content-Type: multipart/report; report-type=delivery-status;\r\n");
        octets.put_slice(format!(" boundary=\"{boundary}\"\r\n").as_bytes());
        if is_eight_bit {
            octets.put_slice(b"Content-Transfer-Encoding: 8bit\r\n");
        }
        for part in &parts {
            octets.put_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            part.put(&mut octets);
        }
        octets.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let body = if is_eight_bit || smtputf8 {
            BodyType::EightBitMime
        } else {
            BodyType::SevenBit
        };
        Some(Report {
            octets: octets.freeze(),
            body,
            smtputf8,
        })
    }

    /// Returns the recipients that are in the envelope.
    fn known(&self) -> impl Iterator<Item = (RecipientIndex, (&'a Recipient, Action<'a>))> {
        let recipients = &self.envelope.recipients;
        self.recipients.iter().filter_map(|&(index, action)| {
            let recipient = recipients.get(usize::from(index.0))?;
            Some((index, (recipient, action)))
        })
    }

    fn header(&self, to: &Mailbox, from: &Mailbox, first: RecipientIndex) -> String {
        let kind = self.kind();
        let mut header = String::new();
        // A recipient is delayed once and done once, so this names no two reports.
        let id = format!("{}.{}.{}", self.queue_id, first.0, kind.letter());
        let fields = [
            format!("From: {} <{from}>", text::phrase(self.from_name)),
            format!("To: <{to}>"),
            format!("Subject: {}", kind.subject()),
            format!("Date: {}", self.date),
            format!("Message-ID: <{id}@{}>", self.hostname.as_ascii()),
            "Auto-Submitted: auto-replied".to_owned(),
            "MIME-Version: 1.0".to_owned(),
        ];
        for field in fields {
            put_line(&mut header, &field);
        }
        if let Some(id) = text::message_id(self.original.header()) {
            put_line(&mut header, &format!("In-Reply-To: {id}"));
            put_line(&mut header, &format!("References: {id}"));
        }
        header
    }

    /// Returns what the report as a whole is about: the worst that became of a recipient.
    fn kind(&self) -> Kind {
        let kinds = self.known().map(|(_, (_, action))| action.kind());
        kinds.max().unwrap_or(Kind::Failed)
    }

    fn parts(&self, smtputf8: bool) -> [Part; 3] {
        let recipients: Vec<_> = self.known().map(|(_, recipient)| recipient).collect();
        let human = text::for_people(self, &recipients);
        let machine = fields::for_programs(self, &recipients, smtputf8);
        [
            Part {
                description: "Notification",
                content_type: if human.is_ascii() {
                    "text/plain; charset=us-ascii"
                } else {
                    "text/plain; charset=utf-8"
                },
                content: human.into(),
            },
            Part {
                description: "Delivery report",
                content_type: if smtputf8 {
                    "message/global-delivery-status"
                } else {
                    "message/delivery-status"
                },
                content: machine.into(),
            },
            self.returned(smtputf8),
        ]
    }

    fn returned(&self, smtputf8: bool) -> Part {
        match (self.envelope.ret, self.original) {
            (Some(DsnReturn::Full), Original::Whole(octets)) if is_of_lines(octets) => Part {
                description: "Undelivered message",
                content_type: if smtputf8 {
                    "message/global"
                } else {
                    "message/rfc822"
                },
                content: Bytes::copy_from_slice(octets),
            },
            _ => Part {
                description: "Header of the undelivered message",
                content_type: if smtputf8 {
                    "message/global-headers"
                } else {
                    "text/rfc822-headers"
                },
                content: returned_header(self.original.header()),
            },
        }
    }
}

impl<'a> Original<'a> {
    /// Returns the header block, or as much of it as is there.
    fn header(self) -> &'a [u8] {
        let (Self::Beginning(octets) | Self::Whole(octets)) = self;
        if octets.starts_with(b"\r\n") {
            return &[];
        }
        let end = memmem::find(octets, b"\r\n\r\n").map_or(octets.len(), |end| end + 2);
        octets.get(..end).unwrap_or_default()
    }
}

/// What a report is about. The worst is the greatest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Relayed,
    Delayed,
    Failed,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Relayed => 'r',
            Self::Delayed => 'd',
            Self::Failed => 'f',
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Relayed => "Your message has been handed on",
            Self::Delayed => "Your message is delayed",
            Self::Failed => "Your message could not be delivered",
        }
    }
}

impl Action<'_> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Delayed { .. } => Kind::Delayed,
            Self::Expired(_) | Self::Failed(_) => Kind::Failed,
            Self::Relayed(_) => Kind::Relayed,
        }
    }
}

/// One part of the report.
struct Part {
    description: &'static str,
    content_type: &'static str,
    content: Bytes,
}

impl Part {
    fn put(&self, octets: &mut BytesMut) {
        let encoding = if self.content.is_ascii() {
            "7bit"
        } else {
            "8bit"
        };
        let mut header = String::new();
        put_line(
            &mut header,
            &format!("Content-Description: {}", self.description),
        );
        put_line(&mut header, &format!("Content-Type: {}", self.content_type));
        put_line(
            &mut header,
            &format!("Content-Transfer-Encoding: {encoding}"),
        );
        octets.put_slice(header.as_bytes());
        octets.put_slice(b"\r\n");
        octets.put_slice(&self.content);
    }
}

/// Returns a boundary that occurs in no part (RFC 2046 §5.1.1).
fn boundary(queue_id: QueueId, parts: &[Part]) -> String {
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

/// Returns a header as it is returned: whole fields, each line at most 998 octets.
fn returned_header(header: &[u8]) -> Bytes {
    let mut returned = BytesMut::new();
    // The block was accepted, so it parses; cut off by the caller's limit it does up to its last line.
    let whole = memchr::memrchr(b'\n', header).map_or(0, |end| end + 1);
    let Ok(header) = Header::parse(header.get(..whole).unwrap_or_default()) else {
        return Bytes::new();
    };
    for field in header.fields() {
        let is_room = returned.len() + field.octets().len() <= MAX_RETURNED_HEADER;
        if is_room && is_of_lines(field.octets()) {
            returned.put_slice(field.octets());
        }
    }
    returned.freeze()
}

/// Returns whether octets can stand in a mail that is not binary: lines of at most 998 octets, no octet zero.
fn is_of_lines(octets: &[u8]) -> bool {
    !octets.contains(&0)
        && octets
            .split(|&octet| octet == b'\n')
            .all(|line| line.len() <= MAX_LINE + 1)
}

/// Returns a mailbox in ASCII where that is possible.
fn plainest(mailbox: &Mailbox) -> Mailbox {
    mailbox.to_ascii().unwrap_or_else(|| mailbox.clone())
}

/// Writing into a string cannot fail.
fn put_line(text: &mut String, line: &str) {
    let _ = write!(text, "{line}\r\n");
}

/// The longest line of a mail without its CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// The digits of a number that fits into 64 bits for certain.
const MAX_DIGITS: usize = 19;

#[cfg(test)]
mod tests;
