//! One mail transaction on a connection that is logged in (RFC 5321 §3.3), without sockets or time.
//!
//! The machine yields octets to write and takes replies. Where the upstream offers PIPELINING, MAIL, all RCPT and DATA
//! leave together; where it offers CHUNKING too, the content of a small message goes with them, so that a message
//! costs one round trip. Otherwise it goes step by step.
//!
//! Invariants: every recipient has exactly one outcome at the end; a refused recipient fails no other; commands are
//! printed from parsed addresses only, so that nothing in an envelope can begin another command; after DATA was agreed
//! to with no recipient left, a lone dot ends it and its reply counts for nobody; once the end of the content has been
//! written, a missing reply is [`Outcome::Unknown`].

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;

use crate::mail::{
    BodyType, Cause, Envelope, Failure, Health, Mailbox, Outcome, Priority, Recipient,
    RecipientIndex, Response, ReversePath, Stage,
};
use crate::smtp::extension::Extensions;
use crate::upstream::classify::{self, Break};

use super::framing::{Encoder, Framing};
use super::parameter;

/// What is to be handed over in one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    /// The envelope with all recipients of the message.
    pub(super) envelope: &'a Envelope,
    /// Those this transaction is for.
    pub(super) recipients: &'a [RecipientIndex],
    /// For MT-PRIORITY.
    pub(super) priority: Priority,
    /// The message.
    pub(super) content: Content<'a>,
}

/// The message of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// It is given piece by piece after [`Step::Content`]; this is its size in octets.
    Streamed(u64),
    /// It is here whole: line ends are CRLF, also the last; dots are not stuffed.
    Whole(&'a [u8]),
}

/// What the driver has to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Give the pieces of the message to [`Exchange::content`], then call [`Exchange::content_end`]; write what both
    /// yield; poll again.
    Content,
    /// Nothing; call [`Exchange::finish`].
    Done,
    /// Receive one reply, as long as the stage allows; give it to [`Exchange::receive`]; poll again.
    Receive(Stage),
    /// Write the octets; poll again. So many of them at the beginning are commands, the others content.
    Write { commands: usize },
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// One outcome for each recipient of the task.
    pub(super) outcomes: Vec<(RecipientIndex, Outcome)>,
    /// What it says about the upstream.
    pub(super) health: Health,
    /// What the connection is good for.
    pub(super) after: After,
    /// Whether the connection had ended before the upstream took notice of the transaction, so that it may be begun
    /// once more on another.
    pub(super) is_stale: bool,
}

/// What a connection is good for after a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum After {
    /// Another transaction.
    Clean,
    /// Nothing.
    Close,
    /// Another transaction, which begins with RSET.
    Reset,
}

/// A transaction in progress.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    task: Task<'a>,
    offer: &'a Extensions,
    next: Next,
    /// Commands without reply yet, oldest first.
    asked: VecDeque<Command>,
    /// One for each recipient of the task.
    fates: Vec<Fate>,
    encoder: Encoder,
    /// Whether octets that were yielded may not all have left.
    is_writing: bool,
    heard: Heard,
    health: Health,
    after: After,
}

/// What is sent next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Reset,
    Sender,
    /// The recipient at this place of the task, or the content command behind the last one.
    Recipient(usize),
    /// The message, after 354.
    Message,
    /// A lone dot: DATA was agreed to, but no recipient is left.
    NoMessage,
    Nothing,
}

/// A command that awaits its reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Command {
    /// BDAT LAST together with the content.
    Chunk,
    Data,
    /// The end of data.
    Dot,
    /// The end of data without a message.
    LoneDot,
    Recipient(usize),
    Reset,
    Sender,
}

/// What is known of a recipient.
#[derive(Debug)]
enum Fate {
    Accepted,
    Settled(Outcome),
    Waiting,
}

/// What the upstream has said so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    /// Only 421: it had closed the session before the transaction began.
    Farewell,
    Nothing,
    Something,
}

/// Commands in flight at once. Beyond that both sides could wait for each other to read (RFC 2920 §3.1).
const WINDOW: usize = 100;

impl<'a> Exchange<'a> {
    /// Begins a transaction. `after` is how the last one on this connection ended.
    pub(super) fn new(task: Task<'a>, offer: &'a Extensions, after: After) -> Self {
        let mut exchange = Self {
            task,
            offer,
            next: match after {
                After::Clean | After::Close => Next::Sender,
                After::Reset => Next::Reset,
            },
            asked: VecDeque::with_capacity(task.recipients.len().min(WINDOW) + 2),
            fates: Vec::new(),
            encoder: Encoder::new(Framing::Dotted),
            is_writing: false,
            heard: Heard::Nothing,
            health: Health::Good,
            after,
        };
        exchange.fates = (0..task.recipients.len())
            .map(|place| exchange.feasibility(place))
            .collect();
        if !exchange.is_wanted() {
            exchange.next = Next::Nothing;
        }
        exchange
    }

