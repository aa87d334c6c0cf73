//! Which upstreams are drained, and which others take their place: a small file in the data directory, so that a
//! restart in the middle of somebody's maintenance does not end it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::identity::UpstreamName;

/// The file name in the data directory.
const FILE: &str = "drained";

/// The version of the file.
const VERSION: u32 = 1;

/// The drained upstreams.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drained {
    path: PathBuf,
    upstreams: BTreeMap<UpstreamName, Option<UpstreamName>>,
}

/// The file.
#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    version: u32,
    upstreams: Vec<StoredUpstream>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredUpstream {
    name: String,
    to: Option<String>,
}

impl Drained {
    /// Reads the file of a data directory. Where it is not there, nothing is drained.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        let mut drained = Self::none(data_dir);
        let text = match fs::read(&drained.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(drained),
            Err(error) => return Err(error),
        };
        let stored: Stored = serde_json::from_slice(&text)?;
        if stored.version > VERSION {
            return Err(io::Error::other("it was written by a newer posthouse"));
        }
        for upstream in stored.upstreams {
            let name = parse(&upstream.name)?;
            let to = upstream.to.as_deref().map(parse).transpose()?;
            drained.upstreams.insert(name, to);
        }
        Ok(drained)
    }

    /// Says that nothing is drained; the file is left as it is.
    pub fn none(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE),
            upstreams: BTreeMap::new(),
        }
    }

    /// Drains an upstream; `to` takes its place. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn begin(&mut self, upstream: UpstreamName, to: Option<UpstreamName>) -> io::Result<()> {
        let mut changed = self.clone();
        changed.upstreams.insert(upstream, to);
        changed.save()?;
        *self = changed;
        Ok(())
    }

    /// Ends the draining of an upstream; returns whether it was drained. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn end(&mut self, upstream: &str) -> io::Result<bool> {
        let mut changed = self.clone();
        if changed.upstreams.remove(upstream).is_none() {
            return Ok(false);
        }
        changed.save()?;
        *self = changed;
        Ok(true)
    }

    /// Returns the drained upstreams.
    pub fn upstreams(&self) -> BTreeSet<UpstreamName> {
        self.upstreams.keys().cloned().collect()
    }

    /// Returns which upstream takes the place of which.
    pub fn stand_ins(&self) -> BTreeMap<UpstreamName, UpstreamName> {
        let all = self.upstreams.iter();
        all.filter_map(|(name, to)| Some((name.clone(), to.clone()?)))
            .collect()
    }

    /// Returns which upstream takes the place of this one.
    pub fn stand_in(&self, upstream: &UpstreamName) -> Option<&UpstreamName> {
        self.upstreams.get(upstream)?.as_ref()
    }

    fn save(&self) -> io::Result<()> {
        let upstreams = self.upstreams.iter().map(|(name, to)| StoredUpstream {
            name: name.to_string(),
            to: to.as_ref().map(ToString::to_string),
        });
        let stored = Stored {
            version: VERSION,
            upstreams: upstreams.collect(),
        };
        let temporary = self.path.with_extension("tmp");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

fn parse(name: &str) -> io::Result<UpstreamName> {
    UpstreamName::parse(name).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UpstreamName {
        UpstreamName::parse(text).unwrap()
    }

    #[test]
    fn what_is_drained_is_drained_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut drained = Drained::load(folder.path()).unwrap();
        drained.begin(name("main"), Some(name("spare"))).unwrap();
        drained.begin(name("other"), None).unwrap();
        let mut again = Drained::load(folder.path()).unwrap();
        assert_eq!(again, drained);
        assert_eq!(again.stand_in(&name("main")), Some(&name("spare")));
        assert!(again.end("main").unwrap());
        assert!(!again.end("main").unwrap());
        let last = Drained::load(folder.path()).unwrap();
        assert_eq!(last.upstreams(), BTreeSet::from([name("other")]));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join(FILE)).unwrap();
        file.write_all(b"{\"version\":2,\"upstreams\":[]}").unwrap();
        assert!(Drained::load(folder.path()).is_err());
    }

    #[test]
    fn nothing_changes_where_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut drained = Drained::none(&folder.path().join("missing"));
        assert!(drained.begin(name("main"), None).is_err());
        assert!(drained.upstreams().is_empty());
    }
}
