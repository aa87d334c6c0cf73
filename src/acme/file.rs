//! Files that only the server's user can read, there whole or not at all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::durable;

/// Why a file of this module is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is damaged, or none of ours.
    #[error("the file {path} is not understood")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the file {path} cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A newer posthouse has written the file.
    #[error("the file {path} has version {found}; this posthouse knows version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// The version of all files that is written.
pub(super) const VERSION: u64 = 1;

/// The largest file that is read, in octets.
const MAX_FILE: u64 = 256 << 10;

/// Reads a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let failed = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Zeroizing::new(String::new());
    match file.take(MAX_FILE).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(FileError::Damaged {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file durably: after a crash the old one is there or the new one. Makes the folder where it is missing.
pub(super) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    durable::make_folder_of(path)
        .and_then(|()| durable::replace(path, text.as_bytes()))
        .map_err(|source| FileError::Io {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_its_owner_can_read_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme/account.json");
        write(&path, "secret").unwrap();
        write(&path, "other").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "other");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_a_crash_left_behind_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        File::create(folder.path().join("account.json.new")).unwrap();
        assert!(read(&path).unwrap().is_none());
        write(&path, "whole").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "whole");
    }
}
