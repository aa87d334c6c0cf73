//! A connection that is logged in, and the transactions on it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::body::Body;
use crate::clock::Timestamp;
use crate::mail::{Channel, Envelope, Health, Mailbox, Priority, RecipientIndex, Via};
use crate::smtp::extension::Extensions;
use crate::upstream::classify::{Answer, Break};

use super::assurance::{Assurance, Lack};
use super::exchange::{After, Content, Ended, Exchange, Step, Task};
use super::outgoing::{Message, Outgoing, Rules, unreadable};
use super::pacing::{Pace, Pacing};
use super::portion::{Named, Portion};
use super::settings::Timeouts;
use super::wire::{AnySocket, ReplyWanted, Wire};

/// A connection ready for transactions.
pub(super) struct Connection {
    wire: Wire<AnySocket>,
    extensions: Extensions,
    timeouts: Timeouts,
    /// The bandwidth of the upstream, where it is limited.
    pacing: Option<Arc<Pacing>>,
    after: After,
    /// The name of the server, as it was looked up.
    pub(super) host: Box<str>,
    /// What is known of the server.
    assurance: Assurance,
    allowed: Use,
    /// The domains of recipients, where their number is limited.
    named: Named,
    /// What its answers mean, before what everybody's mean.
    pub(super) known: &'static [Answer],
    /// Transactions so far.
    pub(super) messages: u32,
    /// When it was last used.
    pub(super) idle_since: Instant,
    out: Vec<u8>,
}

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Any,
    /// It is less secure than others may be.
    OneMessage,
}

/// Envelope and recipients of one transaction.
#[derive(Clone, Copy)]
pub(super) struct Transfer<'a> {
    pub(super) envelope: &'a Envelope,
    /// The reverse-path in the place of the envelope's, unless that is null.
    pub(super) envelope_sender: Option<&'a Mailbox>,
    pub(super) recipients: &'a [RecipientIndex],
    pub(super) priority: Priority,
    /// The civil time.
    pub(super) now: Timestamp,
    /// What becomes of the message before it leaves.
    pub(super) rules: Rules<'a>,
}

/// A write buffer larger than this is given back after its transaction.
const KEPT_BUFFER: usize = 256 << 10;

/// How long the last words of an upstream are awaited that refuses content by closing, and how long QUIT may take.
pub(super) const PARTING: Duration = Duration::from_secs(2);

impl Connection {
    pub(super) fn new(
        wire: Wire<AnySocket>,
        extensions: Extensions,
        timeouts: Timeouts,
        pacing: Option<Arc<Pacing>>,
        now: Instant,
    ) -> Self {
        Self {
            wire,
            extensions,
            timeouts,
            pacing,
            after: After::Clean,
            host: Box::default(),
            assurance: Assurance::Unproved,
            allowed: Use::Any,
            named: Named::default(),
            known: &[],
            messages: 0,
            idle_since: now,
            out: Vec::new(),
        }
    }

    /// Says which server it leads to, and what is known of that after a handshake.
    pub(super) fn with(mut self, host: &str, after_handshake: Assurance) -> Self {
        self.host = host.into();
        self.assurance = match self.via().channel {
            Channel::Tls(_) => after_handshake,
            Channel::Failed | Channel::Plain => Assurance::Unproved,
        };
        self
    }

    /// Makes it one that nothing but the next message may use.
    pub(super) fn for_one_message(mut self) -> Self {
        self.allowed = Use::OneMessage;
        self
    }

    /// Returns what it lacks for messages with REQUIRETLS.
    pub(super) fn lack(&self) -> Option<Lack> {
        Lack::of(self.assurance, self.extensions.require_tls)
    }

    /// Returns whether its next transaction may be for at least one of these recipients.
    pub(super) fn admits(&self, transfer: &Transfer<'_>) -> bool {
        let limits = self.extensions.limits;
        let first = transfer.recipients.first();
        first.is_none_or(|first| self.named.admits(limits, transfer.envelope, *first))
    }

