//! The header as it is stored: with a trace of this relay, with what must be there, without what must not leave.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};

use super::added::{AddedField, Facts};
use super::priority::{self, importance_word, x_priority_text};
use crate::mail::{Date, Domain, Field, ForwardPath, Header, MtPriority, Priority, QueueId};

/// What the `Received:` field tells of a transaction (RFC 5321 §4.4).
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// How the client greeted.
    pub greeting: Greeting<'a>,
    /// The client's address.
    pub peer: IpAddr,
    /// The name of this relay.
    pub hostname: &'a Domain,
    /// The TLS session, where there is one.
    pub tls: Option<Tls<'a>>,
    /// Whether the client has authenticated.
    pub authenticated: bool,
    /// Whether MAIL had the parameter SMTPUTF8.
    pub smtputf8: bool,
    /// The message's queue id.
    pub queue_id: QueueId,
    /// What a missing `Message-ID:` is made of: the queue id of the first of the messages that one transaction became.
    pub first_id: QueueId,
    /// The recipient, where there is exactly one; naming one of several would tell it of the others.
    pub only_recipient: Option<&'a ForwardPath>,
    /// When the message was accepted.
    pub date: Date,
}

/// The command and the argument that a client greeted with. The argument may hold anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Greeting<'a> {
    /// EHLO.
    Ehlo(&'a str),
    /// HELO.
    Helo(&'a str),
}

/// A TLS session, as it is named in a comment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tls<'a> {
    /// The version, such as `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'a str,
}

/// What becomes of the fields that carry a priority (`priority_header`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PriorityHeader {
    /// They stay as they are; `MT-Priority:` says what was decided.
    #[default]
    Keep,
    /// They are replaced by `X-Priority:` and `Importance:` of the effective priority.
    Set,
    /// They are removed, `MT-Priority:` too.
    Strip,
}

/// What the stored header tells of a message's priority.
#[derive(Clone, Copy, Debug)]
pub struct ShownPriority {
    /// What becomes of the fields that people see.
    pub fields: PriorityHeader,
    /// The effective priority.
    pub priority: Priority,
    /// The effective MT-PRIORITY, where MAIL or the field `MT-Priority:` asked for one.
    pub mt_priority: Option<MtPriority>,
}

/// What becomes of the field `MT-Priority:`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MtField {
    Keep,
    Remove,
    Replace(MtPriority),
}

impl ShownPriority {
    /// Returns what `Received:` says of the priority: what was decided, where the sender asked for one and nothing is to be
    /// hidden.
    const fn traced(self) -> Option<MtPriority> {
        match self.fields {
            PriorityHeader::Keep | PriorityHeader::Set => self.mt_priority,
            PriorityHeader::Strip => None,
        }
    }

    /// RFC 6758 §3.3: a field `MT-Priority:` says what this relay decided, so that servers behind one without MT-PRIORITY
    /// hear it. One that says it already stays octet for octet, for the sake of signatures.
    fn mt_field(self, header: &Header<'_>) -> MtField {
        let (mut fields, decided) = (header.find(priority::MT_PRIORITY), self.mt_priority);
        match (self.fields, decided) {
            (PriorityHeader::Strip, _) | (PriorityHeader::Set, None) => MtField::Remove,
            (PriorityHeader::Keep, None) => MtField::Keep,
            (PriorityHeader::Keep | PriorityHeader::Set, Some(value)) => {
                let says_it = fields.next().and_then(priority::mt_of_field) == decided;
                if says_it && fields.next().is_none() {
                    MtField::Keep
                } else {
                    MtField::Replace(value)
                }
            }
        }
    }
}

/// Returns the header block to be stored, without the empty line behind it.
///
/// A `Received:` comes first. `Date:` and `Message-ID:` are added at the end where they are missing. Removed are `Bcc:`
/// and `Resent-Bcc:`, `Return-Path:` (RFC 5321 §4.4: only the last hop writes it), and an `Authentication-Results:` that
/// claims to be of this relay (RFC 8601 §5). `MT-Priority:` says what this relay decided (RFC 6758). All other
/// fields stay octet for octet, in their order.
///
/// The fields of `added` come right behind `Received:`, filled in with `facts`; others of their names are removed, since a
/// client must not be able to forge them.
pub fn rewrite(
    header: &Header<'_>,
    trace: &Trace<'_>,
    shown: ShownPriority,
    (added_fields, facts): (&[AddedField], Facts<'_>),
) -> Bytes {
    let is_replaced = |field: &Field<'_>| {
        added_fields
            .iter()
            .any(|added| field.is_named(added.name()))
    };
    let mt_field = shown.mt_field(header);
    let mut block = BytesMut::with_capacity(header.octets().len() + ROOM);
    block.extend_from_slice(trace.received(shown.traced()).as_bytes());
    for added in added_fields {
        block.extend_from_slice(added.line(facts).as_bytes());
    }
    for field in header.fields() {
        if !is_replaced(field) && !is_removed(field, trace.hostname, shown.fields, mt_field) {
            block.extend_from_slice(field.octets());
        }
    }
    let mut added = String::new();
    if !header.has("Date") {
        put(&mut added, format_args!("Date: {}\r\n", trace.date));
    }
    if !header.has("Message-ID") {
        let id = own_message_id(trace.first_id, trace.hostname);
        put(&mut added, format_args!("Message-ID: {id}\r\n"));
    }
    match mt_field {
        MtField::Keep | MtField::Remove => {}
        MtField::Replace(value) => {
            let name = priority::MT_PRIORITY;
            put(&mut added, format_args!("{name}: {value}\r\n"));
        }
    }
    match shown.fields {
        PriorityHeader::Keep | PriorityHeader::Strip => {}
        PriorityHeader::Set => {
            let x_priority = x_priority_text(shown.priority);
            let importance = importance_word(shown.priority);
            put(
                &mut added,
                format_args!("X-Priority: {x_priority}\r\nImportance: {importance}\r\n"),
            );
        }
    }
    block.extend_from_slice(added.as_bytes());
    block.freeze()
}

