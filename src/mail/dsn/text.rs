//! The part of a report that people read, and texts made fit to stand in a mail.

use mail_parser::parsers::MessageStream;

use super::fields::status;
use super::{Action, Dsn, Kind, MAX_LINE, Told, plainest, put_line};
use crate::mail::date::Date;
use crate::mail::header::{Header, encoded_words};
use crate::mail::outcome::{Cause, Duty, Failure, Stage, VERIFIED_TLS};

/// Writes what happened, why, and what can be done.
pub(super) fn for_people(dsn: &Dsn<'_>, told: &[Told<'_>]) -> String {
    let mut text = String::new();
    let hostname = dsn.hostname.as_ascii();
    put_paragraph(
        &mut text,
        "",
        &format!("This is an automatic message of the mail server {hostname}."),
    );
    for kind in Kind::ALL {
        let of_kind: Vec<_> = told
            .iter()
            .filter(|told| told.action.kind() == kind)
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let addresses = if of_kind.len() == 1 {
            "the address below"
        } else {
            "the addresses below"
        };
        text.push_str("\r\n");
        let introduction = introduction(dsn, kind, addresses);
        let paragraph = format!("{} {introduction}", message_name(dsn));
        put_paragraph(&mut text, "", &paragraph);
        for told in of_kind {
            text.push_str("\r\n");
            put_recipient(&mut text, told);
        }
    }
    if dsn.kind() >= Kind::Delayed {
        text.push_str("\r\n");
        put_paragraph(&mut text, "", HELP);
    }
    text
}

const HELP: &str = "If you need help, forward this whole message, with its attachments, to the people who look after your \
                    mail. The attachments hold the technical details.";

fn introduction(dsn: &Dsn<'_>, kind: Kind, addresses: &str) -> String {
    match kind {
        Kind::Failed => format!(
            "could not be delivered to {addresses}. This server will not try again: the message has not arrived there."
        ),
        Kind::Expired => format!(
            "could not be delivered to {addresses} in all the time that this server keeps trying. It will not try again."
        ),
        Kind::Lapsed => format!(
            "was not delivered to {addresses} {}. As was asked for, this server will not try again.",
            in_time(dsn)
        ),
        Kind::Late => format!(
            "has not been delivered to {addresses} {}. You need not send it again: this server keeps trying.",
            in_time(dsn)
        ),
        Kind::Delayed => format!(
            "has not been delivered to {addresses} yet. You need not send it again: this server keeps trying."
        ),
        Kind::Relayed => format!("for {addresses} was handed on to the next mail server."),
        Kind::Delivered => format!("has been delivered to {addresses}."),
    }
}

/// Names the deadline.
fn in_time(dsn: &Dsn<'_>) -> String {
    match dsn.envelope.deliver_by {
        Some(deliver_by) => {
            let deadline = Date::from(deliver_by.deadline);
            format!("by the time that was set for it, {}", deadline.in_words())
        }
        None => "in time".to_owned(),
    }
}

/// Returns how a person recognises the message: by its subject and time.
fn message_name(dsn: &Dsn<'_>) -> String {
    let subject = subject(dsn.original.header());
    let subject = subject.map_or_else(String::new, |subject| format!(" \"{subject}\""));
    format!("Your message{subject} of {}", dsn.accepted.in_words())
}

fn put_recipient(text: &mut String, told: &Told<'_>) {
    let mailbox = plainest(told.recipient.forward_path.mailbox());
    put_paragraph(text, "  ", &format!("{mailbox}"));
    let mut put = |paragraph: &str| put_paragraph(text, "    ", paragraph);
    match told.action {
        Action::Failed(failure) => {
            put(&explained(told, failure));
            put(&format!(
                "What you can do: {}",
                advice(told.action, failure)
            ));
        }
        Action::Expired(failure) => {
            put("It was tried again and again. The last time:");
            put(&explained(told, failure));
            put(&format!(
                "What you can do: {}",
                advice(told.action, failure)
            ));
        }
        Action::Lapsed(failure) => {
            put(&explained(told, failure));
            put("What you can do: if the message is still of use, send it again with more time.");
        }
        Action::Delayed { reason, until } | Action::Late { reason, until } => {
            match reason {
                Some(failure) => put(&explained(told, failure)),
                None => put("The mail server it has to be given to cannot be used at the moment."),
            }
            let until = until.in_words();
            put(&format!("This server keeps trying until {until}."));
            if told.recipient.wants_failure_report() {
                put("If all fails, you will get another message.");
            }
        }
        Action::Relayed { response, dsn } => {
            put(&format!(
                "{} accepted it and said: {}",
                server(told),
                printable(&response.to_string())
            ));
            put(match dsn {
                Duty::Ours => {
                    "That server does not confirm delivery, so this is the last you hear of the message unless \
                     something goes wrong."
                }
                Duty::Passed => {
                    "That server was told what you want to know, and reports to you from now on."
                }
            });
        }
        Action::Delivered(_) => put("It has been put where mail for this address is kept."),
    }
}

