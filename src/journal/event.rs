//! What is told of a message. One JSON object in one line each, as it is stored and as `trace --json` prints it.
//!
//! A field may be added; a reader takes what it does not find for absent.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::mail::{Priority, QueueId, TlsVia};

/// How many recipients of a message one event names.
pub const MAX_NAMED: usize = 100;

/// One event of a message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// The message's name. The first field of every line: it is what is searched for.
    #[serde(with = "as_text")]
    pub queue_id: QueueId,
    /// When it happened.
    #[serde(with = "as_text")]
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened to a message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// It was accepted from a client.
    Accepted(Box<Accepted>),
    /// It was tried at an upstream.
    Attempt(Attempt),
    /// What is stored of it is damaged; it has been set aside and is not relayed.
    Damaged,
    /// Its lifetime ended while no upstream could be tried.
    Expired {
        /// What became of its recipients.
        recipients: Vec<RecipientNote>,
        /// How many more there are.
        left_out: usize,
    },
    /// An operator did something to it.
    Operator {
        /// What.
        verb: Deed,
        /// Who: `uid 1000`, or `command line` where no server ran.
        by: String,
        /// The upstreams of a reroute.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        route: Vec<String>,
    },
    /// It is a report about another message.
    Report(Report),
    /// A report about it was sent to its sender.
    Reported {
        /// The report's name in the queue.
        #[serde(with = "as_text")]
        report: QueueId,
    },
}

/// What an operator does to messages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Removed it without a report.
    Delete,
    /// Kept it from being attempted.
    Hold,
    /// Ended a hold.
    Release,
    /// Gave it upstreams of its own, or the account's again.
    Reroute,
    /// Made it due at once.
    Retry,
}

impl Deed {
    /// Returns its name, for the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Reroute => "reroute",
            Self::Retry => "retry",
        }
    }
}

/// How a message came in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Accepted {
    /// The number of the session, as in the log.
    pub session: u64,
    /// The client's address.
    pub peer: IpAddr,
    /// How the session was encrypted.
    pub tls: Option<Encryption>,
    /// Who submitted it.
    pub account: String,
    /// The account's tenant.
    pub tenant: Option<String>,
    /// How the account was recognised: `certificate`, `network`, `operator`, `password` or `token`.
    pub proof: String,
    /// The name of the application password, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_password: Option<String>,
    /// The reverse-path, with its brackets.
    pub reverse_path: String,
    /// The first recipients.
    pub recipients: Vec<String>,
    /// How many more there are.
    pub recipients_left_out: usize,
    /// The octets of header and body.
    pub size: u64,
    /// The value of `Message-ID:`.
    pub message_id: Option<String>,
    /// Why the account may send as this sender: one text for each address that was judged.
    pub allowed: Vec<String>,
    /// What was wrong with the sender, where the message was taken all the same (`on_unauthorized = "alert"` or
    /// `"hold"`).
    pub unauthorized: Option<String>,
    /// Whether it was held from the first (`on_unauthorized = "hold"`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_held: bool,
    /// What became of senders that were not authorized: one text for each that was replaced (`on_unauthorized = "rewrite"`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<String>,
    /// The other messages that its transaction became, since its recipients have different routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub siblings: Vec<String>,
    /// How urgent it is, and why.
    pub priority: PriorityNote,
    /// The upstreams it may take, in failover order.
    pub route: Vec<String>,
    /// When it is due, where its sender asked for a later time.
    #[serde(with = "as_optional_text", default)]
    pub due: Option<Timestamp>,
}

/// A priority and its reason.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PriorityNote {
    /// The effective priority, 1 to 5.
    pub value: u8,
    /// What decided.
    pub basis: PriorityBasis,
    /// What the message asked for, if it did.
    pub claimed: Option<u8>,
    /// The account's own.
    pub own: u8,
}

/// What decided about a priority.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriorityBasis {
    /// The account's own priority, which is the higher one or the only one.
    Account,
    /// The message asked for more than the account may claim.
    Capped,
    /// `Importance:` of the message.
    Importance,
    /// MT-PRIORITY of MAIL, or the field `MT-Priority:`.
    MtPriority,
    /// `Priority:` of the message.
    Priority,
    /// `X-MSMail-Priority:` of the message.
    XMsmailPriority,
    /// `X-Priority:` of the message.
    XPriority,
}

impl PriorityBasis {
    /// Returns the basis that a field of a header is.
    pub fn of_field(name: &str) -> Self {
        match name {
            "Importance" => Self::Importance,
            "Priority" => Self::Priority,
            "X-MSMail-Priority" => Self::XMsmailPriority,
            "X-Priority" => Self::XPriority,
            _ => Self::MtPriority,
        }
    }
}

