//! Alerts as a mail (RFC 5322): plain text for people.
//!
//! Nothing that comes from outside can begin a field or a line of its own: texts were made printable when the alerts were
//! stored, and are made so again. The mail is ASCII on the wire whatever it says (RFC 2045 §6.8, RFC 2047), so any server
//! can take it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::stored::{Errand, Item, plain};
use crate::clock::Timestamp;
use crate::mail::dsn::{folded, phrase, plainest};
use crate::mail::header::encoded_words;
use crate::mail::{Date, Domain, Mailbox};

/// All that a mail is made of.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The name of this relay.
    pub hostname: &'a Domain,
    /// The sender in `From:`.
    pub from: &'a Mailbox,
    /// The name beside it. It may hold anything.
    pub from_name: &'a str,
    /// Whom it is for.
    pub to: &'a Mailbox,
    /// What is told.
    pub errand: &'a Errand,
    /// When it is written.
    pub now: Timestamp,
}

/// A mail ready to be queued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Composed {
    /// Header and body.
    pub octets: Bytes,
    /// The value of its `Message-ID:`.
    pub message_id: String,
    /// Whether its envelope needs SMTPUTF8.
    pub smtputf8: bool,
}

/// The longest line of base64 (RFC 2045 §6.8), in octets before it is encoded.
const BASE64_LINE: usize = 57;

impl Letter<'_> {
    /// Writes the mail.
    pub fn write(&self) -> Composed {
        let (from, to) = (plainest(self.from), plainest(self.to));
        let hostname = self.hostname.as_ascii();
        let Errand { id, made, .. } = self.errand;
        let message_id = format!("<alert.{}.{id}@{hostname}>", made.unix_millis());
        let text = self.text();
        let mut mail = String::new();
        let mut put = |line: &str| {
            mail.push_str(line);
            mail.push_str("\r\n");
        };
        put(&format!("From: {} <{from}>", phrase(self.from_name)));
        put(&format!("To: <{to}>"));
        put(&format!("Subject: {}", unstructured(&self.subject())));
        put(&format!("Date: {}", Date::from(self.now)));
        put(&format!("Message-ID: {message_id}"));
        put("Auto-Submitted: auto-generated");
        put("MIME-Version: 1.0");
        if text.is_ascii() {
            put("Content-Type: text/plain; charset=us-ascii");
            put("Content-Transfer-Encoding: 7bit");
            put("");
            mail.push_str(&text);
        } else {
            put("Content-Type: text/plain; charset=utf-8");
            put("Content-Transfer-Encoding: base64");
            put("");
            for line in text.as_bytes().chunks(BASE64_LINE) {
                put(&STANDARD.encode(line));
            }
        }
        Composed {
            octets: mail.into(),
            message_id,
            smtputf8: !from.is_ascii() || !to.is_ascii(),
        }
    }

    fn subject(&self) -> String {
        let hostname = self.hostname.as_ascii();
        let Errand {
            items, left_out, ..
        } = self.errand;
        match items.as_slice() {
            [item] if *left_out == 0 => format!("[{hostname}] {}", title(item)),
            items => {
                let count = left_out.saturating_add(items.len() as u64);
                format!("[{hostname}] {count} alerts")
            }
        }
    }

    fn text(&self) -> String {
        let hostname = self.hostname.as_ascii();
        let mut text = String::new();
        let first = format!("This is an automatic message of the mail server {hostname}.");
        put_paragraph(&mut text, "", &first);
        for item in &self.errand.items {
            put_item(&mut text, item);
        }
        if self.errand.left_out > 0 {
            let more = format!("{} alerts more are left out here.", self.errand.left_out);
            text.push_str("\r\n");
            put_paragraph(&mut text, "", &more);
        }
        text.push_str("\r\n");
        put_paragraph(&mut text, "", END);
        text
    }
}

const END: &str =
    "You are told of the same at most once an hour. On the server, `posthouse alerts` lists all.";

/// Says in some words what an item is about.
fn title(item: &Item) -> String {
    let about = [
        ("account", &item.account),
        ("upstream", &item.upstream),
        ("tenant", &item.tenant),
    ];
    let about = about
        .into_iter()
        .find_map(|(word, name)| Some((word, name.as_ref()?)));
    let kind = item.kind.in_words();
    match about {
        Some((word, name)) => {
            let name: String = plain(name).chars().take(MAX_NAME).collect();
            format!("{kind}: {word} {name}")
        }
        None => kind.to_owned(),
    }
}

/// How many characters of a name a subject has.
const MAX_NAME: usize = 80;

fn put_item(text: &mut String, item: &Item) {
    text.push_str("\r\n");
    let heading = format!("{}: {}", Date::from(item.last).in_words(), title(item));
    put_paragraph(text, "", &heading);
    put_paragraph(text, "  ", &plain(&item.text));
    match item.count.saturating_sub(1) {
        0 => {}
        more => {
            let since = Date::from(item.first).in_words();
            put_paragraph(text, "  ", &format!("And {more} more since {since}."));
        }
    }
}

fn put_paragraph(text: &mut String, indent: &str, paragraph: &str) {
    // Writing to a string cannot fail.
    let _written = write!(text, "{indent}{}\r\n", folded(paragraph, indent));
}

/// Returns a text as it stands in a field without structure.
fn unstructured(text: &str) -> String {
    if text.is_ascii() {
        folded(text, " ")
    } else {
        encoded_words(text).join("\r\n ")
    }
}

#[cfg(test)]
mod tests;
