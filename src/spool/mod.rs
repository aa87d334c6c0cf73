//! The durable store of accepted messages.
//!
//! One trait, several engines, one conformance suite. No other module knows how messages are stored.
//!
//! States of a recipient: *pending* (attempted at or after its due time), *leased* (somebody attempts it now),
//! *held* (waits for an operator), *done* (never attempted again). A message leaves the spool when all its
//! recipients are done.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::Body;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::mail::{Envelope, Failure, Handover, Priority, QueueId, RecipientIndex, Response};

#[cfg(test)]
mod conformance;
pub mod embedded;
mod index;
mod lanes;
pub mod memory;
mod moves;
pub mod operators;
mod parties;
mod pressure;
mod shared;
mod shelf;
mod standing;
mod times;

pub use operators::{Census, Change, Page, Selection, Sum};
use shared::{foreign_draft, gather, only, with_route};

/// The verbs of submission and relay.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Opens a place for a message. It is invisible until commit, gone when dropped, and gone after a crash.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or [`SpoolError::Unavailable`].
    async fn draft(&self) -> Result<Box<dyn Draft>, SpoolError>;

    /// Makes a message durable.
    ///
    /// After `Ok` it survives power loss. After `Err` it may exist all the same: the client hears a 4xx and sends
    /// again, so a copy is possible, a loss is not. When the call is dropped the same holds.
    ///
    /// # Errors
    /// [`SpoolError::Full`] where there is no room for mail of its priority, [`SpoolError::Unavailable`] for any other fault of the store.
    async fn commit(&self, draft: Box<dyn Draft>, message: Message) -> Result<QueueId, SpoolError>;

    /// Makes messages durable together, those of one transaction whose recipients have different routes: all of them or
    /// none. Returns their ids in their order.
    ///
    /// Otherwise as [`Spool::commit`].
    ///
    /// # Errors
    /// As for [`Spool::commit`]; then none of them is there, or all.
    async fn commit_all(
        &self,
        messages: Vec<(Box<dyn Draft>, Message)>,
    ) -> Result<Vec<QueueId>, SpoolError>;

    /// Leases due messages of the given routes, in the order that [`Claim::wanted`] says.
    ///
    /// A lease is exclusive until it is settled or its time is over; a crash ends all leases of the process.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`] where the store cannot be asked.
    async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Lease>, SpoolError>;

    /// Makes a lease last until `until`.
    ///
    /// # Errors
    /// [`SpoolError::LeaseLost`] where it has ended already.
    async fn extend(&self, lease: &mut Lease, until: Timestamp) -> Result<(), SpoolError>;

    /// Records what became of a lease's recipients, together with the reports that follow from it, and ends the
    /// lease. Returns the ids of the reports, in their order. Durable when it returns; fates and reports are recorded together or not at all.
    ///
    /// # Errors
    /// [`SpoolError::LeaseLost`]: somebody else answers for the message now, nothing was recorded. On other errors
    /// the record is owed: the engine makes it when it can, and nobody attempts the message before. Only a crash that
    /// comes first makes the message due again.
    async fn settle(&self, settlement: Settlement) -> Result<Vec<QueueId>, SpoolError>;

    /// Gives a lease back unused: the message is due again at once.
    async fn give_back(&self, lease: Lease);

    /// Opens the octets of a message.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`] where they are damaged: the message has been set aside.
    async fn body(&self, id: QueueId) -> Result<Box<dyn Body>, SpoolError>;

    /// Returns, for each route with messages that are neither leased nor held, when the next one is due.
    async fn backlog(&self) -> Result<Vec<Backlog>, SpoolError>;

    /// Waits until a message may have become claimable since the last call. Spurious returns are allowed; a commit,
    /// a settlement with a retry, a release or a `give_back` is never missed. Cancel safe.
    async fn changed(&self);

    /// Returns from which routes messages have been moved and to which, by whomever, since the last call: each once, also
    /// those that an operator had moved when they were read at the start. Cheap.
    fn take_moves(&self) -> Vec<(Route, Route)>;

    /// Returns why new mail of this priority must be answered 452 now, if it must: as the store fills up, low
    /// priorities are refused first. Cheap: no I/O, no waiting.
    fn pressure(&self, priority: Priority) -> Option<Pressure>;
}