/// Says what went wrong, with the other server's own words.
fn explained(told: &Told<'_>, failure: &Failure) -> String {
    let (server, stage) = (server(told), failure.stage);
    match &failure.cause {
        Cause::Response(response) => {
            let words = printable(&response.to_string());
            match stage {
                Stage::Sender | Stage::Recipient | Stage::Content | Stage::Final => {
                    format!("{server} {} and said: {words}", refusal(told.action))
                }
                Stage::Resolve
                | Stage::Connect
                | Stage::Greeting
                | Stage::Tls
                | Stage::Authenticate => {
                    format!("{server} did not let this server in ({stage}) and said: {words}")
                }
            }
        }
        Cause::Timeout => format!("{server} did not answer ({stage})."),
        Cause::Expired => "It could not be handed on in time.".to_owned(),
        Cause::Broken(reason) => {
            format!(
                "There was trouble at the handover ({stage}): {}",
                printable(reason)
            )
        }
        Cause::Unusable(reason) => {
            format!(
                "This server cannot hand mail on ({stage}): {}. That is for the people who look after it to repair.",
                printable(&reason.text)
            )
        }
        Cause::Capability(what) => format!("{server} {}.", inability(what)),
    }
}

/// Says in plain words what a server lacks.
fn inability(what: &str) -> String {
    match what {
        "DELIVERBY" => {
            "makes no promise to deliver in the time that was set for it (DELIVERBY)".to_owned()
        }
        "REQUIRETLS" => {
            "does not promise to send it on over protected connections only (REQUIRETLS)".to_owned()
        }
        VERIFIED_TLS => {
            "does not offer a connection that is protected well enough for this message, which may \
             only go over TLS with a certificate that proves who the server is (REQUIRETLS)"
                .to_owned()
        }
        "SMTPUTF8" => "does not know addresses with international characters (SMTPUTF8)".to_owned(),
        "messages of this size" => "does not take messages of this size".to_owned(),
        _ => format!("cannot carry it: it does not offer {what}"),
    }
}

const fn refusal(action: Action<'_>) -> &'static str {
    match action {
        Action::Failed(_) => "refused it",
        Action::Expired(_) | Action::Lapsed(_) => "did not take it",
        Action::Delayed { .. } | Action::Late { .. } => "has not taken it yet",
        // These have no failure.
        Action::Delivered(_) | Action::Relayed { .. } => "took it",
    }
}

/// Names the server that was spoken to.
fn server(told: &Told<'_>) -> String {
    match told.remote {
        Some(remote) => format!("The mail server {}", printable(remote)),
        None => "The mail server it had to be given to".to_owned(),
    }
}

/// Returns whether the way to the other server was not open at all: no message would have got through.
fn is_about_this_server(failure: &Failure) -> bool {
    match failure.stage {
        Stage::Resolve | Stage::Tls | Stage::Authenticate => true,
        Stage::Connect
        | Stage::Greeting
        | Stage::Sender
        | Stage::Recipient
        | Stage::Content
        | Stage::Final => matches!(failure.cause, Cause::Unusable(_)),
    }
}

/// Returns what helps most often, by subject and detail of the status (RFC 3463 §3).
fn advice(action: Action<'_>, failure: &Failure) -> &'static str {
    if is_about_this_server(failure) {
        return "your message is not at fault; tell the people who look after your mail, and send it again later.";
    }
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
        (7, 10 | 30) => {
            "it was to go over protected connections only; send it without that wish if it need not be protected on \
             its whole way."
        }
        (3, 3) => {
            "the other side cannot do what was asked for with this message; send it without special delivery options."
        }
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
pub fn phrase(name: &str) -> String {
    let name: String = printable(name).chars().take(MAX_SUBJECT).collect();
    if name.is_ascii() {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    encoded_words(&name).join("\r\n ")
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
pub fn folded(text: &str, indent: &str) -> String {
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

/// The longest message id that is repeated.
const MAX_MESSAGE_ID: usize = 250;
