//! The file of alerts: a version, then one line for each change, added at the end; written anew when most of it is no
//! longer of use.
//!
//! ```text
//! {"posthouse_alerts":1}
//! {"alert":{"id":1,"kind":"upstream_parked","upstream":"main",…}}
//! ```

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::stored::Line;
use crate::durable::Replacement;

/// The name of the file in the data directory.
pub const FILE: &str = "alerts";

/// The version that is written.
const VERSION: u32 = 1;

/// The largest file that is read, in octets.
const MAX_FILE: u64 = 256 << 20;

/// How many lines are added before the file is written anew, unless it holds more.
const ADDED: usize = 5000;

/// The first line.
#[derive(Deserialize, Serialize)]
struct Head {
    posthouse_alerts: u32,
}

/// Why a file of alerts is not used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is none of ours.
    #[error("it does not begin as a file of alerts does")]
    Foreign,
    /// A newer posthouse has written it.
    #[error("it has format {found}, this posthouse knows formats up to {VERSION}")]
    Version {
        /// Its format.
        found: u32,
    },
}

/// Reads a file of alerts; one that does not exist has none. Lines that are damaged, as the last one is after a power
/// cut, are passed over. Blocks on the disk.
///
/// # Errors
/// [`LoadError`].
pub fn load(path: &Path) -> Result<Vec<Line>, LoadError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut octets = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut octets)?;
    if octets.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = octets.split(|octet| *octet == b'\n');
    let head = lines.next().unwrap_or_default();
    let head: Head = serde_json::from_slice(head).map_err(|_| LoadError::Foreign)?;
    match head.posthouse_alerts {
        1..=VERSION => Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()),
        found => Err(LoadError::Version { found }),
    }
}

/// Writes the file of alerts.
#[derive(Debug)]
pub struct AlertFile {
    path: PathBuf,
    /// Where lines are added; `None` where the file must be written whole first.
    end: Option<File>,
    /// Lines that have been added since it was written whole.
    added: usize,
    /// Lines that it had then.
    whole: usize,
}

impl AlertFile {
    /// Makes a writer that writes the file whole the first time.
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            end: None,
            added: 0,
            whole: 0,
        }
    }

    /// Returns whether the next write must be of everything.
    pub fn wants_all(&self) -> bool {
        self.end.is_none() || self.added > ADDED.max(2 * self.whole)
    }

    /// Adds lines. On stable storage when it returns. Blocks on the disk.
    ///
    /// # Errors
    /// The next write must be of everything: what is at the end of the file is not known.
    pub fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut file = self
            .end
            .take()
            .ok_or_else(|| io::Error::other("not open"))?;
        file.write_all(&encoded(lines)?)?;
        file.sync_data()?;
        self.added += lines.len();
        self.end = Some(file);
        Ok(())
    }

    /// Writes everything to another file, and puts that in the place of the one before. On stable storage when it
    /// returns. Blocks on the disk.
    ///
    /// # Errors
    /// The file is as it was.
    pub fn rewrite(&mut self, lines: &[Line]) -> io::Result<()> {
        self.end = None;
        let mut file = Replacement::begin(&self.path)?;
        let mut octets = serde_json::to_vec(&Head {
            posthouse_alerts: VERSION,
        })?;
        octets.push(b'\n');
        octets.extend(encoded(lines)?);
        file.write_all(&octets)?;
        self.end = Some(file.finish()?);
        self.added = 0;
        self.whole = lines.len();
        Ok(())
    }
}

fn encoded(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut octets, line)?;
        octets.push(b'\n');
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::alert::{Alert, Kind, Ledger, Settings};
    use crate::clock::Timestamp;

    fn ledger(texts: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for (hours, text) in (0_u32..).zip(texts) {
            let settings = Settings {
                keep: std::time::Duration::from_hours(1000),
                ..Settings::default()
            };
            let now = Timestamp::default().after(std::time::Duration::from_hours(2) * hours);
            ledger.note(Alert::new(Kind::SystemError, *text), &settings, now);
        }
        ledger
    }

    fn put(path: &Path, octets: &[u8]) {
        File::create(path).unwrap().write_all(octets).unwrap();
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        let ledger = Ledger::restore(lines);
        ledger.stored().map(|stored| stored.text.clone()).collect()
    }

    #[test]
    fn what_is_added_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(load(&path).unwrap().is_empty());
        let mut file = AlertFile::new(path.clone());
        assert!(file.wants_all() && file.append(&[]).is_err());
        let mut all = ledger(&["one"]);
        file.rewrite(&all.whole()).unwrap();
        all.take_changes();
        let two = Alert::new(Kind::Test, "two");
        all.note(two, &Settings::default(), Timestamp::default());
        file.append(&all.take_changes()).unwrap();
        assert_eq!(texts(load(&path).unwrap()), ["one", "two"]);
        assert!(!file.wants_all());
    }

    #[test]
    fn a_file_cut_off_anywhere_gives_all_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut file = AlertFile::new(path.clone());
        file.rewrite(&ledger(&["one", "two"]).whole()).unwrap();
        let octets = fs::read(&path).unwrap();
        let head = octets.iter().position(|octet| *octet == b'\n').unwrap();
        for cut in head..octets.len() {
            put(&path, &octets[..cut]);
            let found = texts(load(&path).unwrap());
            assert!(
                ["one", "two"].starts_with(&found.iter().map(|text| &**text).collect::<Vec<_>>())
            );
        }
    }

    #[test]
    fn a_file_of_a_newer_program_or_none_of_ours_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        put(&path, b"{\"posthouse_alerts\":9}\n{}\n");
        assert!(matches!(load(&path), Err(LoadError::Version { found: 9 })));
        put(&path, b"hello\n");
        assert!(matches!(load(&path), Err(LoadError::Foreign)));
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        // A folder is not replaced by a file.
        fs::create_dir(&path).unwrap();
        let mut file = AlertFile::new(path.clone());
        assert!(file.rewrite(&ledger(&["one"]).whole()).is_err());
        assert!(file.wants_all());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "the folder alone");
    }

    #[test]
    fn it_is_written_anew_when_most_of_it_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AlertFile::new(folder.path().join(FILE));
        file.rewrite(&[]).unwrap();
        file.append(&vec![Line::Done(1); ADDED]).unwrap();
        assert!(!file.wants_all());
        file.append(&[Line::Done(1)]).unwrap();
        assert!(file.wants_all());
    }
}