    /// Returns the next step; appends what is to be written to `out`, which must be empty.
    ///
    /// Calling it says that everything yielded before has been written.
    pub(super) fn poll(&mut self, out: &mut Vec<u8>) -> Step {
        self.is_writing = false;
        if let Some(command) = self.asked.front() {
            return Step::Receive(command.stage());
        }
        let mut commands = None;
        while self.asked.len() < self.window() {
            match self.next {
                Next::Nothing => break,
                Next::Message => match self.message(out) {
                    Some(step) => return step,
                    None => commands = commands.or(Some(0)),
                },
                Next::NoMessage => self.no_message(out),
                Next::Reset => self.reset(out),
                Next::Sender => self.sender(out),
                Next::Recipient(place) if place < self.fates.len() => self.recipient(place, out),
                Next::Recipient(_) => commands = self.content_command(out),
            }
        }
        if out.is_empty() {
            return Step::Done;
        }
        self.is_writing = true;
        Step::Write {
            commands: commands.unwrap_or(out.len()),
        }
    }

    /// Takes the reply to the oldest command.
    pub(super) fn receive(&mut self, reply: Response) {
        let Some(command) = self.asked.pop_front() else {
            return self.fail(Break::Nonsense(
                "the upstream sent a reply to nothing".into(),
            ));
        };
        let is_farewell = reply.code == SERVICE_CLOSING;
        self.heard = match self.heard {
            Heard::Nothing if is_farewell => Heard::Farewell,
            Heard::Farewell | Heard::Nothing | Heard::Something => Heard::Something,
        };
        if is_farewell {
            return self.closing(command, reply);
        }
        match command {
            Command::Reset => self.reset_answered(reply),
            Command::Sender => self.sender_answered(reply),
            Command::Recipient(place) => self.recipient_answered(place, reply),
            Command::Data => self.data_answered(reply),
            Command::Chunk => self.chunk_answered(reply),
            Command::Dot => self.dot_answered(reply),
            Command::LoneDot => self.after = After::Clean,
        }
    }

    /// Encodes a piece of the message into `out`. Only after [`Step::Content`].
    pub(super) fn content(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.encoder.encode(piece, out);
    }

    /// Encodes the end of the message into `out`. Only after [`Step::Content`].
    pub(super) fn content_end(&mut self, out: &mut Vec<u8>) {
        self.encoder.finish(out);
        self.next = Next::Nothing;
        self.asked.push_back(Command::Dot);
    }

    /// Ends the transaction because the connection did.
    pub(super) fn fail(&mut self, end: Break) {
        let may_have_arrived =
            !self.is_writing && self.asked.iter().any(|command| command.ends_content());
        let judgement = classify::broken(self.stage(), end);
        let outcome = match judgement.outcome {
            Outcome::Deferred(failure) if may_have_arrived => {
                Outcome::Unknown(Failure::new(Stage::Final, failure.cause))
            }
            outcome @ (Outcome::Deferred(_)
            | Outcome::Rejected(_)
            | Outcome::Relayed(_)
            | Outcome::Unknown(_)) => outcome,
        };
        self.close(&outcome, judgement.health);
    }

    /// Ends the transaction because the upstream closed the connection in the middle of the message, with this reply.
    pub(super) fn interrupted(&mut self, reply: Response) {
        if reply.code < 400 {
            return self.confused();
        }
        self.asked.clear();
        self.refused(Stage::Final, reply);
        self.after = After::Close;
        self.next = Next::Nothing;
    }

    /// Ends the transaction because the message cannot be read any further. What was sent has no end, so the upstream
    /// cannot have taken it.
    pub(super) fn abandon(&mut self, reason: Box<str>) {
        let failure = Failure::new(Stage::Content, Cause::Broken(reason));
        self.close(&Outcome::Deferred(failure), Health::Good);
    }

    /// Returns what came of it.
    pub(super) fn finish(self) -> Ended {
        let is_stale = self.after == After::Close && self.heard != Heard::Something;
        let settle = |fate| match fate {
            Fate::Settled(outcome) => outcome,
            // Not reached: Done is only yielded when all are settled. Trying again is the safe answer.
            Fate::Accepted | Fate::Waiting => Outcome::Deferred(Failure::new(
                Stage::Recipient,
                Cause::Broken("the transaction ended early".into()),
            )),
        };
        let fates = self.fates.into_iter().map(settle);
        Ended {
            outcomes: self.task.recipients.iter().copied().zip(fates).collect(),
            health: self.health,
            after: self.after,
            is_stale,
        }
    }

