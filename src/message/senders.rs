//! Another sender in the place of those that an account may not use (`on_unauthorized = "rewrite"`).
//!
//! Only what is not authorized is changed. A header that cannot be read strictly never comes here: it is refused.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::mail::{AddressList, Field, Header, Mailbox, Senders};

/// A header with other senders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Substituted {
    /// The header block, without the empty line behind it.
    pub header: Bytes,
    /// What was changed, in the order of the fields.
    pub changes: Vec<Change>,
}

/// A sender that was replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Where it stood: `MAIL FROM`, or the name of a field.
    pub place: &'static str,
    /// The addresses that were there, at most five of them.
    pub from: String,
    /// The addresses that are there now; empty where the field was removed.
    pub to: String,
}

impl fmt::Display for Change {
    /// Writes `From: v@mail.example became shop@example.com`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, from, to } = self;
        if to.is_empty() {
            write!(f, "{place}: {from} removed")
        } else {
            write!(f, "{place}: {from} became {to}")
        }
    }
}

/// Whether names stay beside addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    /// The name of the only author stays, as it is written.
    Kept,
    /// None stays.
    Removed,
}

/// Puts `sender` in the place of whatever `may_use` does not allow.
///
/// - `From:` becomes the sender; the name of the only author stays beside it unless [`Names::Removed`] is wanted. What
///   `From:` said becomes `Reply-To:`, octet for octet, where the message has none.
/// - `Sender:` is removed, or becomes the sender where `From:` names several authors (RFC 5322 §3.6.2).
/// - `Resent-From:` and `Resent-Sender:` become the sender.
/// - A field whose addresses may be used and whose names or comments show others keeps the addresses alone.
///
/// All other fields stay octet for octet. A field that cannot be read stays too: whoever judges the result refuses it.
pub fn substitute(
    header: &Header<'_>,
    sender: &Mailbox,
    may_use: &dyn Fn(&Mailbox) -> bool,
    names: Names,
) -> Substituted {
    let mut writer = Writer {
        // An A-label prints as ASCII, so that the new sender alone does not ask for SMTPUTF8.
        sender: sender.to_ascii().unwrap_or_else(|| sender.clone()),
        may_use,
        names,
        authors: header.find("From").map(authors).sum(),
        block: BytesMut::with_capacity(header.octets().len() + 128),
        changes: Vec::new(),
    };
    let has_reply_to = header.has("Reply-To");
    for field in header.fields() {
        writer.field(field, has_reply_to);
    }
    Substituted {
        header: writer.block.freeze(),
        changes: writer.changes,
    }
}

/// Returns whether a mailbox can stand in `From:` so that every reader finds the same sender.
pub fn is_plain_sender(mailbox: &Mailbox) -> bool {
    let value = format!("<{mailbox}>");
    let senders = AddressList::parse(value.as_bytes()).and_then(AddressList::into_senders);
    senders.is_ok_and(|senders| senders.mailboxes.iter().all(|found| found == mailbox))
}

struct Writer<'a> {
    sender: Mailbox,
    may_use: &'a dyn Fn(&Mailbox) -> bool,
    names: Names,
    /// How many mailboxes `From:` names, before and after it is written.
    authors: usize,
    block: BytesMut,
    changes: Vec<Change>,
}

/// What is wrong with a field of senders.
enum Trouble {
    /// An address that may not be used.
    Address,
    /// A name that shows an address that may not be used.
    Name,
}

