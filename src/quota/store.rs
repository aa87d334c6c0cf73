//! The file of the counts.
//!
//! Text, so that a person can read it, and written whole:
//!
//! ```text
//! posthouse quota 1
//! written 1795000000000
//! account alice messages 60000 1794999970000:3 1794999999000:1
//! tenant acme size 86400000 1794999999000:52428800
//! ```
//!
//! A line for each count: whose, of what, the span of its rate in milliseconds, and when how much was counted, oldest
//! first, in civil time as milliseconds since 1970.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::limits::Measure;
use super::meter::Record;
use super::quotas::{Owner, Quotas};
use crate::clock::Timestamp;
use crate::durable::Replacement;
use crate::identity::{AccountName, TenantName};
use crate::schedule::Counted;

/// The first word of the file but for its version.
const MAGIC: &str = "posthouse quota ";

/// The version that is written.
const VERSION: u32 = 1;

/// The largest file that is read, in octets: 100,000 accounts with several rates each, all of them busy.
const MAX_FILE: u64 = 1 << 30;

/// How many accounts are looked at with the counts locked.
const PORTION: usize = 256;

/// What a file had.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Stored {
    written: Timestamp,
    counts: Vec<(Owner, Record)>,
}

/// Why a file of counts is not used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was damaged, or is none of ours.
    #[error("line {line} is not understood")]
    Damaged {
        /// Where, from 1.
        line: usize,
    },
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A newer posthouse has written it.
    #[error("it has format {found}, this posthouse knows formats up to {VERSION}")]
    Version {
        /// Its format.
        found: u32,
    },
}

/// Reads a file of counts; one that does not exist has none. Blocks on the disk.
///
/// # Errors
/// [`LoadError`].
pub fn load(path: &Path) -> Result<Stored, LoadError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    parse(&text)
}

impl Stored {
    /// Counts it, for the accounts and tenants that are still there.
    pub fn restore(self, quotas: &Quotas) {
        let (_, civil) = quotas.times();
        // Time has not gone back; the clock has been set.
        let ahead = self.written.since(civil);
        let mut counts = self.counts.into_iter().peekable();
        while let Some((owner, record)) = counts.next() {
            let mut records = vec![back_by(ahead, record)];
            while let Some((_, record)) = counts.next_if(|(next, _)| *next == owner) {
                records.push(back_by(ahead, record));
            }
            quotas.restore(owner, &records);
        }
    }
}

/// Writes the counts to a file, and puts it in the place of the one before. Blocks on the disk.
pub(super) fn write(quotas: &Quotas, path: &Path) -> io::Result<()> {
    let mut file = io::BufWriter::new(Replacement::begin(path)?);
    let (_, civil) = quotas.times();
    writeln!(file, "{MAGIC}{VERSION}\nwritten {}", civil.unix_millis())?;
    for owners in quotas.owners().chunks(PORTION) {
        file.write_all(lines(quotas, owners).as_bytes())?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.finish().map(drop)
}

fn lines(quotas: &Quotas, owners: &[Owner]) -> String {
    let (now, civil) = quotas.times();
    let mut text = String::new();
    for (owner, records) in quotas.records(owners) {
        let (kind, name) = match &owner {
            Owner::Account(name) => ("account", name.as_str()),
            Owner::Tenant(name) => ("tenant", name.as_str()),
        };
        for record in records {
            let (measure, span) = (word(record.measure), record.span.as_millis());
            // Writing to a string does not fail.
            let _ = write!(text, "{kind} {name} {measure} {span}");
            for Counted { at, amount } in record.counted {
                let at = moved(at, now, civil).unix_millis();
                let _ = write!(text, " {at}:{amount}");
            }
            text.push('\n');
        }
    }
    text
}

/// Moves a time along with `from`, as `from` becomes `to`.
fn moved(time: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    if time >= from {
        return to.after(time.since(from));
    }
    let before = u64::try_from(from.since(time).as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_millis(to.unix_millis().saturating_sub(before))
}

fn back_by(ahead: Duration, mut record: Record) -> Record {
    let back = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
    for counted in &mut record.counted {
        counted.at = Timestamp::from_unix_millis(counted.at.unix_millis().saturating_sub(back));
    }
    record
}

fn parse(text: &str) -> Result<Stored, LoadError> {
    let mut lines = text.lines().zip(1..);
    let damaged = |line| LoadError::Damaged { line };
    let version = lines.next().and_then(|(line, _)| line.strip_prefix(MAGIC));
    let found = version.and_then(|version| version.parse().ok());
    match found.ok_or(damaged(1))? {
        VERSION => {}
        found if found > VERSION => return Err(LoadError::Version { found }),
        _ => return Err(damaged(1)),
    }
    let written = lines
        .next()
        .and_then(|(line, _)| line.strip_prefix("written "));
    let written = written
        .and_then(|millis| millis.parse().ok())
        .ok_or(damaged(2))?;
    let counts = lines.map(|(line, number)| parse_count(line).ok_or(damaged(number)));
    Ok(Stored {
        written: Timestamp::from_unix_millis(written),
        counts: counts.collect::<Result<_, _>>()?,
    })
}

fn parse_count(line: &str) -> Option<(Owner, Record)> {
    let mut words = line.split(' ');
    let (kind, name) = (words.next()?, words.next()?);
    let owner = match kind {
        "account" => Owner::Account(AccountName::parse(name).ok()?),
        "tenant" => Owner::Tenant(TenantName::parse(name).ok()?),
        _ => return None,
    };
    let measure = words.next()?;
    let measure = Measure::ALL
        .into_iter()
        .find(|known| word(*known) == measure)?;
    let span = Duration::from_millis(words.next()?.parse().ok()?);
    let counted = words.map(|entry| {
        let (at, amount) = entry.split_once(':')?;
        Some(Counted {
            at: Timestamp::from_unix_millis(at.parse().ok()?),
            amount: amount.parse().ok()?,
        })
    });
    let record = Record {
        measure,
        span,
        counted: counted.collect::<Option<_>>()?,
    };
    Some((owner, record))
}

/// The word of the file, which is that of the configuration.
fn word(measure: Measure) -> &'static str {
    match measure {
        Measure::Messages => "messages",
        Measure::Octets => "size",
        Measure::Recipients => "recipients",
    }
}

#[cfg(test)]
mod tests;