    /// Divides recipients into those of its next transaction and those of later ones.
    pub(super) fn divide<'a>(&mut self, transfer: &Transfer<'a>) -> Portion<'a> {
        let limits = self.extensions.limits;
        self.named
            .divide(limits, transfer.envelope, transfer.recipients)
    }

    /// Runs one transaction.
    ///
    /// When it is dropped before its end the connection must be dropped too.
    pub(super) async fn transact(
        &mut self,
        transfer: Transfer<'_>,
        message: &mut Message,
    ) -> Ended {
        let mut out = std::mem::take(&mut self.out);
        let ended = self.run(transfer, message, &mut out).await;
        self.messages = self.messages.saturating_add(1);
        self.after = if self.wire.is_quiet() {
            ended.after
        } else {
            // A reply to nothing: the next transaction would take it for its own.
            After::Close
        };
        if out.capacity() <= KEPT_BUFFER {
            out.clear();
            self.out = out;
        }
        ended
    }

    async fn run(
        &mut self,
        transfer: Transfer<'_>,
        message: &mut Message,
        out: &mut Vec<u8>,
    ) -> Ended {
        let (rules, offer) = (transfer.rules, &self.extensions);
        let outgoing = message.prepare(transfer.envelope, offer, rules, transfer.now);
        let mut outgoing = match outgoing.await {
            Ok(outgoing) => outgoing,
            Err(error) => return self.unprepared(transfer.recipients, &error),
        };
        let (content, mut body) = match &mut outgoing {
            Outgoing::Streamed(body) => (Content::Streamed(body.size()), Some(body)),
            Outgoing::Whole(octets) => (Content::Whole(octets), None),
        };
        let task = Task {
            envelope: transfer.envelope,
            assurance: self.assurance,
            envelope_sender: transfer.envelope_sender,
            recipients: transfer.recipients,
            priority: transfer.priority,
            now: transfer.now,
            known: self.known,
            content,
        };
        let mut exchange = Exchange::new(task, &self.extensions, self.after);
        let limit = self.timeouts.data;
        loop {
            out.clear();
            match exchange.poll(out) {
                Step::Done => return exchange.finish(),
                Step::Receive(stage) => {
                    match self.wire.reply(self.timeouts.of_reply(stage)).await {
                        Ok(reply) => exchange.receive(reply.response),
                        Err(end) => exchange.fail(end),
                    }
                }
                Step::Write { .. } | Step::Content if !self.wire.is_quiet() => {
                    let text = "the upstream sent a reply before it was asked";
                    exchange.fail(Break::Nonsense(text.into()));
                }
                Step::Write { commands } => {
                    let mut pace = self.pace(transfer.priority);
                    let writing = self.wire.write_paced(out, commands, limit, pace.as_mut());
                    if let Err(end) = writing.await {
                        exchange.fail(end);
                    }
                }
                Step::Content => match &mut body {
                    Some(body) => {
                        let pace = self.pace(transfer.priority);
                        let writing = self.wire.stream(&mut exchange, &mut ***body, limit, pace);
                        writing.await;
                    }
                    None => exchange.abandon("the message is gone".into()),
                },
            }
        }
    }

    /// Nothing has been sent: the connection is as good as before.
    fn unprepared(&self, recipients: &[RecipientIndex], error: &io::Error) -> Ended {
        Ended {
            outcomes: unreadable(recipients, error),
            health: Health::Good,
            after: self.after,
            is_stale: false,
        }
    }

    /// Returns a share in the bandwidth, where it is limited.
    fn pace(&self, priority: Priority) -> Option<Pace> {
        self.pacing.as_ref().map(|pacing| pacing.enter(priority))
    }

    /// Returns where it leads, and how it is encrypted.
    pub(super) fn via(&self) -> Via {
        self.wire.via
    }

    /// Returns whether it is good for another transaction.
    pub(super) fn is_reusable(&self) -> bool {
        let is_used_up = |most| self.messages >= most;
        let is_over = self.extensions.limits.mails.is_some_and(is_used_up);
        self.after != After::Close && self.allowed == Use::Any && !is_over
    }

    /// Returns whether it is still open and silent. Does not wait.
    pub(super) async fn is_idle(&mut self) -> bool {
        self.wire.is_idle().await
    }

    /// Says QUIT, as far as that is possible in a short time.
    pub(super) async fn quit(mut self, reply: ReplyWanted) {
        if self.after != After::Close {
            self.wire.quit(PARTING, reply).await;
        }
    }
}

impl Wire<AnySocket> {
    /// Writes a message piece by piece.
    async fn stream(
        &mut self,
        exchange: &mut Exchange<'_>,
        body: &mut dyn Body,
        limit: Duration,
        mut pace: Option<Pace>,
    ) {
        let (mut out, mut is_end) = (Vec::new(), false);
        while !is_end {
            out.clear();
            match body.next().await {
                Ok(Some(piece)) => exchange.content(&piece, &mut out),
                Ok(None) => {
                    exchange.content_end(&mut out);
                    is_end = true;
                }
                Err(error) => {
                    let text = format!("the stored message cannot be read: {error}");
                    return exchange.abandon(text.into());
                }
            }
            if let Err(end) = self.write_paced(&out, 0, limit, pace.as_mut()).await {
                // Many servers say why they do not want a message before they close.
                return match self.reply(PARTING).await {
                    Ok(reply) => exchange.interrupted(reply.response),
                    Err(_) => exchange.fail(end),
                };
            }
        }
    }
}
