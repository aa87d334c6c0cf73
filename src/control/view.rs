//! Messages and figures as they cross the socket and as `--json` prints them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::mail::{Failure, QueueId, RecipientIndex};
use crate::spool::{Entry, EntryState, Stats};

/// A queue id, written as people see it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(pub QueueId);

/// A point in time, written as RFC 3339 in UTC: `2026-11-21T06:51:00.123Z`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Timestamp);

/// Why a text from the socket was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// It is no queue id.
    #[error("`{0}` is no queue id")]
    Id(String),
    /// It is no time.
    #[error("`{0}` is no time")]
    Time(String),
}

impl TryFrom<String> for Id {
    type Error = ViewError;

    fn try_from(text: String) -> Result<Self, ViewError> {
        QueueId::parse(&text).map(Self).ok_or(ViewError::Id(text))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = ViewError;

    fn try_from(text: String) -> Result<Self, ViewError> {
        Timestamp::parse(&text)
            .map(Self)
            .ok_or(ViewError::Time(text))
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.0.to_string()
    }
}

/// What a message does now.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for an operator.
    Held,
    /// It is being attempted.
    Leased,
    /// It waits for its due time or a free connection.
    Pending,
}

/// One message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MessageView {
    /// Its id.
    pub id: Id,
    /// What it does now.
    pub state: State,
    /// The effective priority, 1 (very high) to 5.
    pub priority: u8,
    /// Who submitted it; `None` for posthouse's own messages.
    pub account: Option<String>,
    /// The account's tenant.
    pub tenant: Option<String>,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// The upstreams it may take, in failover order.
    pub route: Vec<String>,
    /// The reverse-path; `None` for the null one, which reports have.
    pub sender: Option<String>,
    /// The recipients that are not done; in lists at most [`MessageView::LISTED_RECIPIENTS`].
    pub recipients: Vec<RecipientView>,
    /// How many more recipients are not done.
    pub recipients_left_out: usize,
    /// How many recipients are done: relayed or given up.
    pub recipients_done: usize,
    /// The octets of header and body.
    pub size: u64,
    /// When it was accepted.
    pub accepted: Time,
    /// When the next attempt is due.
    pub due: Time,
    /// How many attempts have counted.
    pub attempts: u32,
    /// The value of its `Message-ID:` field.
    pub message_id: Option<String>,
    /// Why it is held, where it has been from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// One recipient that is not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecipientView {
    /// The address.
    pub address: String,
    /// Why it was deferred last, if it was.
    pub last_failure: Option<String>,
}

impl MessageView {
    /// How many recipients of a message a list shows.
    pub const LISTED_RECIPIENTS: usize = 20;

    /// Makes a view with all recipients.
    pub fn whole(entry: &Entry) -> Self {
        Self::with_recipients(entry, entry.pending.len())
    }

    /// Makes a view for a list.
    pub fn listed(entry: &Entry) -> Self {
        Self::with_recipients(entry, Self::LISTED_RECIPIENTS)
    }

    fn with_recipients(entry: &Entry, at_most: usize) -> Self {
        let message = &entry.message;
        let pending = &entry.pending;
        let recipient = |(index, failure): &(RecipientIndex, Option<Failure>)| {
            let recipient = message.envelope.recipients.get(usize::from(index.0))?;
            Some(RecipientView {
                address: recipient.forward_path.mailbox().to_string(),
                last_failure: failure.as_ref().map(ToString::to_string),
            })
        };
        Self {
            id: Id(entry.id),
            state: match entry.state {
                EntryState::Held => State::Held,
                EntryState::Leased => State::Leased,
                EntryState::Pending => State::Pending,
            },
            priority: message.priority.number(),
            account: message.account.as_ref().map(ToString::to_string),
            tenant: message.tenant.as_ref().map(ToString::to_string),
            peer: message.peer,
            route: message
                .route
                .upstreams()
                .iter()
                .map(ToString::to_string)
                .collect(),
            sender: message
                .envelope
                .reverse_path
                .mailbox()
                .map(ToString::to_string),
            recipients: pending.iter().take(at_most).filter_map(recipient).collect(),
            recipients_left_out: pending.len().saturating_sub(at_most),
            recipients_done: message
                .envelope
                .recipients
                .len()
                .saturating_sub(pending.len()),
            size: entry.size,
            accepted: Time(message.accepted),
            due: Time(entry.due),
            attempts: entry.attempts,
            message_id: message.message_id.as_deref().map(str::to_owned),
            held: match entry.state {
                EntryState::Held => message.held.as_deref().map(str::to_owned),
                EntryState::Leased | EntryState::Pending => None,
            },
        }
    }
}

