//! What is asked and answered.

use serde::{Deserialize, Serialize};

use crate::alert::{Kind, Stored};

use super::certificates::{CertificateRequest, CertificateView};
use super::senders::{SenderRequest, SenderView};
use super::sums::CensusView;
use super::trace::TraceView;
use super::view::{Id, MessageView, State, StatusView, Time};

/// The file name of the socket in the data directory.
pub const SOCKET: &str = "control";

/// The version of the protocol. A change that an older program would misunderstand gets another number.
pub const VERSION: u32 = 2;

/// The longest request, in octets with its line end.
pub const MAX_REQUEST: usize = 64 << 10;

/// The longest response, in octets with its line end: one message with all of 65,535 recipients.
pub const MAX_RESPONSE: usize = 64 << 20;

/// The most messages that one response lists.
pub const MAX_LIST: usize = 500;

/// The most ids that one response lists.
pub const MAX_IDS: usize = 20_000;

/// The most messages that one request changes.
pub const MAX_CHANGE: usize = 1000;

/// A request with the version it is written in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Call {
    /// [`VERSION`] of whoever asks.
    pub version: u32,
    /// What is asked.
    pub request: Request,
}

/// What can be asked of a running server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Request {
    /// About the certificates that clients are shown.
    Certificates(CertificateRequest),
    /// Lists stored alerts.
    Alerts {
        /// Which.
        filter: AlertFilter,
    },
    /// Whose logins are refused since too many have failed.
    Blocked,
    /// Forgets the failed logins of an account or an address.
    Forgive {
        /// The name of an account, or an address.
        who: String,
    },
    /// About the queue, which can be asked of a spool without a server too.
    Queue(QueueRequest),
    /// Lets an upstream get no new attempts.
    Drain {
        /// Which.
        upstream: String,
        /// Which other takes its place in routes meanwhile.
        to: Option<String>,
    },
    /// Lets a drained upstream get attempts again.
    EndDrain {
        /// Which.
        upstream: String,
    },
    /// Parks an upstream until it is resumed.
    Park {
        /// Which.
        upstream: String,
        /// Why, for operators.
        reason: Option<String>,
    },
    /// Reads the configuration again.
    Reload,
    /// Ends the parking of an upstream, and any pause.
    Resume {
        /// Which.
        upstream: String,
    },
    /// About verified senders.
    Senders(SenderRequest),
    /// Sends a message as an account, on the way that its clients' messages take.
    Submit {
        /// Whose mail it counts as.
        account: String,
        /// The reverse-path.
        sender: String,
        /// The recipient.
        recipient: String,
        /// Header and body, with CRLF line ends.
        content: String,
    },
    /// What the server is doing.
    Status,
    /// Raises an alert that says nothing, to see that it arrives.
    TestAlert {
        /// Whose matter it is, if anybody's.
        account: Option<String>,
    },
    /// The life of one message.
    Trace {
        /// Which.
        id: Id,
    },
}

/// Which alerts are listed: those for which all that is given holds.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertFilter {
    /// Only those that happened then or later.
    pub since: Option<Time>,
    /// The kind.
    pub kind: Option<Kind>,
    /// The whole name of the account.
    pub account: Option<String>,
}

impl AlertFilter {
    /// Returns whether an alert is one of those.
    pub fn passes(&self, alert: &Stored) -> bool {
        self.since.is_none_or(|since| alert.last >= since.0)
            && self.kind.is_none_or(|kind| alert.kind == kind)
            && self
                .account
                .as_ref()
                .is_none_or(|account| alert.account.as_ref() == Some(account))
    }
}

/// What can be asked about the queue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum QueueRequest {
    /// Changes messages, at most [`MAX_CHANGE`].
    Change {
        /// Which.
        ids: Vec<Id>,
        /// What is done to them.
        verb: Verb,
    },
    /// Lists ids of messages in their order, at most [`MAX_IDS`].
    Ids {
        /// Only those behind this one.
        after: Option<Id>,
        /// Which.
        filter: Filter,
    },
    /// Lists messages in the order of their ids.
    List {
        /// Only those behind this one.
        after: Option<Id>,
        /// How many at most; [`MAX_LIST`] counts besides.
        limit: usize,
        /// Which.
        filter: Filter,
    },
    /// Shows one message.
    Show {
        /// Which.
        id: Id,
    },
    /// Returns the sums.
    Stats {
        /// How many accounts and tenants at most.
        top: usize,
    },
}

/// What is done to messages.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Verb {
    /// Removes them without a report to their senders.
    Delete,
    /// Keeps them from being attempted.
    Hold,
    /// Ends a hold.
    Release,
    /// Gives them upstreams which are stronger than their accounts'.
    Reroute {
        /// The upstreams in failover order.
        to: Vec<String>,
    },
    /// Gives them their accounts' upstreams again.
    ResetRoute,
    /// Makes them due at once.
    Retry,
}

