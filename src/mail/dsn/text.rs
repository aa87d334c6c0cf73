//! The part of a report that people read, and texts made fit to stand in a mail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::parsers::MessageStream;

use super::fields::status;
use super::{Action, Dsn, Kind, MAX_LINE, plainest, put_line};
use crate::mail::envelope::Recipient;
use crate::mail::header::Header;
use crate::mail::outcome::{Cause, Failure};

/// Writes what happened, why, and what can be done.
pub(super) fn for_people(dsn: &Dsn<'_>, recipients: &[(&Recipient, Action<'_>)]) -> String {
    let mut text = String::new();
    put_line(
        &mut text,
        &format!("This is the mail server {}.", dsn.hostname.as_ascii()),
    );
    for kind in [Kind::Failed, Kind::Delayed, Kind::Relayed] {
        let of_kind = |(_, action): &&(&Recipient, Action<'_>)| action.kind() == kind;
        let mut of_kind = recipients.iter().filter(of_kind).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        text.push_str("\r\n");
        put_paragraph(
            &mut text,
            "",
            &format!("{} {}", message_name(dsn), introduction(kind)),
        );
        for (recipient, action) in of_kind {
            text.push_str("\r\n");
            put_recipient(&mut text, recipient, *action);
        }
    }
    text.push_str("\r\n");
    put_paragraph(
        &mut text,
        "",
        "If you need help, forward this whole message, with its attachments, to the people who look after your mail. \
         The attachments hold the technical details.",
    );
    text
}

fn introduction(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => {
            "could not be delivered to the following recipients, and will not be tried again:"
        }
        Kind::Delayed => {
            "has not been delivered to the following recipients yet. You need not send it again: it is still being \
             tried."
        }
        Kind::Relayed => {
            "was handed on for the following recipients to a mail server that does not confirm delivery. You may hear \
             no more of it unless something goes wrong."
        }
    }
}

/// Returns how a person recognises the message: by its subject and time.
fn message_name(dsn: &Dsn<'_>) -> String {
    let subject = subject(dsn.original.header());
    let subject = subject.map_or_else(String::new, |subject| format!(" \"{subject}\""));
    format!("Your message{subject} of {}", dsn.accepted)
}

fn put_recipient(text: &mut String, recipient: &Recipient, action: Action<'_>) {
    let mailbox = plainest(recipient.forward_path.mailbox());
    put_paragraph(text, "  ", &format!("{mailbox}"));
    match action {
        Action::Failed(failure) => {
            put_paragraph(text, "    ", &explained(failure));
            put_paragraph(
                text,
                "    ",
                &format!("What you can do: {}", advice(action)),
            );
        }
        Action::Expired(failure) => {
            put_paragraph(
                text,
                "    ",
                "It was tried again and again until its time was over. The last time:",
            );
            put_paragraph(text, "    ", &explained(failure));
            put_paragraph(
                text,
                "    ",
                &format!("What you can do: {}", advice(action)),
            );
        }
        Action::Delayed { reason, until } => {
            put_paragraph(text, "    ", &explained(reason));
            put_paragraph(text, "    ", &format!("It will be tried until {until}."));
        }
        Action::Relayed(response) => {
            put_paragraph(
                text,
                "    ",
                &format!("The mail server said: {}", printable(&response.to_string())),
            );
        }
    }
}

fn explained(failure: &Failure) -> String {
    match &failure.cause {
        Cause::Response(response) => format!(
            "The mail server it had to be given to refused it and said: {}",
            printable(&response.to_string())
        ),
        Cause::Timeout => format!(
            "The mail server it had to be given to did not answer ({}).",
            failure.stage
        ),
        Cause::Expired => "It could not be handed on in time.".to_owned(),
        Cause::Broken(reason) | Cause::Unusable(reason) => {
            format!(
                "There was trouble while {}: {}",
                failure.stage,
                printable(reason)
            )
        }
        Cause::Capability(what) => {
            format!(
                "The mail server it had to be given to cannot carry it: it does not offer {what}."
            )
        }
    }
}