impl Writer<'_> {
    fn field(&mut self, field: &Field<'_>, has_reply_to: bool) {
        let name = FIELDS.into_iter().find(|name| field.is_named(name));
        let senders = AddressList::parse(field.value()).and_then(AddressList::into_senders);
        let (Some(name), Ok(senders)) = (name, senders) else {
            return self.block.extend_from_slice(field.octets());
        };
        match (self.trouble(&senders), name) {
            (None, _) => self.block.extend_from_slice(field.octets()),
            (Some(Trouble::Name), _) => {
                let list = addresses(senders.mailboxes.iter(), usize::MAX, ",\r\n ");
                self.put(&format!("{name}: {list}\r\n"));
                self.note(
                    name,
                    &senders,
                    addresses(senders.mailboxes.iter(), NAMED, ", "),
                );
            }
            (Some(Trouble::Address), "From") => self.from(field, &senders, has_reply_to),
            (Some(Trouble::Address), "Sender") if self.authors < 2 => {
                self.note(name, &senders, String::new());
            }
            (Some(Trouble::Address), _) => {
                self.put(&format!("{name}: <{}>\r\n", self.sender));
                self.note(name, &senders, self.sender.to_string());
            }
        }
    }

    fn trouble(&self, senders: &Senders) -> Option<Trouble> {
        let may_use = |mailbox: &Mailbox| (self.may_use)(mailbox);
        if !senders.mailboxes.iter().all(may_use) {
            return Some(Trouble::Address);
        }
        (!senders.shown.iter().all(may_use)).then_some(Trouble::Name)
    }

    fn from(&mut self, field: &Field<'_>, senders: &Senders, has_reply_to: bool) {
        let list = AddressList::parse(field.value()).ok();
        let name = list.as_ref().and_then(AddressList::only_name);
        let name = name.filter(|name| self.names == Names::Kept && name.len() <= MAX_NAME);
        let sender = format!("<{}>", self.sender);
        match name {
            Some(name) if "From:  ".len() + name.len() + sender.len() > MAX_LINE => {
                self.put(&format!("From: {name}\r\n {sender}\r\n"));
            }
            Some(name) => self.put(&format!("From: {name} {sender}\r\n")),
            None => self.put(&format!("From: {sender}\r\n")),
        }
        if !has_reply_to {
            self.put("Reply-To:");
            self.block.extend_from_slice(field.value());
            self.put("\r\n");
        }
        self.note("From", senders, self.sender.to_string());
        self.authors = 1;
    }

    fn put(&mut self, text: &str) {
        self.block.extend_from_slice(text.as_bytes());
    }

    fn note(&mut self, place: &'static str, senders: &Senders, to: String) {
        let all = senders.mailboxes.iter().chain(&senders.shown);
        self.changes.push(Change {
            place,
            from: addresses(all, NAMED, ", "),
            to,
        });
    }
}

fn authors(field: &Field<'_>) -> usize {
    AddressList::parse(field.value()).map_or(0, |list| list.mailboxes().len())
}

fn addresses<'a>(
    mailboxes: impl Iterator<Item = &'a Mailbox>,
    at_most: usize,
    separator: &str,
) -> String {
    let texts: Vec<_> = mailboxes.take(at_most).map(ToString::to_string).collect();
    texts.join(separator)
}

/// The fields that name senders, as they are written.
const FIELDS: [&str; 4] = ["From", "Sender", "Resent-From", "Resent-Sender"];

/// How many addresses a change names.
const NAMED: usize = 5;

/// The longest name that is kept, in octets. It stands in one line, of at most 998 (RFC 5322 §2.1.1).
const MAX_NAME: usize = 900;

