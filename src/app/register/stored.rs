//! The file of what is kept of the upstreams: one JSON object with a version.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::UpstreamName;
use crate::relay::{History, Park};
use crate::schedule::{Parkings, Reason, Span};

use super::{Drained, Entry};

/// The version of the file, and of the one before it.
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    version: u32,
    upstreams: Vec<StoredUpstream>,
}

/// Times are written as RFC 3339, so that people can read them.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct StoredUpstream {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<StoredDrain>,
    /// By an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<StoredPark>,
    /// For a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<StoredPark>,
    /// Since when it is parked by whomever.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked_since: Option<String>,
    /// When it was parked before: from, until.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parkings: Vec<(String, String)>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredDrain {
    to: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredPark {
    since: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repair: Option<String>,
}

/// The file that earlier versions kept.
#[derive(Debug, Deserialize)]
struct StoredDrained {
    version: u32,
    upstreams: Vec<StoredDrainedUpstream>,
}

#[derive(Debug, Deserialize)]
struct StoredDrainedUpstream {
    name: String,
    to: Option<String>,
}

/// Reads the file.
pub(super) fn parse(text: &[u8]) -> io::Result<BTreeMap<UpstreamName, Entry>> {
    let stored: Stored = serde_json::from_slice(text)?;
    check(stored.version)?;
    let entries = stored.upstreams.into_iter();
    entries
        .map(|stored| Ok((name(&stored.name)?, entry(stored)?)))
        .collect()
}

/// Reads the file that earlier versions kept.
pub(super) fn parse_drained(text: &[u8]) -> io::Result<BTreeMap<UpstreamName, Entry>> {
    let stored: StoredDrained = serde_json::from_slice(text)?;
    check(stored.version)?;
    let entries = stored.upstreams.into_iter().map(|upstream| {
        let to = upstream.to.as_deref().map(name).transpose()?;
        let entry = Entry {
            drained: Some(Drained { to }),
            ..Entry::default()
        };
        Ok((name(&upstream.name)?, entry))
    });
    entries.collect()
}

/// Writes the file.
pub(super) fn write(upstreams: &BTreeMap<UpstreamName, Entry>) -> io::Result<Vec<u8>> {
    let stored = Stored {
        version: VERSION,
        upstreams: upstreams
            .iter()
            .map(|(name, entry)| stored(name, entry))
            .collect(),
    };
    let mut text = serde_json::to_vec(&stored)?;
    text.push(b'\n');
    Ok(text)
}

fn check(version: u32) -> io::Result<()> {
    if version > VERSION {
        return Err(io::Error::other("it was written by a newer posthouse"));
    }
    Ok(())
}

fn entry(stored: StoredUpstream) -> io::Result<Entry> {
    let to = |drain: StoredDrain| drain.to.as_deref().map(name).transpose();
    let ended = stored.parkings.iter().map(|(from, until)| {
        Ok(Span {
            from: time(from)?,
            until: time(until)?,
        })
    });
    let ended: Vec<_> = ended.collect::<io::Result<_>>()?;
    let open = stored.parked_since.as_deref().map(time).transpose()?;
    let drained = stored.drained.map(to).transpose()?;
    Ok(Entry {
        drained: drained.map(|to| Drained { to }),
        parked: stored.parked.map(park).transpose()?,
        history: History {
            parkings: Parkings::restore(ended, open),
            failure: stored.failed.map(park).transpose()?,
        },
    })
}

fn park(stored: StoredPark) -> io::Result<Park> {
    Ok(Park {
        since: time(&stored.since)?,
        reason: Reason {
            text: stored.reason.into(),
            repair: stored.repair.map(Into::into),
        },
    })
}

fn stored(name: &UpstreamName, entry: &Entry) -> StoredUpstream {
    let parkings = &entry.history.parkings;
    let ended = parkings.ended().iter();
    StoredUpstream {
        name: name.to_string(),
        drained: entry.drained.as_ref().map(|drained| StoredDrain {
            to: drained.to.as_ref().map(ToString::to_string),
        }),
        parked: entry.parked.as_ref().map(stored_park),
        failed: entry.history.failure.as_ref().map(stored_park),
        parked_since: parkings.open().as_ref().map(ToString::to_string),
        parkings: ended
            .map(|span| (span.from.to_string(), span.until.to_string()))
            .collect(),
    }
}

fn stored_park(park: &Park) -> StoredPark {
    StoredPark {
        since: park.since.to_string(),
        reason: park.reason.text.to_string(),
        repair: park.reason.repair.as_ref().map(ToString::to_string),
    }
}

fn name(text: &str) -> io::Result<UpstreamName> {
    UpstreamName::parse(text).map_err(io::Error::other)
}

fn time(text: &str) -> io::Result<Timestamp> {
    Timestamp::parse(text).ok_or_else(|| io::Error::other(format!("`{text}` is no time")))
}