/// Which messages are listed: those for which all that is given holds. Letter case does not count.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// The state.
    pub state: Option<State>,
    /// The whole name of the account.
    pub account: Option<String>,
    /// The whole name of the tenant.
    pub tenant: Option<String>,
    /// The whole name of an upstream on the route.
    pub upstream: Option<String>,
    /// A part of the sender's address.
    pub sender: Option<String>,
    /// A part of the address of a recipient that is not done.
    pub recipient: Option<String>,
    /// A part of the reason of a recipient's last deferral.
    pub reply: Option<String>,
    /// The highest and the lowest priority.
    pub priority: Option<(u8, u8)>,
    /// Only messages accepted before.
    pub accepted_before: Option<Time>,
    /// Only messages accepted then or later.
    pub accepted_from: Option<Time>,
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The certificates that clients are shown.
    Certificates(Vec<CertificateView>),
    /// A test alert has been raised.
    AlertRaised {
        /// To whom it goes, in words.
        to: Vec<String>,
    },
    /// Stored alerts, the oldest first.
    Alerts {
        /// All that were asked for.
        alerts: Vec<Stored>,
    },
    /// Whose logins are refused.
    Blocked {
        /// The longest first.
        blocks: Vec<BlockView>,
    },
    /// How many blocks have ended.
    Forgiven {
        /// The number.
        blocks: usize,
    },
    /// What has been done to messages, durably.
    Changed(Changed),
    /// It has been done, and is durable.
    Done,
    /// It has not been done.
    Failed(Refusal),
    /// Ids of messages.
    Ids {
        /// In their order, perhaps none, even if there are more.
        ids: Vec<Id>,
        /// Where the next list goes on; `None` at the end of the queue.
        next: Option<Id>,
    },
    /// One message.
    Message(Box<MessageView>),
    /// Several messages.
    Messages {
        /// In the order of their ids, perhaps none, even if there are more.
        messages: Vec<MessageView>,
        /// Where the next list goes on; `None` at the end of the queue.
        next: Option<Id>,
    },
    /// The configuration has been read again and is in force.
    Reloaded {
        /// What somebody should look at.
        warnings: Vec<String>,
    },
    /// Senders: those that were asked for, or the one that was changed.
    Senders(Vec<SenderView>),
    /// The sums.
    Stats(Box<CensusView>),
    /// What the server is doing.
    Status(Box<StatusView>),
    /// What became of a message that was to be sent.
    Submitted(Submitted),
    /// The life of a message.
    Trace(Box<TraceView>),
}

/// That logins are refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BlockView {
    /// The account, in lower case, where they are an account's.
    pub account: Option<String>,
    /// The network, where they are those from one.
    pub network: Option<String>,
    /// For how many seconds they have been.
    pub age_s: u64,
    /// In how many seconds the next is allowed.
    pub retry_after_s: u64,
    /// How many were refused without a look at the password.
    pub refused: u64,
}

/// What has been done to messages.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Changed {
    /// How many have been changed.
    pub done: usize,
    /// Those that were being attempted, and are as they were.
    pub busy: Vec<Id>,
    /// Those that are not in the queue.
    pub missing: Vec<Id>,
    /// Those whose change could not be recorded.
    pub failed: Vec<Id>,
    /// Why, for the last of these.
    pub reason: Option<String>,
}

/// What became of a message that was to be sent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Submitted {
    /// The messages that it has become, which are durable; none where it was refused.
    pub ids: Vec<Id>,
    /// The last reply, as a client would have got it.
    pub reply: String,
    /// All that was said, each line behind `C: ` or `S: `.
    pub dialogue: Vec<String>,
}

impl Response {
    pub(super) fn failed(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Failed(Refusal { reason, message })
    }

    /// Returns the response unless it is a refusal.
    ///
    /// # Errors
    /// The refusal.
    pub fn accepted(self) -> Result<Self, Refusal> {
        if let Self::Failed(refusal) = self {
            Err(refusal)
        } else {
            Ok(self)
        }
    }
}

/// Why a request has not been done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// What kept a request from being done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such account, or it is disabled.
    Account,
    /// The new configuration has errors, or cannot be put in force; the old one stays.
    Configuration,
    /// The journal cannot be read.
    Journal,
    /// There is no such message.
    Missing,
    /// The request is not understood, or its answer would be too long.
    Request,
    /// There is no such sender, or it cannot be verified so.
    Sender,
    /// The spool, or another file of the server, failed.
    Spool,
    /// It cannot be done now, and perhaps later.
    Temporary,
    /// There is no such upstream.
    Upstream,
    /// The two programs speak different versions of the protocol.
    Version,
}
