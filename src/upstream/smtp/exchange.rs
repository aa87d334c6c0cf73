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

mod answering;
mod sending;

use std::collections::VecDeque;

use crate::clock::Timestamp;
use crate::mail::{
    Cause, Envelope, Failure, Health, Mailbox, Outcome, Priority, RecipientIndex, Response, Stage,
};
use crate::smtp::extension::Extensions;
use crate::upstream::classify::{self, Answer, Break};

use super::assurance::Assurance;
use super::framing::{Encoder, Framing};

/// What is to be handed over in one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    /// The envelope with all recipients of the message.
    pub(super) envelope: &'a Envelope,
    /// What is known of the server.
    pub(super) assurance: Assurance,
    /// The reverse-path in the place of the envelope's, unless that is null.
    pub(super) envelope_sender: Option<&'a Mailbox>,
    /// Those this transaction is for.
    pub(super) recipients: &'a [RecipientIndex],
    /// For MT-PRIORITY.
    pub(super) priority: Priority,
    /// The civil time, for what is left of a deadline.
    pub(super) now: Timestamp,
    /// What the upstream's answers mean, before what everybody's mean.
    pub(super) known: &'a [Answer],
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
    /// Whether the connection ended before the upstream replied to anything but by 421. On one that was kept it had
    /// most likely ended long before, and the transaction may begin again on another. Where the content had left with
    /// the envelope a copy is possible then, as after [`Outcome::Unknown`], which is tried again too.
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
        self.fail_at(self.stage(), end);
    }

    fn fail_at(&mut self, stage: Stage, end: Break) {
        let may_have_arrived =
            !self.is_writing && self.asked.iter().any(|command| command.ends_content());
        let judgement = classify::broken(stage, end);
        let outcome = match judgement.outcome {
            Outcome::Deferred(failure) if may_have_arrived => {
                Outcome::Unknown(Failure::new(Stage::Final, failure.cause))
            }
            outcome @ (Outcome::Deferred(_)
            | Outcome::Rejected(_)
            | Outcome::Relayed(..)
            | Outcome::Unknown(_)) => outcome,
        };
        self.close(&outcome, judgement.health);
    }

    /// Ends the transaction because the upstream closed the connection in the middle of the message, with this reply.
    pub(super) fn interrupted(&mut self, reply: Response) {
        if reply.code < 400 {
            return self.confused(Stage::Content);
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

/// The reply that may come at any time and closes the connection.
const SERVICE_CLOSING: u16 = 421;

#[cfg(test)]
mod tests;
