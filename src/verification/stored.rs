//! The file of the ledger: one JSON object with a version.

use std::io;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::AccountName;

use super::ledger::{Entry, Proof, Question, Verified};
use super::subject;
use super::token::Digest;

/// The version of the file.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    version: u32,
    senders: Vec<StoredEntry>,
}

/// Times are written as RFC 3339, so that people can read them.
#[derive(Debug, Deserialize, Serialize)]
struct StoredEntry {
    account: String,
    sender: String,
    since: String,
    /// Of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// When the link ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Of a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified: Option<StoredProof>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredProof {
    at: String,
    by: StoredBy,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoredBy {
    Dns,
    Link,
    Operator,
}

/// Reads the file.
pub(super) fn parse(text: &[u8]) -> io::Result<Vec<Entry>> {
    let stored: Stored = serde_json::from_slice(text)?;
    if stored.version > VERSION {
        return Err(io::Error::other("it was written by a newer posthouse"));
    }
    stored.senders.into_iter().map(entry).collect()
}

/// Writes the file.
pub(super) fn write(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let stored = Stored {
        version: VERSION,
        senders: entries.iter().map(stored).collect(),
    };
    let mut text = serde_json::to_vec(&stored)?;
    text.push(b'\n');
    Ok(text)
}

fn entry(stored: StoredEntry) -> io::Result<Entry> {
    let refused = |what: &str| io::Error::other(format!("`{what}` is not understood"));
    let question = match (stored.digest, stored.until, stored.token) {
        (Some(digest), Some(until), None) => Question::Link {
            digest: Digest::parse(&digest).ok_or_else(|| refused("digest"))?,
            until: time(&until)?,
        },
        (None, None, Some(token)) => Question::Record {
            token: token.into(),
        },
        (None, None, None) => Question::Operator,
        (_, _, _) => return Err(refused(&stored.sender)),
    };
    let verified = stored.verified.map(|proof| {
        Ok::<_, io::Error>(Verified {
            at: time(&proof.at)?,
            by: match proof.by {
                StoredBy::Dns => Proof::Dns,
                StoredBy::Link => Proof::Link,
                StoredBy::Operator => Proof::Operator,
            },
        })
    });
    Ok(Entry {
        account: AccountName::parse(&stored.account).map_err(io::Error::other)?,
        subject: subject::parse(&stored.sender).ok_or_else(|| refused(&stored.sender))?,
        since: time(&stored.since)?,
        question,
        verified: verified.transpose()?,
    })
}

fn stored(entry: &Entry) -> StoredEntry {
    let (digest, until, token) = match &entry.question {
        Question::Link { digest, until } => (Some(digest.to_string()), Some(*until), None),
        Question::Operator => (None, None, None),
        Question::Record { token } => (None, None, Some(token.to_string())),
    };
    StoredEntry {
        account: entry.account.to_string(),
        sender: subject::written(&entry.subject),
        since: entry.since.to_string(),
        digest,
        until: until.as_ref().map(ToString::to_string),
        token,
        verified: entry.verified.map(|proof| StoredProof {
            at: proof.at.to_string(),
            by: match proof.by {
                Proof::Dns => StoredBy::Dns,
                Proof::Link => StoredBy::Link,
                Proof::Operator => StoredBy::Operator,
            },
        }),
    }
}

fn time(text: &str) -> io::Result<Timestamp> {
    Timestamp::parse(text).ok_or_else(|| io::Error::other(format!("`{text}` is no time")))
}