/// Returns the `Message-ID:` that a message without one gets.
pub fn own_message_id(queue_id: QueueId, hostname: &Domain) -> String {
    format!("<{queue_id}@{}>", hostname.as_ascii())
}

impl Trace<'_> {
    /// Returns the field, folded where a line would exceed 78 characters.
    fn received(&self, priority: Option<MtPriority>) -> String {
        let (Greeting::Ehlo(name) | Greeting::Helo(name)) = self.greeting;
        let mut words = vec![
            "Received: from".to_owned(),
            harmless(name),
            format!("({})", Domain::from(self.peer)),
            format!("by {}", self.hostname.as_ascii()),
            format!("with {}", self.protocol()),
        ];
        if let Some(tls) = &self.tls {
            words.push(format!("({})", harmless(tls.version)));
        }
        words.push(format!("id {}", self.queue_id));
        if let Some(recipient) = self
            .only_recipient
            .filter(|path| path.mailbox().is_ascii() || self.smtputf8)
        {
            words.push(format!("for {recipient}"));
        }
        if let Some(cipher) = self.tls.as_ref().and_then(|tls| registered(tls.cipher)) {
            // RFC 8314 §4.3.
            words.push(format!("tls {cipher}"));
        }
        if let Some(priority) = priority {
            // RFC 6710 §4.1.
            words.push(format!("priority {priority}"));
        }
        if let Some(last) = words.last_mut() {
            last.push(';');
        }
        words.push(self.date.to_string());
        fold(&words)
    }

    /// Returns the protocol's keyword (RFC 3848, RFC 6531 §4.3).
    fn protocol(&self) -> &'static str {
        match (
            self.greeting,
            self.smtputf8,
            self.tls.is_some(),
            self.authenticated,
        ) {
            (Greeting::Helo(_), ..) => "SMTP",
            (Greeting::Ehlo(_), false, false, false) => "ESMTP",
            (Greeting::Ehlo(_), false, false, true) => "ESMTPA",
            (Greeting::Ehlo(_), false, true, false) => "ESMTPS",
            (Greeting::Ehlo(_), false, true, true) => "ESMTPSA",
            (Greeting::Ehlo(_), true, false, false) => "UTF8SMTP",
            (Greeting::Ehlo(_), true, false, true) => "UTF8SMTPA",
            (Greeting::Ehlo(_), true, true, false) => "UTF8SMTPS",
            (Greeting::Ehlo(_), true, true, true) => "UTF8SMTPSA",
        }
    }
}

/// Joins words by spaces, and by a fold where a line would exceed [`MAX_LINE`].
fn fold(words: &[String]) -> String {
    let mut text = String::new();
    let mut length = 0;
    for (index, word) in words.iter().enumerate() {
        if index > 0 && length + 1 + word.len() > MAX_LINE {
            text.push_str("\r\n ");
            length = 1;
        } else if index > 0 {
            text.push(' ');
            length += 1;
        }
        text.push_str(word);
        length += word.len();
    }
    text.push_str("\r\n");
    text
}

/// Returns the name of a cipher suite as IANA registers it, where it is one: those of TLS 1.3 do not say so there.
fn registered(cipher: &str) -> Option<String> {
    let name = cipher
        .strip_prefix("TLS13_")
        .or_else(|| cipher.strip_prefix("TLS_"))?;
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
    (!name.is_empty() && name.bytes().all(is_word)).then(|| format!("TLS_{name}"))
}

/// Returns a text from outside so that it can neither end its line nor open or close a comment.
fn harmless(text: &str) -> String {
    let keep = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ':' | '[' | ']' => c,
        _ => '?',
    };
    let kept: String = text.chars().take(MAX_NAME).map(keep).collect();
    if kept.is_empty() {
        "unknown".to_owned()
    } else {
        kept
    }
}

fn is_removed(
    field: &Field<'_>,
    hostname: &Domain,
    fields: PriorityHeader,
    mt_field: MtField,
) -> bool {
    let is_one_of = |names: &[&str]| names.iter().any(|name| field.is_named(name));
    let is_priority = match fields {
        PriorityHeader::Keep => false,
        PriorityHeader::Set | PriorityHeader::Strip => is_one_of(&priority::FIELDS),
    };
    let is_mt_priority = match mt_field {
        MtField::Keep => false,
        MtField::Remove | MtField::Replace(_) => field.is_named(priority::MT_PRIORITY),
    };
    is_priority
        || is_mt_priority
        || is_one_of(&["Bcc", "Resent-Bcc", "Return-Path"])
        || (field.is_named("Authentication-Results") && names_service(field.value(), hostname))
}

/// Returns whether the `authserv-id` at the front of a value is this relay's name (RFC 8601 §2.2).
///
/// Comments may stand before it; where they do, any mention of the name counts.
fn names_service(value: &[u8], hostname: &Domain) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let text = text.trim_start();
    if text.starts_with('(') {
        return text.contains(hostname.as_ascii());
    }
    let id = text.trim_start_matches('"');
    let end = id.find(|c: char| c.is_whitespace() || ";\"(/".contains(c));
    id.get(..end.unwrap_or(id.len())) == Some(hostname.as_ascii())
}

/// Writing into a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

/// The longest line that is not folded (RFC 5322 §2.1.1).
const MAX_LINE: usize = 78;

/// How many characters of a name from outside are kept.
const MAX_NAME: usize = 255;

/// What the added fields usually need.
const ROOM: usize = 512;

#[cfg(test)]
mod tests;
