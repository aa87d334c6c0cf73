//! Reading what is judged in a header, and what the rest of the program wants to know of it.

use mail_parser::parsers::MessageStream;

use super::{priority, tls_required};
use crate::mail::header::MAX_SENDERS;
use crate::mail::{
    AddressList, AddressListError, Field, Header, Mailbox, MtPriority, Priority, Senders,
};

/// The most `Received:` fields of a message; more are a loop (RFC 5321 §6.3), refused with 554 5.4.6.
pub const MAX_HOPS: usize = 50;

/// Which address fields must be as RFC 5322 says (`strict_addresses`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AddressRule {
    /// Those of senders and of recipients.
    #[default]
    All,
    /// Those that are judged: `From:`, `Sender:`, `Resent-From:`, `Resent-Sender:`.
    Senders,
}

/// What was found in a header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inspected {
    /// Every mailbox of `From:`; never empty.
    pub from: Vec<Mailbox>,
    /// The mailbox of `Sender:`.
    pub sender: Option<Mailbox>,
    /// Every mailbox of every `Resent-From:`.
    pub resent_from: Vec<Mailbox>,
    /// The mailbox of every `Resent-Sender:`.
    pub resent_sender: Vec<Mailbox>,
    /// Other addresses that names and comments in these fields show to people; see [`Senders::shown`].
    pub shown: Vec<Mailbox>,
    /// The value of `Message-ID:` with its angle brackets, for the log: printable ASCII, at most 250 octets.
    pub message_id: Option<Box<str>>,
    /// The priority that the fields ask for.
    pub priority: Option<Priority>,
    /// The field that asks for it.
    pub priority_field: Option<&'static str>,
    /// The value of `MT-Priority:` (RFC 6758), which then is where the priority comes from.
    pub mt_priority: Option<MtPriority>,
    /// Whether `TLS-Required: No` (RFC 8689 §3) waives the TLS that the recipients' domain asks for.
    pub waives_tls: bool,
    /// How many `Received:` fields there are. More than [`MAX_HOPS`] are a loop.
    pub hops: usize,
    /// Whether an address in the fields read is international, so that the message needs SMTPUTF8 (RFC 6531 §3.6).
    ///
    /// Other octets outside ASCII, which old clients write into `Subject:`, do not count.
    pub needs_smtputf8: bool,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A field of addresses cannot be read.
    #[error("{field}: {error}")]
    Addresses {
        /// The field's name.
        field: &'static str,
        /// What is wrong with its value.
        error: AddressListError,
    },
    /// A field that must be there is not.
    #[error("the message has no {field} field")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field that may stand once stands more often.
    #[error("the message has more than one {field} field")]
    Repeated {
        /// The field's name.
        field: &'static str,
    },
    /// A field that names one sender names several.
    #[error("{field} names more than one sender")]
    Several {
        /// The field's name.
        field: &'static str,
    },
}

impl Fault {
    /// Returns the name of the field that is at fault, as RFC 5322 writes it.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Addresses { field, .. }
            | Self::Missing { field }
            | Self::Repeated { field }
            | Self::Several { field } => field,
        }
    }
}

/// Reads a header.
///
/// The fields of senders are always read strictly: one `From:` with at least one mailbox, at most one `Sender:`, any
/// number of `Resent-From:` and `Resent-Sender:`, at most [`MAX_SENDERS`] mailboxes in all of them. With
/// [`AddressRule::All`] `To:`, `Cc:`, `Bcc:`, `Reply-To:` and their `Resent-` forms must hold address lists too; they may
/// stand several times, which is harmless, and `Bcc:` may be empty (RFC 5322 §3.6.3).
///
/// # Errors
/// [`Fault`] names the first field that is refused.
pub fn inspect(header: &Header<'_>, rule: AddressRule) -> Result<Inspected, Fault> {
    let (priority, priority_field) = priority::of_header(header).unzip();
    let mut inspected = Inspected {
        priority,
        priority_field,
        mt_priority: priority::mt_of_header(header),
        message_id: header.find("Message-ID").find_map(message_id),
        waives_tls: tls_required::is_waived(header),
        hops: header.find("Received").count(),
        ..Inspected::default()
    };
    inspected.from = only_field(header, "From")?
        .ok_or(Fault::Missing { field: "From" })
        .and_then(|field| inspected.senders_of(field, "From"))?;
    if let Some(field) = only_field(header, "Sender")? {
        inspected.sender = Some(inspected.single_sender_of(field, "Sender")?);
    }
    for field in header.find("Resent-From") {
        let senders = inspected.senders_of(field, "Resent-From")?;
        inspected.resent_from.extend(senders);
        inspected.check_count("Resent-From")?;
    }
    for field in header.find("Resent-Sender") {
        let sender = inspected.single_sender_of(field, "Resent-Sender")?;
        inspected.resent_sender.push(sender);
        inspected.check_count("Resent-Sender")?;
    }
    match rule {
        AddressRule::All => inspected.read_recipients(header)?,
        AddressRule::Senders => {}
    }
    Ok(inspected)
}

