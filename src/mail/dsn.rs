//! Delivery status notifications as octets (RFC 3464, RFC 6522, RFC 6533).
//!
//! A report has three parts: a text for a person who knows nothing of mail, fields for programs, and the header of the
//! message it is about, or the message itself. Nothing that comes from outside can begin a field, a line of its own or
//! another part: texts are made printable, and the boundary is chosen so that it does not occur.
//!
//! Whether somebody wants a report (NOTIFY), and to send it with a null reverse-path, is the caller's business.

mod fields;
mod part;
mod text;

use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::address::{Domain, Mailbox};
use super::date::Date;
use super::envelope::{BodyType, Envelope, Recipient};
use super::header::Header;
use super::outcome::{Duty, Failure, RecipientIndex, Response};
use super::queue_id::QueueId;

pub use text::{folded, phrase};

use part::{Encoding, Part, boundary};

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
    /// The name of the host that was spoken to in the attempt that the report follows, if there was one.
    pub remote: Option<&'a str>,
    /// The recipients that this attempt was for; it ended at the date of the report. Empty where there was none.
    pub attempted: &'a [RecipientIndex],
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
        /// Why the last attempt did not succeed; `None` where none was made.
        reason: Option<&'a Failure>,
        /// When the last attempt will be made.
        until: Date,
    },
    /// Put into the place where it stays.
    Delivered(&'a Response),
    /// Given up: its lifetime is over. The failure is that of the last attempt.
    Expired(&'a Failure),
    /// Given up: refused for good.
    Failed(&'a Failure),
    /// Given up: the deadline of BY is over, and its mode is *return* (RFC 2852 §4). The failure is that of the last
    /// attempt.
    Lapsed(&'a Failure),
    /// As [`Action::Delayed`], and the deadline of BY is over, whose mode is *notify* (RFC 2852 §4).
    Late {
        /// Why the last attempt did not succeed; `None` where none was made.
        reason: Option<&'a Failure>,
        /// When the last attempt will be made.
        until: Date,
    },
    /// Handed to another server.
    Relayed {
        /// What it answered.
        response: &'a Response,
        /// Who reports on it from now on.
        dsn: Duty,
    },
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
    /// The whole message is returned where RET=FULL, a recipient is given up (RFC 3461 §4.3), it is [`Original::Whole`],
    /// and a mail of lines can carry it; otherwise its header, up to [`MAX_RETURNED_HEADER`] octets, without fields that have a line of over 998.
    pub fn write(&self) -> Option<Report> {
        let to = plainest(self.envelope.reverse_path.mailbox()?);
        let from = plainest(self.from);
        let kind = self.kind();
        let worst = self.told().find(|told| told.action.kind() == kind)?.index;
        // An ASCII sender's own system may not know SMTPUTF8; its report stays ASCII but for free text.
        let smtputf8 = !to.is_ascii() || !from.is_ascii();
        let parts = self.parts(smtputf8);
        let boundary = boundary(self.queue_id, &parts);
        let is_eight_bit = parts.iter().any(Part::is_eight_bit);
        let mut octets = BytesMut::new();
        octets.put_slice(self.header(&to, &from, worst).as_bytes());
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

    /// Returns what is told of the recipients that are in the envelope.
    fn told(&self) -> impl Iterator<Item = Told<'a>> {
        let recipients = &self.envelope.recipients;
        self.recipients.iter().filter_map(|&(index, action)| {
            let is_attempted = self.attempted.contains(&index);
            Some(Told {
                index,
                recipient: recipients.get(usize::from(index.0))?,
                action,
                remote: self.remote.filter(|_| is_attempted),
                attempted: is_attempted.then_some(self.date),
            })
        })
    }

    fn header(&self, to: &Mailbox, from: &Mailbox, worst: RecipientIndex) -> String {
        let kind = self.kind();
        let mut header = String::new();
        // A recipient is delayed once, late once and done once, so of two reports no two have this recipient and letter.
        let id = format!("{}.{}.{}", self.queue_id, worst.0, kind.letter());
        let fields = [
            format!("From: {} <{from}>", phrase(self.from_name)),
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
        let kinds = self.told().map(|told| told.action.kind());
        kinds.max().unwrap_or(Kind::Failed)
    }

    fn parts(&self, smtputf8: bool) -> [Part; 3] {
        let told: Vec<_> = self.told().collect();
        let human = text::for_people(self, &told);
        let machine = fields::for_programs(self, &told, smtputf8);
        [
            Part {
                description: "Notification",
                content_type: if human.is_ascii() {
                    "text/plain; charset=us-ascii"
                } else {
                    "text/plain; charset=utf-8"
                },
                encoding: Encoding::of(human.as_bytes(), false),
                content: human.into(),
            },
            Part {
                description: "Delivery report",
                content_type: if smtputf8 {
                    "message/global-delivery-status"
                } else {
                    "message/delivery-status"
                },
                encoding: Encoding::of(machine.as_bytes(), false),
                content: machine.into(),
            },
            self.returned(smtputf8),
        ]
    }

    fn returned(&self, smtputf8: bool) -> Part {
        let is_given_up = self.kind().is_given_up();
        // Where the way back is not international, what has an international header is hidden from it (RFC 6533 §5).
        let is_global = smtputf8 || self.envelope.smtputf8 && !self.original.header().is_ascii();
        let (description, content_type, content) =
            match (self.envelope.wants_whole_message(), self.original) {
                (true, Original::Whole(octets)) if is_given_up && is_of_lines(octets) => {
                    let content_type = if is_global {
                        "message/global"
                    } else {
                        "message/rfc822"
                    };
                    let octets = Bytes::copy_from_slice(octets);
                    ("Undelivered message", content_type, octets)
                }
                _ => {
                    let content_type = if is_global {
                        "message/global-headers"
                    } else {
                        "text/rfc822-headers"
                    };
                    let description = if is_given_up {
                        "Header of the undelivered message"
                    } else {
                        "Header of the message"
                    };
                    let header = returned_header(self.original.header());
                    (description, content_type, header)
                }
            };
        Part {
            description,
            content_type,
            encoding: Encoding::of(&content, is_global && !smtputf8),
            content,
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

/// What is told of one recipient.
#[derive(Clone, Copy)]
struct Told<'a> {
    index: RecipientIndex,
    recipient: &'a Recipient,
    action: Action<'a>,
    /// The host that was spoken to about it just now.
    remote: Option<&'a str>,
    /// When it was attempted, if it was just now.
    attempted: Option<Date>,
}

/// What a report is about. The worst is the greatest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Delivered,
    Relayed,
    Delayed,
    Late,
    Lapsed,
    Expired,
    Failed,
}

impl Kind {
    /// All kinds, the worst first.
    const ALL: [Self; 7] = [
        Self::Failed,
        Self::Expired,
        Self::Lapsed,
        Self::Late,
        Self::Delayed,
        Self::Relayed,
        Self::Delivered,
    ];

    const fn letter(self) -> char {
        match self {
            Self::Delivered => 's',
            Self::Relayed => 'r',
            Self::Delayed => 'd',
            Self::Late => 't',
            Self::Lapsed => 'l',
            Self::Expired => 'x',
            Self::Failed => 'f',
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Delivered => "Your message has been delivered",
            Self::Relayed => "Your message has been handed on",
            Self::Delayed => "Your message is delayed, and still being tried",
            Self::Late => "Your message is not there in time, and still being tried",
            Self::Lapsed => "Your message was not delivered in the time you gave it",
            Self::Expired => "Your message could not be delivered in time",
            Self::Failed => "Your message could not be delivered",
        }
    }

    /// Returns whether nothing more is tried and the message has not gone on.
    const fn is_given_up(self) -> bool {
        match self {
            Self::Delivered | Self::Relayed | Self::Delayed | Self::Late => false,
            Self::Lapsed | Self::Expired | Self::Failed => true,
        }
    }
}

impl Action<'_> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Delayed { .. } => Kind::Delayed,
            Self::Delivered(_) => Kind::Delivered,
            Self::Expired(_) => Kind::Expired,
            Self::Failed(_) => Kind::Failed,
            Self::Lapsed(_) => Kind::Lapsed,
            Self::Late { .. } => Kind::Late,
            Self::Relayed { .. } => Kind::Relayed,
        }
    }
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
pub fn plainest(mailbox: &Mailbox) -> Mailbox {
    mailbox.to_ascii().unwrap_or_else(|| mailbox.clone())
}

/// Writing into a string cannot fail.
fn put_line(text: &mut String, line: &str) {
    let _ = write!(text, "{line}\r\n");
}

/// The longest line of a mail without its CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

#[cfg(test)]
mod tests;
