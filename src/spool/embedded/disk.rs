//! The narrow way to the disk. The engine does nothing to files that is not here, so that the tests can put a disk
//! under it that loses, tears and reorders what was not synced.
//!
//! Paths are relative to the spool's directory. All calls block.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A directory tree with files.
pub(super) trait Disk: Send + Sync {
    /// Makes a new file, empty, with room for `reserve` octets where the file system can promise it. The reserved
    /// octets read as zeros. Neither file nor name is durable yet. Fails where the name is taken.
    fn create(&self, path: &str, reserve: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and syncing.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes a directory, unless it is there. Durable after [`Disk::sync_dir`] of its parent.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a directory durable; the spool's own is the empty path.
    fn sync_dir(&self, path: &str) -> io::Result<()>;

    /// Returns the names in a directory, in no order.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Returns how many octets can still be written.
    fn free_space(&self) -> io::Result<u64>;
}

/// An open file.
pub(super) trait DiskFile: Send + Sync {
    /// Writes behind what was written through this value before. After an error the end of the file is unknown.
    fn append(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Makes all that was written durable. After an error nothing may be assumed of what was written since the last
    /// success, not even after a later success.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file off. Not durable.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Reads from `offset` on; returns fewer octets than asked for only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Returns the length, reserved room included.
    fn length(&self) -> io::Result<u64>;
}

/// The file system below a directory. Files are readable by their owner alone.
#[derive(Debug)]
pub(super) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str, reserve: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.root.join(path))?;
        if reserve > 0 {
            // Saves the file system from finding room at each sync. Where it cannot, the file grows as it is written.
            let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, reserve);
        }
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(self.root.join(path))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(path))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let made = DirBuilder::new().mode(0o700).create(self.root.join(path));
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        File::open(self.root.join(path))?.sync_all()
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(path))? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn free_space(&self) -> io::Result<u64> {
        let figures = rustix::fs::statvfs(&self.root)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&mut self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !pieces.is_empty() {
            match self.0.write_vectored(pieces) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut pieces, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        rustix::fs::ftruncate(&self.0, length).map_err(io::Error::from)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Reads exactly `length` octets.
pub(super) fn read_exactly(file: &dyn DiskFile, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    if file.read_at(&mut buffer, offset)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(buffer)
}
