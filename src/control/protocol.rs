//! What is asked and answered.

use serde::{Deserialize, Serialize};

use super::view::{Id, MessageView, State, StatsView, StatusView};

/// The file name of the socket in the data directory.
pub const SOCKET: &str = "control";

/// The version of the protocol. A change that an older program would misunderstand gets another number.
pub const VERSION: u32 = 1;

/// The longest request, in octets with its line end.
pub const MAX_REQUEST: usize = 64 << 10;

/// The longest response, in octets with its line end: one message with all of 65,535 recipients.
pub const MAX_RESPONSE: usize = 64 << 20;

/// The most messages that one response lists.
pub const MAX_LIST: usize = 500;

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
    /// About the queue, which can be asked of a spool without a server too.
    Queue(QueueRequest),
    /// Reads the configuration again.
    Reload,
    /// What the server is doing.
    Status,
}

/// What can be asked about the queue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum QueueRequest {
    /// Removes a message without a report to its sender.
    Delete {
        /// Which.
        id: Id,
    },
    /// Keeps a message from being attempted.
    Hold {
        /// Which.
        id: Id,
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
    /// Ends a hold.
    Release {
        /// Which.
        id: Id,
    },
    /// Makes a message due at once.
    Retry {
        /// Which.
        id: Id,
    },
    /// Shows one message.
    Show {
        /// Which.
        id: Id,
    },
    /// Returns the sums.
    Stats,
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
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It has been done, and is durable.
    Done,
    /// It has not been done.
    Failed(Refusal),
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
    /// The sums.
    Stats(StatsView),
    /// What the server is doing.
    Status(Box<StatusView>),
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
    /// The message is being attempted at this moment.
    Busy,
    /// The new configuration has errors, or cannot be put in force; the old one stays.
    Configuration,
    /// There is no such message.
    Missing,
    /// The request is not understood, or its answer would be too long.
    Request,
    /// The spool failed.
    Spool,
    /// The two programs speak different versions of the protocol.
    Version,
}