    fn window(&self) -> usize {
        if self.offer.pipelining { WINDOW } else { 1 }
    }

    /// Returns how far the transaction has come.
    fn stage(&self) -> Stage {
        match (self.asked.front(), self.next) {
            (Some(command), _) => command.stage(),
            (None, Next::Message | Next::NoMessage) => Stage::Content,
            (None, Next::Recipient(_)) => Stage::Recipient,
            (None, Next::Reset | Next::Sender) => Stage::Sender,
            (None, Next::Nothing) => Stage::Final,
        }
    }
}

/// What can be said before anything is sent.
impl Exchange<'_> {
    fn feasibility(&self, place: usize) -> Fate {
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
        if !envelope.reverse_path.mailbox().is_none_or(is_sendable) {
            return lacks(Stage::Sender, "SMTPUTF8");
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

    fn recipient_at(&self, place: usize) -> Option<&Recipient> {
        let index = self.task.recipients.get(place)?;
        self.task.envelope.recipients.get(usize::from(index.0))
    }

    /// Returns whether any recipient may still get the message.
    fn is_wanted(&self) -> bool {
        self.fates
            .iter()
            .any(|fate| matches!(fate, Fate::Accepted | Fate::Waiting))
    }

    /// RFC 6531 §3.4: SMTPUTF8 is said where an address or the message needs it.
    fn needs_smtputf8(&self) -> bool {
        let envelope = self.task.envelope;
        let is_international = |place| {
            self.recipient_at(place)
                .is_some_and(|recipient| !recipient.forward_path.mailbox().is_ascii())
        };
        envelope.smtputf8
            || !envelope.reverse_path.is_ascii()
            || (0..self.fates.len()).any(is_international)
    }

    /// Returns whether BODY=8BITMIME is said: where the client said it, or the message shows that it should have.
    fn is_eight_bit(&self) -> bool {
        match (self.task.envelope.body, self.task.content) {
            (BodyType::SevenBit, Content::Whole(octets)) => !octets.is_ascii(),
            (BodyType::SevenBit, Content::Streamed(_)) => false,
            (BodyType::EightBitMime | BodyType::BinaryMime, _) => true,
        }
    }
}

/// What is sent.
impl Exchange<'_> {
    fn reset(&mut self, out: &mut Vec<u8>) {
        put(out, format_args!("RSET\r\n"));
        self.asked.push_back(Command::Reset);
        self.next = Next::Sender;
    }

    fn sender(&mut self, out: &mut Vec<u8>) {
        let (envelope, offer) = (self.task.envelope, self.offer);
        put(out, format_args!("MAIL FROM:"));
        match &envelope.reverse_path {
            ReversePath::Mailbox(mailbox) => self.path(mailbox, out),
            ReversePath::Null => put(out, format_args!("<>")),
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
        if offer.dsn {
            parameter::of_mail(envelope, out);
        }
        if offer.mt_priority && self.task.priority != Priority::Normal {
            let value = self.task.priority.to_mt_priority();
            put(out, format_args!(" MT-PRIORITY={value}"));
        }
        put(out, format_args!("\r\n"));
        self.asked.push_back(Command::Sender);
        self.after = After::Reset;
        self.next = Next::Recipient(0);
    }

    fn recipient(&mut self, place: usize, out: &mut Vec<u8>) {
        self.next = Next::Recipient(place + 1);
        if !matches!(self.fates.get(place), Some(Fate::Waiting)) {
            return;
        }
        let Some(recipient) = self.recipient_at(place) else {
            return;
        };
        put(out, format_args!("RCPT TO:"));
        self.path(recipient.forward_path.mailbox(), out);
        if self.offer.dsn {
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
    fn content_command(&mut self, out: &mut Vec<u8>) -> Option<usize> {
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
    fn message(&mut self, out: &mut Vec<u8>) -> Option<Step> {
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

    fn no_message(&mut self, out: &mut Vec<u8>) {
        put(out, format_args!(".\r\n"));
        self.asked.push_back(Command::LoneDot);
        self.next = Next::Nothing;
    }
}

/// What is answered.
impl Exchange<'_> {
    fn reset_answered(&mut self, reply: Response) {
        if !is_done(&reply) {
            let judgement = classify::reply(Stage::Sender, reply);
            self.close(&judgement.outcome, Health::Unreachable);
        }
    }

    fn sender_answered(&mut self, reply: Response) {
        if is_done(&reply) {
            return;
        }
        if is_intermediate(&reply) {
            return self.confused();
        }
        let judgement = classify::reply(Stage::Sender, reply);
        self.health = judgement.health;
        self.settle_all(&judgement.outcome);
        self.next = Next::Nothing;
    }

    fn recipient_answered(&mut self, place: usize, reply: Response) {
        let Some(fate @ Fate::Waiting) = self.fates.get_mut(place) else {
            // The sender was refused already; this reply only follows from that.
            return;
        };
        if is_done(&reply) {
            *fate = Fate::Accepted;
            return;
        }
        if is_intermediate(&reply) {
            return self.confused();
        }
        let judgement = classify::reply(Stage::Recipient, reply);
        self.health = classify::worse(self.health.clone(), judgement.health);
        if let Some(fate) = self.fates.get_mut(place) {
            *fate = Fate::Settled(judgement.outcome);
        }
    }

    fn data_answered(&mut self, reply: Response) {
        if is_intermediate(&reply) {
            self.next = if self.is_wanted() {
                Next::Message
            } else {
                Next::NoMessage
            };
        } else if self.is_wanted() {
            if is_done(&reply) {
                // 250 to DATA: whatever it has taken, it was not this message.
                self.after = After::Close;
            }
            self.refused(Stage::Content, reply);
        }
    }

    fn chunk_answered(&mut self, reply: Response) {
        if !self.is_wanted() {
            if is_done(&reply) {
                // It took a message for nobody; where it stands now is unclear.
                self.after = After::Close;
            }
            return;
        }
        if is_done(&reply) {
            self.after = After::Clean;
            self.relayed(&reply);
        } else if matches!(reply.code, 500 | 502 | 503) {
            // It offers CHUNKING and does not know BDAT. That is not the message's fault.
            self.after = After::Close;
            self.refused(Stage::Content, reply);
        } else {
            self.final_answered(reply);
        }
    }

    fn dot_answered(&mut self, reply: Response) {
        self.after = After::Clean;
        if is_done(&reply) {
            self.relayed(&reply);
        } else {
            self.final_answered(reply);
        }
    }

    fn final_answered(&mut self, reply: Response) {
        if is_intermediate(&reply) {
            let failure = Failure::new(Stage::Final, Cause::Response(reply));
            self.close(&Outcome::Unknown(failure), Health::Unreachable);
        } else {
            self.refused(Stage::Final, reply);
        }
    }

    fn relayed(&mut self, reply: &Response) {
        self.settle_all(&Outcome::Relayed(reply.clone()));
    }

    fn refused(&mut self, stage: Stage, reply: Response) {
        let judgement = classify::reply(stage, reply);
        self.health = classify::worse(self.health.clone(), judgement.health);
        self.settle_all(&judgement.outcome);
    }

    /// 421: the upstream closes the connection (RFC 5321 §3.8). Nothing more is asked, and who has no outcome waits.
    fn closing(&mut self, command: Command, reply: Response) {
        let judgement = classify::reply(command.stage(), reply);
        let health = classify::worse(self.health.clone(), judgement.health);
        self.close(&judgement.outcome, health);
    }

    /// A reply that asks for more where there is no more: what follows cannot be matched with what was asked.
    fn confused(&mut self) {
        let text = "the upstream sent a reply that fits no command";
        self.fail(Break::Nonsense(text.into()));
    }

    fn close(&mut self, outcome: &Outcome, health: Health) {
        self.settle_all(outcome);
        self.health = health;
        self.after = After::Close;
        self.asked.clear();
        self.next = Next::Nothing;
    }

    fn settle_all(&mut self, outcome: &Outcome) {
        for fate in &mut self.fates {
            if matches!(fate, Fate::Accepted | Fate::Waiting) {
                *fate = Fate::Settled(outcome.clone());
            }
        }
    }
}

impl Content<'_> {
    /// RFC 1870 §5: the size counts line ends as two octets and no stuffed dots.
    fn size(self) -> u64 {
        match self {
            Self::Streamed(size) => size,
            Self::Whole(octets) => octets.len() as u64,
        }
    }
}

impl Command {
    const fn stage(self) -> Stage {
        match self {
            Self::Chunk | Self::Dot | Self::LoneDot => Stage::Final,
            Self::Data => Stage::Content,
            Self::Recipient(_) => Stage::Recipient,
            Self::Reset | Self::Sender => Stage::Sender,
        }
    }

    const fn ends_content(self) -> bool {
        matches!(self, Self::Chunk | Self::Dot)
    }
}

const fn is_done(reply: &Response) -> bool {
    reply.code / 100 == 2
}

const fn is_intermediate(reply: &Response) -> bool {
    reply.code / 100 == 3
}

fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = out.write_fmt(text);
}

/// The reply that may come at any time and closes the connection.
const SERVICE_CLOSING: u16 = 421;

#[cfg(test)]
mod tests;