/// Returns what helps most often, by subject and detail of the status (RFC 3463 §3).
fn advice(action: Action<'_>) -> &'static str {
    let status = status(action);
    match (status.subject(), status.detail()) {
        (1, 7 | 8) => {
            "your own address was not accepted; check the sender address in the settings of your mail program."
        }
        (1, _) => {
            "check the address for typing mistakes. It may no longer exist; ask the recipient by other means."
        }
        (2, 2) => "the recipient's mailbox is full; tell them, and send the message again later.",
        (2, 3) | (3, 4) => {
            "the message is too large; send it in smaller parts, or send a link to the files."
        }
        (2, _) => "the mailbox cannot take mail at present; reach the recipient by other means.",
        (4, 7) => {
            "the other side could not be reached for a long time; check the address, and send it again later."
        }
        (4, _) => "this is a technical fault on the way; send the message again later.",
        (5 | 6, _) => {
            "the other side could not handle the form of this message; send it in a simpler form, without \
                       unusual addresses or attachments."
        }
        (7, _) => {
            "a rule of the other side does not permit this message; ask the recipient, or the people who look \
                   after your mail."
        }
        _ => {
            "the text above is the other side's own reason; if it does not help you, ask the recipient by other means."
        }
    }
}

/// Returns the decoded subject of a header, printable and of at most 100 characters.
fn subject(header: &[u8]) -> Option<String> {
    let line = first_value(header, "Subject")?;
    let value = MessageStream::new(&line).parse_unstructured();
    let text: String = printable(value.as_text()?)
        .chars()
        .take(MAX_SUBJECT)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the message id of a header with its brackets, if it is one that can stand in another header.
pub(super) fn message_id(header: &[u8]) -> Option<String> {
    let line = first_value(header, "Message-ID")?;
    let value = MessageStream::new(&line).parse_id();
    let id = value.as_text()?;
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
    (id.chars().all(is_plain) && id.len() <= MAX_MESSAGE_ID).then(|| format!("<{id}>"))
}

/// Returns the first value of a name, its front at least, with a line end.
fn first_value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let whole = memchr::memrchr(b'\n', header).map_or(0, |end| end + 1);
    let header = Header::parse(header.get(..whole)?).ok()?;
    let field = header.find(name).next()?;
    let value = field.value().get(..MAX_LINE).unwrap_or(field.value());
    Some([value, b"\r\n"].concat())
}

/// Returns a name as it stands before `<…>` (RFC 5322 §3.2.5): quoted, or in encoded words (RFC 2047 §5).
pub(super) fn phrase(name: &str) -> String {
    let name: String = printable(name).chars().take(MAX_SUBJECT).collect();
    if name.is_ascii() {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in name.chars() {
        if word.len() + c.len_utf8() > MAX_ENCODED {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// Returns a text in which every character prints: controls, line ends and turns of direction become `?`.
pub(super) fn printable(text: &str) -> String {
    let print = |c: char| {
        let is_odd = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if is_odd { '?' } else { c }
    };
    text.chars().map(print).collect()
}

/// Breaks a text at its spaces into lines of about 76 octets; lines after the first begin with `indent`.
///
/// A word longer than a mail's line may be is broken too.
pub(super) fn folded(text: &str, indent: &str) -> String {
    let mut folded = String::new();
    let mut length = 0;
    for word in text.split_ascii_whitespace().flat_map(pieces) {
        let is_first = folded.is_empty();
        if !is_first && length + 1 + word.len() > WIDTH {
            folded.push_str("\r\n");
            folded.push_str(indent);
            length = indent.len();
        } else if !is_first {
            folded.push(' ');
            length += 1;
        }
        folded.push_str(word);
        length += word.len();
    }
    folded
}

/// Cuts a word into pieces of at most [`MAX_WORD`] octets.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(word);
    std::iter::from_fn(move || {
        let word = rest?;
        let cut = word.floor_char_boundary(MAX_WORD);
        let (piece, after) = word.split_at_checked(cut)?;
        rest = (!after.is_empty()).then_some(after);
        Some(piece)
    })
}

fn put_paragraph(text: &mut String, indent: &str, paragraph: &str) {
    put_line(text, &format!("{indent}{}", folded(paragraph, indent)));
}

/// Where a line is broken.
const WIDTH: usize = 76;

/// The longest word that is not broken, so that with name and indent a line stays below 998 octets.
const MAX_WORD: usize = 800;

/// How many characters of a subject or a name are shown.
const MAX_SUBJECT: usize = 100;

/// How many octets go into one encoded word: 75 characters at most (RFC 2047 §2).
const MAX_ENCODED: usize = 45;

/// The longest message id that is repeated.
const MAX_MESSAGE_ID: usize = 250;