/// The verbs of operators. Shared by command line and panel.
#[async_trait]
pub trait SpoolAdmin: Send + Sync {
    /// Lists messages of a selection in the order of their ids, behind `after`, at most `limit`. Looks through so many
    /// messages at most that it does not take long, so a page may have fewer or none although more follow.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`].
    async fn select(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Result<Page<Entry>, SpoolError>;

    /// Lists the ids of messages of a selection as [`SpoolAdmin::select`] does, without reading the messages.
    async fn ids(
        &self,
        after: Option<QueueId>,
        limit: usize,
        selection: &Selection,
    ) -> Page<QueueId>;

    /// Returns one message, or `None` where there is none of that id.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`].
    async fn show(&self, id: QueueId) -> Result<Option<Entry>, SpoolError>;

    /// Changes messages, side by side; returns for each, in their order, how that went. Durable when it returns.
    async fn change(&self, ids: &[QueueId], change: &Change) -> Vec<Result<(), VerbError>>;

    /// Lists messages in the order of their ids, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`].
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<Entry>, SpoolError> {
        let (mut entries, mut after, everything) = (Vec::new(), after, Selection::default());
        loop {
            let wanted = limit.saturating_sub(entries.len());
            let page = self.select(after, wanted, &everything).await?;
            entries.extend(page.items);
            after = page.next;
            if after.is_none() || entries.len() >= limit {
                return Ok(entries);
            }
        }
    }

    /// Makes a message due at once. Durable when it returns.
    ///
    /// # Errors
    /// [`VerbError`].
    async fn retry(&self, id: QueueId) -> Result<(), VerbError> {
        only(id, self.change(&[id], &Change::Retry).await)
    }

    /// Keeps a message from being attempted until it is released. Durable when it returns.
    ///
    /// # Errors
    /// [`VerbError`].
    async fn hold(&self, id: QueueId) -> Result<(), VerbError> {
        only(id, self.change(&[id], &Change::Hold).await)
    }

    /// Ends a hold. Durable when it returns.
    ///
    /// # Errors
    /// [`VerbError`].
    async fn release(&self, id: QueueId) -> Result<(), VerbError> {
        only(id, self.change(&[id], &Change::Release).await)
    }

    /// Removes a message without a report to its sender. Durable when it returns.
    ///
    /// # Errors
    /// [`VerbError`].
    async fn delete(&self, id: QueueId) -> Result<(), VerbError> {
        only(id, self.change(&[id], &Change::Delete).await)
    }

    /// Gives every message the route that `route_of` names for its account; `None` leaves it as it is, and so does an
    /// operator's route.
    ///
    /// Not stored: called after every start and every reload.
    async fn reroute(&self, route_of: &RouteOf<'_>);

    /// Does what [`SpoolAdmin::reroute`] does for these messages alone.
    async fn reroute_some(&self, ids: &[QueueId], route_of: &RouteOf<'_>);

    /// Returns the sums.
    async fn stats(&self) -> Stats;

    /// Counts all messages by several criteria. Takes time in proportion to the queue, and lets the mail go on.
    async fn census(&self) -> Census;
}

/// Names the route of an account, if it has one.
pub type RouteOf<'a> = dyn for<'b> Fn(&'b AccountName) -> Option<Route> + Send + Sync + 'a;

/// A message that is being received.
#[async_trait]
pub trait Draft: Send + Sync {
    /// Returns the id that the message will have.
    fn id(&self) -> QueueId;

    /// Returns the octets written so far.
    fn size(&self) -> u64;

    /// Adds octets. Small messages stay in memory, larger ones go to the store as they come.
    ///
    /// # Errors
    /// As for [`Spool::draft`]. The draft can only be dropped then.
    async fn write(&mut self, octets: Bytes) -> Result<(), SpoolError>;

    /// Takes the draft apart for the engine that made it.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// All about a message but its octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Sender, recipients, parameters.
    pub envelope: Envelope,
    /// Who submitted it; `None` for messages of posthouse itself that belong to no account.
    pub account: Option<AccountName>,
    /// The account's tenant.
    pub tenant: Option<TenantName>,
    /// The upstreams it may take.
    pub route: Route,
    /// The effective priority.
    pub priority: Priority,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it may first be attempted; the same as `accepted` but for scheduled mail.
    pub due: Timestamp,
    /// Where it came from; `None` for messages of posthouse itself.
    pub peer: Option<IpAddr>,
    /// The value of its `Message-ID:` field, for the log.
    pub message_id: Option<Box<str>>,
    /// Why it is held from the moment that it is stored, until an operator releases it; `None` where it is not. What it
    /// does now is its [`EntryState`].
    pub held: Option<Box<str>>,
}

impl Message {
    /// Returns when its lifetime begins: with its release, where it is scheduled, else with its acceptance. Days that it
    /// was meant to wait are not days that it could not be relayed in.
    pub fn begins(&self) -> Timestamp {
        self.accepted.max(self.due)
    }
}

/// What a dispatcher wants to attempt next.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The routes to take from.
    pub routes: &'a [Route],
    /// Which of their messages, and in which order.
    pub wanted: Wanted<'a>,
    /// How many messages at most.
    pub at_most: usize,
    /// How many recipients of a message at most; the others wait for another lease.
    pub recipients: usize,
    /// Messages due at or before this time are claimable.
    pub now: Timestamp,
    /// How long the leases last if they are not extended.
    pub until: Timestamp,
}

/// Which messages are claimed, and in which order.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// Those that have waited for long, the first accepted first, to look after them rather than to send them.
    Aged {
        /// The smallest id.
        from: QueueId,
        /// They began to wait before this: see [`Message::begins`].
        before: Timestamp,
        /// Which of them.
        which: Which,
    },
    /// Those whose deadline (RFC 2852) has passed, whatever their route, each once in the life of the process: to look
    /// after them rather than to send them.
    Late,
    /// Those that are next to be sent: a higher priority first; within a priority fair by octets between tenants, and
    /// between the accounts of a tenant; of an account the oldest first.
    Next {
        /// The upstream they will be sent to. Fairness between several routes that lead there counts what each has
        /// had there.
        upstream: &'a UpstreamName,
        /// None of a lower priority.
        lowest: Priority,
        /// How long a message of priority 4 waits before it counts as one of priority 3, and one of priority 5 twice as
        /// long; `None` for ever.
        ageing: Option<Duration>,
    },
}

/// Which of the messages that have waited for long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// All.
    Any,
    /// Those whose senders have not been warned of a delay.
    Unwarned,
}

/// The right to attempt a message, for one holder at a time.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The message's id.
    pub id: QueueId,
    /// Its envelope and the rest.
    pub message: Arc<Message>,
    /// The octets of header and body.
    pub size: u64,
    /// Recipients that are not done and are due, as many as were claimed.
    pub pending: Vec<RecipientIndex>,
    /// How many attempts have counted against any of these so far.
    pub attempts: u32,
    /// The recipients that were deferred before, also those that are not due now, each with why the last time.
    pub deferred: Vec<(RecipientIndex, Failure)>,
    /// Whether more of its recipients are due than the lease is for: another lease for them follows at once.
    pub has_more: bool,
    /// What its sender has been told so far.
    pub warned: Warned,
    /// What its sender is still to be told.
    pub untold: Vec<Untold>,
    /// When the lease ends.
    pub until: Timestamp,
    /// Distinguishes this lease from earlier ones of the same message.
    pub token: u64,
}