/// The longest line that is not folded (RFC 5322 §2.1.1).
const MAX_LINE: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Mailbox {
        Mailbox::parse("shop@example.com").unwrap()
    }

    fn of_example(mailbox: &Mailbox) -> bool {
        mailbox.domain().as_ascii() == "example.com"
    }

    fn rewritten(header: &str) -> String {
        let header = Header::parse(header.as_bytes()).unwrap();
        let substituted = substitute(&header, &shop(), &of_example, Names::Kept);
        String::from_utf8(substituted.header.to_vec()).unwrap()
    }

    #[test]
    fn the_visitors_name_stays_and_answers_go_to_the_visitor() {
        assert_eq!(
            rewritten("Subject: hi\r\nFrom: \"Visitor, A.\" <visitor@mail.example>\r\nTo: x@y\r\n"),
            "Subject: hi\r\n\
             From: \"Visitor, A.\" <shop@example.com>\r\n\
             Reply-To: \"Visitor, A.\" <visitor@mail.example>\r\n\
             To: x@y\r\n"
        );
    }

    #[test]
    fn a_reply_to_that_is_there_stays_alone() {
        assert_eq!(
            rewritten("From: v@mail.example\r\nReply-To: other@mail.example\r\n"),
            "From: <shop@example.com>\r\nReply-To: other@mail.example\r\n"
        );
    }

    #[test]
    fn what_may_be_used_stays_octet_for_octet() {
        let header = "from:  Me\r\n <me@example.com> \r\nSender: (x) me@EXAMPLE.com\r\n";
        assert_eq!(rewritten(header), header);
    }

    #[test]
    fn an_encoded_name_stays_encoded() {
        assert_eq!(
            rewritten(
                "From: =?utf-8?q?J=C3=BCrgen?= <j@mail.example>\r\nReply-To: a@b.example\r\n"
            ),
            "From: =?utf-8?q?J=C3=BCrgen?= <shop@example.com>\r\nReply-To: a@b.example\r\n"
        );
    }

    #[test]
    fn several_authors_leave_no_name_and_all_get_answers() {
        assert_eq!(
            rewritten(
                "From: A <a@mail.example>,\r\n B <b@example.com>\r\nSender: A <a@mail.example>\r\n"
            ),
            "From: <shop@example.com>\r\nReply-To: A <a@mail.example>,\r\n B <b@example.com>\r\n"
        );
    }

    #[test]
    fn a_sender_field_is_kept_where_several_authors_need_one() {
        assert_eq!(
            rewritten("Sender: x@mail.example\r\nFrom: a@example.com, b@example.com\r\n"),
            "Sender: <shop@example.com>\r\nFrom: a@example.com, b@example.com\r\n"
        );
        assert_eq!(
            rewritten("From: a@example.com\r\nSender: x@mail.example\r\n"),
            "From: a@example.com\r\n"
        );
    }

    #[test]
    fn a_name_that_shows_a_foreign_address_goes_and_the_address_stays() {
        assert_eq!(
            rewritten("From: \"ceo@corp.example\" <me@example.com>\r\n"),
            "From: me@example.com\r\n"
        );
    }

    #[test]
    fn who_resends_is_replaced_too() {
        assert_eq!(
            rewritten(
                "Resent-From: A <a@mail.example>\r\nResent-Sender: b@mail.example\r\nFrom: a@example.com\r\n"
            ),
            "Resent-From: <shop@example.com>\r\nResent-Sender: <shop@example.com>\r\nFrom: a@example.com\r\n"
        );
    }

    #[test]
    fn changes_tell_what_became_what() {
        let header = "From: V <v@mail.example>\r\nSender: w@mail.example\r\n";
        let header = Header::parse(header.as_bytes()).unwrap();
        let changes = substitute(&header, &shop(), &of_example, Names::Kept).changes;
        let told: Vec<_> = changes
            .iter()
            .map(|c| (c.place, &*c.from, &*c.to))
            .collect();
        assert_eq!(
            told,
            [
                ("From", "v@mail.example", "shop@example.com"),
                ("Sender", "w@mail.example", "")
            ]
        );
    }

    #[test]
    fn a_long_name_is_folded_before_the_address() {
        let name = "n".repeat(70);
        let header = format!("From: {name} <v@mail.example>\r\nReply-To: a@b.example\r\n");
        let expected = format!("From: {name}\r\n <shop@example.com>\r\n");
        assert!(rewritten(&header).starts_with(&expected));
    }

    #[test]
    fn a_local_part_that_readers_could_mistake_is_no_default() {
        assert!(is_plain_sender(&shop()));
        assert!(is_plain_sender(
            &Mailbox::parse("\"a b\"@example.com").unwrap()
        ));
        assert!(!is_plain_sender(
            &Mailbox::parse("\"a@b\"@example.com").unwrap()
        ));
    }
}
