//! One process for each spool.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::settings::OpenError;

/// The lock on a spool's directory, held while this lives. The system ends it with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory where it is missing, its name durable, and takes its lock.
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let missing = missing(directory);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(OpenError::io("create", directory))?;
        sync_names(&names_of(directory, &missing))?;
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(OpenError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Whoever holds the lock may not have written its name yet.
                let _ = file.read_to_string(&mut text);
                return Err(OpenError::Locked {
                    directory: directory.to_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(OpenError::io("lock", path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(OpenError::io("write", path))?;
        Ok(Self { _file: file })
    }
}

/// Returns the folders on the way to `directory`, itself included, that do not exist.
fn missing(directory: &Path) -> Vec<PathBuf> {
    let way = directory.ancestors();
    way.take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_owned)
        .collect()
}

/// Returns the folders that hold the names of those that were missing and, since an earlier start may have been cut
/// short, that of `directory` itself in any case.
fn names_of(directory: &Path, missing: &[PathBuf]) -> Vec<PathBuf> {
    let named = missing.iter().map(PathBuf::as_path);
    let named = named.chain(missing.is_empty().then_some(directory));
    named
        .filter_map(Path::parent)
        .map(|parent| {
            if parent.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                parent.to_owned()
            }
        })
        .collect()
}

/// Makes the names in these folders durable. A folder that may not be read cannot be synced by us either; whoever set
/// it up so has made what is in it.
fn sync_names(folders: &[PathBuf]) -> Result<(), OpenError> {
    for folder in folders {
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                tracing::warn!(folder = %folder.display(), %error, "folder of the spool not synced");
            }
            synced => synced.map_err(OpenError::io("sync", folder))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_that_was_given_a_name_is_synced() {
        let top = tempfile::tempdir().unwrap();
        let spool = top.path().join("a/b/spool");
        let folders = names_of(&spool, &missing(&spool));
        let expected = [top.path().join("a/b"), top.path().join("a")];
        assert_eq!(folders[..2], expected);
        assert_eq!(folders[2..], [top.path()]);
    }

    #[test]
    fn the_name_of_a_directory_that_is_there_is_synced_again() {
        let top = tempfile::tempdir().unwrap();
        assert!(missing(top.path()).is_empty());
        assert_eq!(names_of(&top.path().join("x"), &[]), [top.path()]);
    }

    #[test]
    fn a_name_without_folder_is_in_the_one_we_work_in() {
        assert_eq!(names_of(Path::new("spool"), &[]), [Path::new(".")]);
    }

    #[test]
    fn the_spool_is_made_with_the_folders_above() {
        let top = tempfile::tempdir().unwrap();
        let spool = top.path().join("a/b/spool");
        drop(Lock::take(&spool).unwrap());
        drop(Lock::take(&spool).unwrap());
        assert!(spool.join("lock").exists());
    }

    #[test]
    fn what_cannot_be_synced_is_named() {
        let top = tempfile::tempdir().unwrap();
        let refused = sync_names(&[top.path().join("gone")]);
        assert!(matches!(refused, Err(OpenError::Io { action: "sync", .. })));
    }
}