impl PriorityNote {
    /// Notes how a priority came about: what the message claimed and by what, what it was capped at, and the account's.
    pub fn new(value: Priority, own: Priority, claim: Option<(Priority, PriorityBasis)>) -> Self {
        let basis = match claim {
            Some((claimed, basis)) if claimed == value && value < own => basis,
            Some((claimed, _)) if claimed < value => PriorityBasis::Capped,
            Some(_) | None => PriorityBasis::Account,
        };
        Self {
            value: value.number(),
            basis,
            claimed: claim.map(|(claimed, _)| claimed.number()),
            own: own.number(),
        }
    }
}

/// How a connection was encrypted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Encryption {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl From<TlsVia> for Encryption {
    fn from(tls: TlsVia) -> Self {
        Self {
            version: tls.version.to_owned(),
            cipher: tls.cipher.to_owned(),
        }
    }
}

/// One try at one upstream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// The how manieth attempt that counts.
    pub number: u32,
    /// The upstream's name.
    pub upstream: String,
    /// Its address, or the last one that was tried.
    pub address: Option<SocketAddr>,
    /// What came about there.
    pub channel: Channel,
    /// How the connection was encrypted, where it was.
    pub tls: Option<Encryption>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What became of its recipients.
    pub recipients: Vec<RecipientNote>,
    /// How many more there are.
    pub recipients_left_out: usize,
}

/// What a connection to an upstream was.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// There was none on which mail could be handed over.
    Failed,
    /// Plain text.
    Plain,
    /// Encrypted.
    Tls,
}

/// What became of one recipient.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecipientNote {
    /// The address.
    pub address: String,
    /// What became of it.
    pub fate: RecipientFate,
    /// The upstream's reply, or what went wrong and how far the attempt had come.
    pub text: String,
    /// When it is due again.
    #[serde(
        with = "as_optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub due: Option<Timestamp>,
}

/// What became of a recipient, in a word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientFate {
    /// Given up: refused for good.
    Bounced,
    /// To be tried again.
    Deferred,
    /// Given up: its lifetime is over.
    Expired,
    /// The upstream has it.
    Relayed,
}

/// A report that posthouse sends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The message that it is about.
    #[serde(with = "as_text")]
    pub of: QueueId,
    /// Whom it goes to.
    pub recipient: String,
    /// The octets of header and body.
    pub size: u64,
    /// The upstreams it may take.
    pub route: Vec<String>,
}

/// Values that print and parse.
trait Text: Sized {
    fn parse(text: &str) -> Option<Self>;
}

impl Text for QueueId {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Text for Timestamp {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

mod as_text {
    use std::fmt::Display;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: super::Text, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not understood")))
    }
}

mod as_optional_text {
    use std::fmt::Display;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives it like this")]
    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: super::Text, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let value = T::parse(&text);
        value
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not understood")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_id_stands_first_in_the_line() {
        let record = Record {
            queue_id: QueueId::from_number(77),
            time: Timestamp::from_unix_millis(1_795_243_860_123),
            event: Event::Damaged,
        };
        let line = serde_json::to_string(&record).unwrap();
        let expected = format!(
            r#"{{"queue_id":"{}","time":"2026-11-21T06:51:00.123Z","kind":"damaged"}}"#,
            record.queue_id
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let note = RecipientNote {
            address: "b@example.net".to_owned(),
            fate: RecipientFate::Deferred,
            text: "giving the recipient: no answer in time".to_owned(),
            due: Some(Timestamp::from_unix_millis(5)),
        };
        let attempt = Attempt {
            number: 3,
            upstream: "main".to_owned(),
            address: Some(([192, 0, 2, 1], 587).into()),
            channel: Channel::Plain,
            tls: None,
            duration_ms: 12,
            recipients: vec![note],
            recipients_left_out: 0,
        };
        for event in [
            Event::Attempt(attempt),
            Event::Damaged,
            Event::Operator {
                verb: Deed::Reroute,
                by: "uid 1000".to_owned(),
                route: vec!["spare".to_owned()],
            },
            Event::Reported {
                report: QueueId::from_number(9),
            },
        ] {
            let record = Record {
                queue_id: QueueId::from_number(1),
                time: Timestamp::from_unix_millis(9),
                event,
            };
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }

    #[test]
    fn a_priority_tells_what_decided() {
        use Priority::{High, Low, Normal, VeryHigh};
        let basis = |value, own, claim: Option<Priority>| {
            let claim = claim.map(|claimed| (claimed, PriorityBasis::XPriority));
            PriorityNote::new(value, own, claim).basis
        };
        assert_eq!(basis(Normal, Normal, None), PriorityBasis::Account);
        assert_eq!(basis(Normal, Normal, Some(Low)), PriorityBasis::Account);
        assert_eq!(basis(High, Normal, Some(High)), PriorityBasis::XPriority);
        assert_eq!(basis(High, Normal, Some(VeryHigh)), PriorityBasis::Capped);
    }
}