/// The end of a lease.
#[derive(Debug)]
pub struct Settlement {
    /// The lease.
    pub lease: Lease,
    /// What became of each recipient; those of the lease that are not named wait for its end. Where none is named, as for
    /// a warning alone, all stay due when they were.
    pub fates: Vec<(RecipientIndex, Fate)>,
    /// What the sender is told by the reports; added to what it has been told before.
    pub warned: Warned,
    /// What the sender is to be told with a later settlement; in place of [`Lease::untold`].
    pub untold: Vec<Untold>,
    /// Whether the attempt counts towards the growth of the delays. What an upstream as a whole refuses does not.
    pub counts: bool,
    /// Messages to be sent as a consequence, such as a DSN.
    pub reports: Vec<Report>,
}

/// What the sender of a message that waits has been told. Nothing of it is told twice.
///
/// Said also where nobody wants to hear it: what has been looked at need not be looked at again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Warned {
    /// That it is delayed.
    pub of_delay: bool,
    /// That it was not delivered by the time that the sender had set (RFC 2852).
    pub of_deadline: bool,
}

impl Warned {
    /// Returns what either says.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            of_delay: self.of_delay || other.of_delay,
            of_deadline: self.of_deadline || other.of_deadline,
        }
    }
}

/// A recipient that is done and of which the sender is to be told, together with others that are tried just after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Untold {
    /// Which.
    pub index: RecipientIndex,
    /// What became of it.
    pub fate: Fate,
    /// How it was taken over, where it was relayed.
    pub handover: Option<Handover>,
}