impl Inspected {
    fn senders_of(&mut self, field: &Field<'_>, name: &'static str) -> Result<Vec<Mailbox>, Fault> {
        let senders = AddressList::parse(field.value()).and_then(AddressList::into_senders);
        let Senders { mailboxes, shown } =
            senders.map_err(|error| Fault::Addresses { field: name, error })?;
        self.needs_smtputf8 |= !mailboxes.iter().all(Mailbox::is_ascii);
        self.shown.extend(shown);
        Ok(mailboxes)
    }

    fn single_sender_of(
        &mut self,
        field: &Field<'_>,
        name: &'static str,
    ) -> Result<Mailbox, Fault> {
        let mut senders = self.senders_of(field, name)?.into_iter();
        match (senders.next(), senders.next()) {
            (Some(sender), None) => Ok(sender),
            (None, _) => Err(Fault::Missing { field: name }),
            (Some(_), Some(_)) => Err(Fault::Several { field: name }),
        }
    }

    fn check_count(&self, field: &'static str) -> Result<(), Fault> {
        let lists = [
            &self.from,
            &self.resent_from,
            &self.resent_sender,
            &self.shown,
        ];
        if lists.iter().all(|list| list.len() <= MAX_SENDERS) {
            return Ok(());
        }
        let error = AddressListError::TooMany;
        Err(Fault::Addresses { field, error })
    }

    fn read_recipients(&mut self, header: &Header<'_>) -> Result<(), Fault> {
        for field in header.fields() {
            let Some(&name) = RECIPIENT_FIELDS.iter().find(|name| field.is_named(name)) else {
                continue;
            };
            if name.ends_with("Bcc") && field.value().trim_ascii().is_empty() {
                continue;
            }
            let list = AddressList::parse(field.value())
                .map_err(|error| Fault::Addresses { field: name, error })?;
            self.needs_smtputf8 |= !list.is_ascii();
        }
        Ok(())
    }
}

/// Returns the field of a name that may stand once.
fn only_field<'h, 'a>(
    header: &'h Header<'a>,
    name: &'static str,
) -> Result<Option<&'h Field<'a>>, Fault> {
    let mut fields = header.find(name);
    let field = fields.next();
    match fields.next() {
        None => Ok(field),
        Some(_) => Err(Fault::Repeated { field: name }),
    }
}

fn message_id(field: &Field<'_>) -> Option<Box<str>> {
    let line = ended(field.value());
    let parsed = MessageStream::new(&line).parse_id();
    let id = parsed.as_text()?;
    let is_printable = id.bytes().all(|octet| octet.is_ascii_graphic());
    (is_printable && id.len() <= MAX_MESSAGE_ID).then(|| format!("<{id}>").into())
}

/// Returns the front of a value with a line end, without which `mail-parser` finds no value.
fn ended(value: &[u8]) -> Vec<u8> {
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    [value, b"\r\n"].concat()
}

/// The fields that name recipients.
const RECIPIENT_FIELDS: [&str; 7] = [
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
];

/// How many octets of a `Message-ID:` are read.
const MAX_VALUE: usize = 998;

/// The longest message id that is kept for the log, without its brackets.
const MAX_MESSAGE_ID: usize = 248;

#[cfg(test)]
mod tests;
