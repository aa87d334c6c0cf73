//! What a transaction sends.

use std::fmt;
use std::io::Write as _;

use crate::mail::{
    BodyType, Cause, DeliverByMode, Failure, Mailbox, MtPriority, Outcome, Recipient, Stage,
    TlsRequest,
};
use crate::smtp::timing::By;
use crate::upstream::smtp::assurance::{Lack, Need};
use crate::upstream::smtp::framing::{Encoder, Framing};
use crate::upstream::smtp::parameter;

use super::{After, Command, Content, Exchange, Fate, Next, Step};

/// What can be said before anything is sent.
impl Exchange<'_> {
    pub(super) fn feasibility(&self, place: usize) -> Fate {
        let lacks = |stage, capability| {
            let failure = Failure::new(stage, Cause::Capability(capability));
            Fate::Settled(Outcome::Rejected(failure))
        };
        let envelope = self.task.envelope;
        let is_sendable =
            |mailbox: &Mailbox| self.offer.smtputf8 || mailbox.local_part().is_ascii();
        if envelope.body == BodyType::BinaryMime {
            return lacks(Stage::Content, "BINARYMIME");
        }
        if !self.reverse_path().is_none_or(is_sendable) {
            return lacks(Stage::Sender, "SMTPUTF8");
        }
        if Need::of(envelope) == Need::Verified
            && let Some(lack) = self.lack()
        {
            return Fate::Settled(Outcome::Rejected(lack.failure()));
        }
        if let Some(cause) = self.lateness() {
            let failure = Failure::new(Stage::Sender, cause);
            return Fate::Settled(Outcome::Rejected(failure));
        }
        match self.recipient_at(place) {
            Some(recipient) if is_sendable(recipient.forward_path.mailbox()) => Fate::Waiting,
            Some(_) => lacks(Stage::Recipient, "SMTPUTF8"),
            None => Fate::Settled(Outcome::Deferred(Failure::new(
                Stage::Recipient,
                Cause::Broken("the envelope has no such recipient".into()),
            ))),
        }
    }

    /// Returns what the connection lacks for REQUIRETLS.
    fn lack(&self) -> Option<Lack> {
        Lack::of(self.task.assurance, self.offer.require_tls)
    }

    /// Returns why the upstream must not get a message that is to be returned rather than delivered late: whoever does
    /// not know DELIVERBY would deliver it at any time (RFC 2852 §4.1.4). One whose sender is only to be told may go
    /// anywhere.
    fn lateness(&self) -> Option<Cause> {
        let deliver_by = self.task.envelope.deliver_by?;
        let left = By::left(&deliver_by, self.task.now);
        match (deliver_by.mode, self.offer.deliver_by) {
            (DeliverByMode::Notify, _) => None,
            (DeliverByMode::Return, _) if !left.is_possible() => Some(Cause::Expired),
            (DeliverByMode::Return, None) => Some(Cause::Capability("DELIVERBY")),
            (DeliverByMode::Return, Some(least)) => left
                .is_below(least)
                .then_some(Cause::Capability("delivery in the time that is left")),
        }
    }

    pub(super) fn recipient_at(&self, place: usize) -> Option<&Recipient> {
        let index = self.task.recipients.get(place)?;
        self.task.envelope.recipients.get(usize::from(index.0))
    }

    /// Returns whether any recipient may still get the message.
    pub(super) fn is_wanted(&self) -> bool {
        self.fates
            .iter()
            .any(|fate| matches!(fate, Fate::Accepted | Fate::Waiting))
    }

    /// RFC 6531 §3.4: SMTPUTF8 is said where an address or the message needs it.
    pub(super) fn needs_smtputf8(&self) -> bool {
        let envelope = self.task.envelope;
        let is_international = |place| {
            self.recipient_at(place)
                .is_some_and(|recipient| !recipient.forward_path.mailbox().is_ascii())
        };
        envelope.smtputf8
            || !self.reverse_path().is_none_or(Mailbox::is_ascii)
            || (0..self.fates.len()).any(is_international)
    }

    /// Returns the reverse-path of this transaction; `None` is the null one, which nothing takes the place of.
    fn reverse_path(&self) -> Option<&Mailbox> {
        let own = self.task.envelope.reverse_path.mailbox()?;
        Some(self.task.envelope_sender.unwrap_or(own))
    }

    /// Returns whether the sender's wishes for reports are passed on. With another reverse-path the reports would go there,
    /// so that this relay answers for them itself (RFC 3461 §5.2.7).
    pub(super) fn passes_dsn(&self) -> bool {
        let is_replaced = self.task.envelope_sender.is_some()
            && self.task.envelope.reverse_path.mailbox().is_some();
        self.offer.dsn && !is_replaced
    }

    /// Returns what is said with MT-PRIORITY (RFC 6710 §4.2): what was asked for, else what this relay made of it.
    fn mt_priority(&self) -> MtPriority {
        let asked = self.task.envelope.mt_priority;
        asked.unwrap_or_else(|| self.task.priority.into())
    }

    /// Returns whether BODY=8BITMIME is said: where the client said it, or the message shows that it should have.
    pub(super) fn is_eight_bit(&self) -> bool {
        match (self.task.envelope.body, self.task.content) {
            (BodyType::SevenBit, Content::Whole(octets)) => !octets.is_ascii(),
            (BodyType::SevenBit, Content::Streamed(_)) => false,
            (BodyType::EightBitMime | BodyType::BinaryMime, _) => true,
        }
    }
}