/// A message that posthouse itself writes.
#[derive(Debug)]
pub struct Report {
    /// Envelope and the rest.
    pub message: Message,
    /// Header and body.
    pub octets: Bytes,
}

/// What becomes of a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Done: the upstream has it.
    Relayed(Response),
    /// Pending again.
    Retry {
        /// When.
        due: Timestamp,
        /// Why it was deferred.
        reason: Failure,
    },
    /// Done: refused for good.
    Bounce(Failure),
    /// Done: its lifetime is over.
    Expire(Failure),
}

/// The messages of one route that wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backlog {
    /// The route.
    pub route: Route,
    /// When the first of them is due.
    pub next_due: Timestamp,
    /// The highest rank among those that are due already, if any is: a priority, or one reached by waiting.
    pub highest: Option<Priority>,
}

/// One message as operators see it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: QueueId,
    /// Its envelope and the rest.
    pub message: Arc<Message>,
    /// The octets of header and body.
    pub size: u64,
    /// What it does now.
    pub state: EntryState,
    /// How many attempts have counted.
    pub attempts: u32,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// The recipients that are not done, each with the reason of its last deferral.
    pub pending: Vec<(RecipientIndex, Option<Failure>)>,
}

/// What a message does now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryState {
    /// It waits for its due time or a free connection.
    Pending,
    /// It is being attempted.
    Leased,
    /// It waits for an operator.
    Held,
}

/// Sums over the whole spool.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Messages that are not done.
    pub messages: u64,
    /// Octets of their headers and bodies.
    pub octets: u64,
    /// Those that are held.
    pub held: u64,
    /// Those that are being attempted.
    pub leased: u64,
    /// Damaged records met since the start.
    pub damaged: u64,
}

/// Why new mail must wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pressure {
    /// The file system is nearly full.
    Disk,
    /// The messages that wait take too much memory.
    Memory,
    /// Too many messages wait.
    Messages,
    /// The messages that wait are too large together.
    Size,
}

/// Why the spool could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// What is stored of this message is damaged.
    #[error("the stored message {0} is damaged")]
    Corrupt(QueueId),
    /// There is no room.
    #[error("the spool is full")]
    Full,
    /// The lease of this message has ended.
    #[error("the lease of message {0} has ended")]
    LeaseLost(QueueId),
    /// The store failed or is closed.
    #[error("the spool is not available")]
    Unavailable(#[source] io::Error),
}

/// Why an operator's verb had no effect.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// The message is being attempted at this moment.
    #[error("message {0} is being attempted now; try again in a moment")]
    Busy(QueueId),
    /// There is no such message.
    #[error("there is no message {0} in the queue")]
    Missing(QueueId),
    /// The spool failed.
    #[error("the spool could not record the change")]
    Spool(#[source] SpoolError),
}
