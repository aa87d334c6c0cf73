//! Files that are replaced as a whole: after a crash the old one is there or the new one, never a part.
//!
//! The new octets go to a file of their own beside the old one, which only its owner can read, and onto stable storage; then
//! that file takes the place of the old one. The folder is locked meanwhile, so that processes take turns; what one left
//! that was killed is removed by the next. Everything here that is not async blocks on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Replaces a file, or makes it. On stable storage when it returns.
///
/// # Errors
/// The file is as it was, or, where only its folder could not be synced, the new one, which a crash may take back.
pub fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut replacement = Replacement::begin(path)?;
    replacement.write_all(octets)?;
    replacement.finish().map(drop)
}

/// Reads a file of text, at most `max` octets of it; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn read(path: &Path, max: u64) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(max).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Writes a file by `write` now and then until it is stopped, then once more. Where it cannot be written, the log tells once
/// that `what` is not, until it can. `write` may block on the disk, and does nothing where nothing has changed.
pub async fn keep_written<W>(what: &str, every: Duration, stop: CancellationToken, write: W)
where
    W: Fn() -> io::Result<()> + Clone + Send + 'static,
{
    let mut is_failing = false;
    loop {
        let pause = stop.run_until_cancelled(tokio::time::sleep(every)).await;
        let written = tokio::task::spawn_blocking(write.clone()).await;
        let written = written.map_err(io::Error::other).flatten();
        if let Err(error) = &written
            && !is_failing
        {
            tracing::warn!(%error, "{what} not written");
        }
        is_failing = written.is_err();
        if pause.is_none() {
            return;
        }
    }
}

/// Makes the folder of a file, and those above it, for their owner alone; what is there stays as it is.
///
/// # Errors
/// Those of making it.
pub fn make_folder_of(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder_of(path))
}

/// Opens the folder of a file and locks it, until the result is dropped, against others that replace files in it. Waits for
/// them.
///
/// # Errors
/// Those of opening and locking.
pub fn lock_folder_of(path: &Path) -> io::Result<File> {
    let folder = File::open(folder_of(path))?;
    folder.lock()?;
    Ok(folder)
}

/// Returns the folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file that is being written, to take the place of another. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct Replacement {
    file: File,
    path: PathBuf,
    temporary: Temporary,
    // Dropped last, so that the lock outlives what it protects.
    folder: File,
}

impl Replacement {
    /// Begins a file for this path, with mode 600. Waits for others that replace files in the same folder.
    ///
    /// # Errors
    /// Those of making it.
    pub fn begin(path: &Path) -> io::Result<Self> {
        Self::begin_under(lock_folder_of(path)?, path)
    }

    /// Begins a file for this path, whose folder is locked.
    ///
    /// # Errors
    /// Those of making it.
    pub fn begin_under(folder: File, path: &Path) -> io::Result<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = Temporary(PathBuf::from(temporary));
        temporary.remove()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        Ok(Self {
            file: options.open(&temporary.0)?,
            path: path.to_owned(),
            temporary,
            folder,
        })
    }

    /// The file that is being written, to give it another mode or owner.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts the file in its place. On stable storage when it returns. Returns the file, open behind its last octet.
    ///
    /// # Errors
    /// As [`replace`].
    pub fn finish(self) -> io::Result<File> {
        self.file.sync_all()?;
        fs::rename(&self.temporary.0, &self.path)?;
        self.folder.sync_all()?;
        Ok(self.file)
    }
}

impl Write for Replacement {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file beside the one that it is to replace; removed when it is dropped, unless it has got its name.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The error that comes first is the one to tell.
        let _removed = self.remove();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/account.json");
        make_folder_of(&path).unwrap();
        for octets in [&b"long, and secret"[..], b"short"] {
            replace(&path, octets).unwrap();
            assert_eq!(fs::read(&path).unwrap(), octets);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(folder_of(&path))),
            (0o600, 0o700),
            "mode"
        );
        assert_eq!(names(folder_of(&path)), ["account.json"]);
    }

    #[test]
    fn what_is_not_finished_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, b"old").unwrap();
        let mut replacement = Replacement::begin(&path).unwrap();
        replacement.write_all(b"half of it").unwrap();
        drop(replacement);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn what_a_crash_left_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("state"), folder.path().join("other"));
        File::create(&other).unwrap();
        symlink(&other, folder.path().join("state.new")).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&other).unwrap(), b"");
        assert_eq!(names(folder.path()), ["other", "state"]);
    }

    #[test]
    fn many_at_once_leave_one_of_theirs_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let text = |number: u8| vec![number; 10_000];
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || replace(path, &text(number)).unwrap());
            }
        });
        let left = fs::read(&path).unwrap();
        assert_eq!(left, text(left[0]));
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn a_name_alone_is_in_the_folder_of_the_process() {
        assert_eq!(folder_of(Path::new("accounts.toml")), Path::new("."));
    }
}
