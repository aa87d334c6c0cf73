//! What is kept of alerts and of what is still to be told. One JSON object in one line each.
//!
//! A field may be added; a reader takes what it does not find for absent.

use serde::{Deserialize, Serialize};

use super::raised::{Alert, Kind};
use crate::clock::Timestamp;

/// The longest text of an alert, in characters.
const MAX_TEXT: usize = 1000;

/// Alerts of one kind about one thing, within an hour.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stored {
    /// Its number; a later alert has a larger one.
    pub id: u64,
    /// What it is about.
    pub kind: Kind,
    /// The account whose matter it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The tenant whose matter it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The upstream it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What happened last.
    pub text: String,
    /// When it happened first.
    #[serde(with = "as_text")]
    pub first: Timestamp,
    /// When it happened last.
    #[serde(with = "as_text")]
    pub last: Timestamp,
    /// How often it happened.
    pub count: u64,
    /// How many of these have been told, or are nobody's business.
    #[serde(default)]
    pub told: u64,
    /// When people were told last.
    #[serde(
        default,
        with = "as_text_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub told_at: Option<Timestamp>,
    /// When the first of those happened that have not been told.
    #[serde(
        default,
        with = "as_text_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub untold_since: Option<Timestamp>,
}

/// What alerts have in common of which people are told no more than once an hour.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    kind: Kind,
    about: About,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum About {
    Account(String),
    Server,
    Tenant(String),
    Upstream(String),
}

impl Stored {
    /// Makes the first of its kind. The text is made printable.
    pub(super) fn new(id: u64, alert: Alert, now: Timestamp) -> Self {
        Self {
            id,
            kind: alert.kind,
            account: alert.account.map(|name| name.to_string()),
            tenant: alert.tenant.map(|name| name.to_string()),
            upstream: alert.upstream.map(|name| name.to_string()),
            text: plain(&alert.text),
            first: now,
            last: now,
            count: 1,
            told: 0,
            told_at: None,
            untold_since: Some(now),
        }
    }

    pub(super) fn key(&self) -> Key {
        let about = match (&self.account, &self.upstream, &self.tenant) {
            (Some(account), _, _) => About::Account(account.clone()),
            (None, Some(upstream), _) => About::Upstream(upstream.clone()),
            (None, None, Some(tenant)) => About::Tenant(tenant.clone()),
            (None, None, None) => About::Server,
        };
        Key {
            kind: self.kind,
            about,
        }
    }

    /// Returns how many have not been told.
    pub fn untold(&self) -> u64 {
        self.count.saturating_sub(self.told)
    }

    /// Notes that all of it has been told, or is nobody's business.
    pub(super) fn settle(&mut self) {
        self.told = self.count;
        self.untold_since = None;
    }
}

/// Where an alert goes.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// To a mailbox.
    Mail(String),
    /// To the server's webhook.
    Webhook,
    /// To the webhook of a tenant.
    WebhookOfTenant(String),
}

/// What is told of alerts of one kind about one thing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// The number of the stored alert; the last of several.
    pub id: u64,
    /// What it is about.
    pub kind: Kind,
    /// The account whose matter it is.
    #[serde(default)]
    pub account: Option<String>,
    /// The tenant whose matter it is.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The upstream it is about.
    #[serde(default)]
    pub upstream: Option<String>,
    /// What happened last.
    pub text: String,
    /// When the first of these happened.
    #[serde(with = "as_text")]
    pub first: Timestamp,
    /// When the last of them did.
    #[serde(with = "as_text")]
    pub last: Timestamp,
    /// How many they are.
    pub count: u64,
}

/// Something that is on its way to somebody.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Errand {
    /// Its number.
    pub id: u64,
    /// Where it goes.
    pub target: Target,
    /// When it was made.
    #[serde(with = "as_text")]
    pub made: Timestamp,
    /// What is told.
    pub items: Vec<Item>,
    /// How many items more there are, which are only counted.
    #[serde(default)]
    pub left_out: u64,
    /// How often it has been tried.
    #[serde(default)]
    pub tries: u32,
    /// When it is tried next.
    #[serde(with = "as_text")]
    pub next: Timestamp,
}

/// One line of the file. A later line about the same thing is in the place of an earlier one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// An alert.
    Alert(Stored),
    /// An errand is done, or given up.
    Done(u64),
    /// An errand.
    Errand(Errand),
    /// Up to when messages have been looked at that began to wait then.
    LateUntil(#[serde(with = "as_text")] Timestamp),
}

/// Makes a text fit to be stored, shown and sent (W-02): one line, nothing that commands a terminal or turns the direction
/// of what follows, not too long.
pub(super) fn plain(text: &str) -> String {
    let print = |c: char| {
        let is_odd = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if is_odd { '?' } else { c }
    };
    text.chars().take(MAX_TEXT).map(print).collect()
}

/// Times as people read them.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::clock::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("no time"))
    }
}

/// The same, where there may be none.
mod as_text_if_any {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::clock::Timestamp;

    #[expect(clippy::ref_option, reason = "serde passes references")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = Timestamp::parse(&text);
        time.map(Some).ok_or_else(|| D::Error::custom("no time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_commands_no_terminal_and_begins_no_line() {
        let text = plain("a\r\nBcc: x\u{1b}[31m\u{202e}b\u{9b}é\0");
        assert_eq!(text, "a??Bcc: x?[31m?b?é?");
        assert_eq!(plain(&"é".repeat(5000)).chars().count(), MAX_TEXT);
    }

    #[test]
    fn a_line_of_an_older_program_is_read() {
        let line = r#"{"alert":{"id":7,"kind":"test","text":"x","first":"2026-11-25T09:00:00.000Z",
            "last":"2026-11-25T09:00:01.000Z","count":2,"unknown":1}}"#;
        let Line::Alert(stored) = serde_json::from_str(line).unwrap() else {
            panic!("it is an alert");
        };
        assert_eq!((stored.id, stored.untold()), (7, 2));
        let written = serde_json::to_string(&Line::Alert(stored.clone())).unwrap();
        assert_eq!(
            serde_json::from_str::<Line>(&written).unwrap(),
            Line::Alert(stored)
        );
        let late = Line::LateUntil(Timestamp::from_unix_millis(5));
        let written = serde_json::to_string(&late).unwrap();
        assert_eq!(written, r#"{"late_until":"1970-01-01T00:00:00.005Z"}"#);
    }
}