/// What is sent.
impl Exchange<'_> {
    pub(super) fn reset(&mut self, out: &mut Vec<u8>) {
        put(out, format_args!("RSET\r\n"));
        self.asked.push_back(Command::Reset);
        self.next = Next::Sender;
    }

    pub(super) fn sender(&mut self, out: &mut Vec<u8>) {
        let (envelope, offer) = (self.task.envelope, self.offer);
        put(out, format_args!("MAIL FROM:"));
        match self.reverse_path() {
            Some(mailbox) => self.path(mailbox, out),
            None => put(out, format_args!("<>")),
        }
        if offer.size.is_some() {
            put(out, format_args!(" SIZE={}", self.task.content.size()));
        }
        if offer.eight_bit_mime && self.is_eight_bit() {
            put(out, format_args!(" BODY=8BITMIME"));
        }
        if offer.smtputf8 && self.needs_smtputf8() {
            put(out, format_args!(" SMTPUTF8"));
        }
        if self.passes_dsn() {
            parameter::of_mail(envelope, out);
        }
        if offer.deliver_by.is_some()
            && let Some(deliver_by) = &envelope.deliver_by
        {
            put(
                out,
                format_args!(" BY={}", By::left(deliver_by, self.task.now)),
            );
        }
        if offer.mt_priority {
            put(out, format_args!(" MT-PRIORITY={}", self.mt_priority()));
        }
        if envelope.tls == TlsRequest::Required && self.lack().is_none() {
            put(out, format_args!(" REQUIRETLS"));
        }
        put(out, format_args!("\r\n"));
        self.asked.push_back(Command::Sender);
        self.after = After::Reset;
        self.next = Next::Recipient(0);
    }

    pub(super) fn recipient(&mut self, place: usize, out: &mut Vec<u8>) {
        self.next = Next::Recipient(place + 1);
        if !matches!(self.fates.get(place), Some(Fate::Waiting)) {
            return;
        }
        let Some(recipient) = self.recipient_at(place) else {
            return;
        };
        put(out, format_args!("RCPT TO:"));
        self.path(recipient.forward_path.mailbox(), out);
        if self.passes_dsn() {
            parameter::of_rcpt(recipient, out);
        }
        put(out, format_args!("\r\n"));
        self.asked.push_back(Command::Recipient(place));
    }

    /// Writes a path: with its domain in A-labels where the upstream knows no others.
    fn path(&self, mailbox: &Mailbox, out: &mut Vec<u8>) {
        if self.offer.smtputf8 || mailbox.is_ascii() {
            put(out, format_args!("<{mailbox}>"));
        } else if let Some(ascii) = mailbox.to_ascii() {
            put(out, format_args!("<{ascii}>"));
        }
    }

    /// Writes DATA, or BDAT with the content; returns how many octets are commands.
    pub(super) fn content_command(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.next = Next::Nothing;
        if !self.is_wanted() {
            return None;
        }
        match self.task.content {
            Content::Whole(octets) if self.offer.chunking => {
                put(out, format_args!("BDAT {} LAST\r\n", octets.len()));
                let commands = out.len();
                out.extend_from_slice(octets);
                self.asked.push_back(Command::Chunk);
                Some(commands)
            }
            Content::Streamed(_) | Content::Whole(_) => {
                put(out, format_args!("DATA\r\n"));
                self.asked.push_back(Command::Data);
                None
            }
        }
    }

    /// Writes the message, or returns the step that asks for it.
    pub(super) fn message(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        self.encoder = Encoder::new(Framing::Dotted);
        match self.task.content {
            Content::Streamed(_) => {
                self.is_writing = true;
                Some(Step::Content)
            }
            Content::Whole(octets) => {
                self.content(octets, out);
                self.content_end(out);
                None
            }
        }
    }

    pub(super) fn no_message(&mut self, out: &mut Vec<u8>) {
        put(out, format_args!(".\r\n"));
        self.asked.push_back(Command::LoneDot);
        self.next = Next::Nothing;
    }
}

fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = out.write_fmt(text);
}