/// Sums over the whole spool.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct StatsView {
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

impl From<Stats> for StatsView {
    fn from(stats: Stats) -> Self {
        let Stats {
            messages,
            octets,
            held,
            leased,
            damaged,
        } = stats;
        Self {
            messages,
            octets,
            held,
            leased,
            damaged,
        }
    }
}

/// What a running server is doing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StatusView {
    /// The server itself.
    pub server: ServerView,
    /// Its queue.
    pub queue: StatsView,
}

/// A running server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerView {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub process: u32,
    /// When it was started.
    pub started: Time,
    /// The name in its greeting.
    pub hostname: String,
    /// Its configuration file.
    pub configuration: String,
    /// Where clients connect.
    pub listeners: Vec<ListenerView>,
    /// Where mail goes.
    pub upstreams: Vec<UpstreamView>,
    /// What clients did since the start.
    pub submission: SubmissionView,
    /// What comes to an end, as far as that is known.
    #[serde(default)]
    pub endings: Vec<EndingView>,
}

/// A secret, key or certificate that comes to an end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EndingView {
    /// What it is.
    pub what: String,
    /// Where it stands: a place in a file, or an upstream's host.
    pub place: String,
    /// When it ends.
    pub ends: Time,
    /// What a person must do before.
    pub repair: String,
}

/// What clients did since the start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SubmissionView {
    /// Connections now.
    pub connections: usize,
    /// Messages accepted.
    pub accepted: u64,
    /// Messages refused at their end.
    pub refused: u64,
    /// Senders refused that the account may not send as.
    pub denied: u64,
    /// Messages of such senders that wait for an operator.
    #[serde(default)]
    pub unauthorized_held: u64,
    /// Messages of such senders relayed all the same.
    pub unauthorized_relayed: u64,
    /// Messages whose senders were replaced.
    #[serde(default)]
    pub unauthorized_rewritten: u64,
    /// Wrong user names or passwords.
    pub failed_logins: u64,
    /// Commands and messages refused over a limit of the account or its tenant.
    #[serde(default)]
    pub over_quota: u64,
    /// Messages accepted over such a limit, to be sent later.
    #[serde(default)]
    pub paced: u64,
}

/// A listener.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListenerView {
    /// Its name.
    pub name: String,
    /// How many ports are bound, over all addresses.
    pub ports: usize,
    /// The ports as they are configured: `25, 587, 1025-5000`.
    pub configured: String,
}

/// An upstream.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamView {
    /// Its name.
    pub name: String,
    /// The name of its table: `smtp`.
    #[serde(default)]
    pub kind: String,
    /// Where mail goes: `smtp.example.com:587`.
    #[serde(default)]
    pub place: String,
    /// How it fares, in one word: `good`, `throttled`, `unreachable`, `parked`, `drained`; `stopped` where no server runs.
    pub condition: String,
    /// Since when, unless it is good or drained.
    #[serde(default)]
    pub since: Option<Time>,
    /// Who has parked it: `operator` or `posthouse`.
    #[serde(default)]
    pub parked_by: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// What a person must do, where that is known.
    #[serde(default)]
    pub repair: Option<String>,
    /// How many attempts have failed since then.
    #[serde(default)]
    pub failures: u32,
    /// When an attempt is made again; none where the next message is one, or where an operator decides.
    #[serde(default)]
    pub probe: Option<Time>,
    /// When the certificate ends that it has shown last.
    #[serde(default)]
    pub certificate_ends: Option<Time>,
    /// Which other upstream takes its place while it is drained.
    pub drained_to: Option<String>,
    /// Attempts that run now.
    pub attempts: usize,
    /// Attempts that may run at once now.
    pub limit: usize,
    /// Attempts that may run at once when it copes well.
    pub connections: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_people_see_it() {
        let id = Id(QueueId::from_number(77));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", id.0));
        assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        assert!(serde_json::from_str::<Id>("\"x\"").is_err());
    }

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        let time = Time(Timestamp::from_unix_millis(1_795_243_860_123));
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-21T06:51:00.123Z\"");
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        assert!(serde_json::from_str::<Time>("\"yesterday\"").is_err());
    }
}
