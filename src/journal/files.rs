//! The files of the journal: names, order, age and removal.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Timestamp;

/// What every name ends with.
const SUFFIX: &str = ".jsonl";

/// The version of what is written here, in the first line of each file.
pub(super) const VERSION: u32 = 1;

/// What the first line begins with; the version and `}` follow.
pub(super) const OPENING: &[u8] = b"{\"posthouse_journal\":";

/// A file of the journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Part {
    /// When it was begun; its name.
    pub(super) began: Timestamp,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// When it was last written to.
    pub(super) ended: Timestamp,
}

/// Lists the files, the oldest first. A folder that is not there has none.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Part>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(began) = name.to_str().and_then(began) else {
            continue;
        };
        // One that has just been removed is no longer there.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let modified = metadata.modified()?;
        let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        parts.push(Part {
            began,
            path: entry.path(),
            size: metadata.len(),
            ended: Timestamp::default().after(age),
        });
    }
    parts.sort_by_key(|part| part.began);
    Ok(parts)
}

/// Returns the time in a file's name.
fn began(name: &str) -> Option<Timestamp> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
    let millis = is_number.then(|| digits.parse().ok()).flatten()?;
    Some(Timestamp::from_unix_millis(millis))
}

/// Makes a file with its first line. No file that is there is ever written to again: its end may be torn.
pub(super) fn create(directory: &Path, now: Timestamp) -> io::Result<(File, Part)> {
    if !directory.is_dir() {
        DirBuilder::new().mode(0o700).create(directory)?;
    }
    let mut began = now;
    loop {
        let path = directory.join(format!("{:015}{SUFFIX}", began.unix_millis()));
        let options = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = match options {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                began = began.after(Duration::from_millis(1));
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut first = OPENING.to_vec();
        first.extend_from_slice(format!("{VERSION}}}\n").as_bytes());
        if let Err(error) = file.write_all(&first) {
            // An empty file would say nothing; where it cannot be removed either it does no harm.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let part = Part {
            began,
            path,
            size: first.len() as u64,
            ended: began,
        };
        return Ok((file, part));
    }
}

/// Removes files last written to before `oldest`, then the oldest until all have at most `max_size` octets; never the
/// one at `current`.
pub(super) fn prune(
    directory: &Path,
    current: Option<&Path>,
    oldest: Timestamp,
    max_size: u64,
) -> io::Result<()> {
    let parts = list(directory)?;
    let mut size: u64 = parts.iter().map(|part| part.size).sum();
    for part in parts {
        if current == Some(part.path.as_path()) {
            continue;
        }
        if part.ended < oldest || size > max_size {
            fs::remove_file(&part.path)?;
            size = size.saturating_sub(part.size);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    fn began_at(folder: &Path) -> Vec<u64> {
        let parts = list(folder).unwrap().into_iter();
        parts.map(|part| part.began.unix_millis()).collect()
    }

    #[test]
    fn a_file_is_never_opened_twice() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), at(5)).unwrap();
        create(folder.path(), at(5)).unwrap();
        assert_eq!(began_at(folder.path()), [5, 6]);
    }

    #[test]
    fn the_oldest_files_go_first_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        for millis in [3, 1, 2] {
            let (mut file, _) = create(folder.path(), at(millis)).unwrap();
            file.write_all(&[b'x'; 1000]).unwrap();
        }
        prune(folder.path(), None, at(0), 2100).unwrap();
        assert_eq!(began_at(folder.path()), [2, 3]);
    }

    #[test]
    fn old_files_go_and_the_current_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (_, first) = create(folder.path(), at(1)).unwrap();
        create(folder.path(), at(2)).unwrap();
        prune(folder.path(), Some(&first.path), Timestamp::MAX, u64::MAX).unwrap();
        assert_eq!(began_at(folder.path()), [1]);
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["notes.jsonl", "1.txt", "-1.jsonl"] {
            File::create(folder.path().join(name)).unwrap();
        }
        prune(folder.path(), None, Timestamp::MAX, 0).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
