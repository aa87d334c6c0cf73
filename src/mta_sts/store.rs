//! The file that keeps policies over a restart: without it the first connection after one could be led astray.
//!
//! JSON, written whole and atomically:
//!
//! ```json
//! { "posthouse": "mta-sts policies", "version": 1,
//!   "policies": [{ "domain": "example.com", "id": "2026", "fetched": 1795000000000, "policy": "version: STSv1\n…" }] }
//! ```
//!
//! `fetched` is in milliseconds since 1970, `policy` the policy file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cache::{Cache, Entry};
use super::policy::Policy;
use crate::clock::Timestamp;
use crate::durable;

/// Why a file of policies is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// It was damaged, or is none of ours.
    #[error("it is not understood")]
    Damaged,
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A newer posthouse has written it.
    #[error("it has version {0}, this posthouse knows versions up to {VERSION}")]
    Version(u32),
}

/// The version that is written.
const VERSION: u32 = 1;

/// What tells the file from others.
const KIND: &str = "mta-sts policies";

/// The largest file that is read, in octets.
const MAX_FILE: u64 = 64 << 20;

#[derive(Deserialize, Serialize)]
struct Body {
    posthouse: String,
    version: u32,
    #[serde(default)]
    policies: Vec<Stored>,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    domain: Box<str>,
    id: Box<str>,
    fetched: u64,
    policy: String,
}

/// Reads a file; one that does not exist has no policies. Blocks on the disk.
///
/// # Errors
/// [`LoadError`].
pub(super) fn load(path: &Path) -> Result<Cache, LoadError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Cache::default()),
        opened => opened?,
    };
    let mut octets = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut octets)?;
    let body: Body = serde_json::from_slice(&octets).map_err(|_| LoadError::Damaged)?;
    match body.version {
        _ if body.posthouse != KIND => return Err(LoadError::Damaged),
        VERSION => {}
        newer => return Err(LoadError::Version(newer)),
    }
    let mut cache = Cache::default();
    let mut policies = body.policies;
    // In this order none of them makes the cache forget one that still counts.
    policies.sort_by_key(|stored| stored.fetched);
    for stored in policies {
        let policy = Policy::parse(stored.policy.as_bytes()).map_err(|_| LoadError::Damaged)?;
        let entry = Entry {
            policy: Arc::new(policy),
            id: stored.id,
            fetched: Timestamp::from_unix_millis(stored.fetched),
        };
        cache.put(&stored.domain, entry);
    }
    Ok(cache)
}

/// Writes a file, and puts it in the place of the one before. Blocks on the disk.
pub(super) fn write(cache: &Cache, path: &Path) -> io::Result<()> {
    let stored = |(domain, entry): (&str, &Entry)| Stored {
        domain: domain.into(),
        id: entry.id.clone(),
        fetched: entry.fetched.unix_millis(),
        policy: entry.policy.to_string(),
    };
    let body = Body {
        posthouse: KIND.to_owned(),
        version: VERSION,
        policies: cache.entries().map(stored).collect(),
    };
    let text = serde_json::to_vec_pretty(&body)?;
    durable::replace(path, &text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mta-sts.json");
        assert_eq!(load(&path).unwrap(), Cache::default());
        let mut cache = Cache::default();
        let file = "version: STSv1\nmode: enforce\nmx: *.example.net\nmax_age: 604800\n";
        let entry = |fetched| Entry {
            policy: Arc::new(Policy::parse(file.as_bytes()).unwrap()),
            id: "20261125".into(),
            fetched: Timestamp::from_unix_millis(fetched),
        };
        cache.put("a.example", entry(1_795_000_000_000));
        cache.put("b.example", entry(1_795_000_000_001));
        write(&cache, &path).unwrap();
        assert_eq!(load(&path).unwrap(), cache);
    }

    fn put(path: &Path, text: &str) {
        let mut file = File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_damaged_file_and_a_newer_one_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mta-sts.json");
        for text in [
            "",
            "{}",
            r#"{"posthouse": "refresh token", "version": 1}"#,
            r#"{"posthouse": "mta-sts policies", "version": 1, "policies": [{"domain": "a", "id": "1", "fetched": 1, "policy": ""}]}"#,
        ] {
            put(&path, text);
            assert!(matches!(load(&path), Err(LoadError::Damaged)), "{text}");
        }
        let newer = r#"{"posthouse": "mta-sts policies", "version": 2, "new": 1}"#;
        put(&path, newer);
        assert!(matches!(load(&path), Err(LoadError::Version(2))));
    }
}
