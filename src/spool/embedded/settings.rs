//! How the embedded spool is set up, and why it may not open.

use std::io;
use std::path::PathBuf;

/// How the embedded spool is set up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The spool's directory; made where it is missing. No other program has business in it.
    pub directory: PathBuf,
    /// The octets of a segment, 4 KiB to 1 GiB; a larger record has a segment to itself.
    pub segment_size: u64,
    /// The octets of recent messages that are kept in memory, and those of messages being received beyond which these
    /// go to the disk early.
    pub memory_budget: usize,
    /// How many messages may wait before new mail must; `None` for no limit.
    pub max_messages: Option<u64>,
    /// How many octets of messages may wait before new mail must; `None` for no limit.
    pub max_octets: Option<u64>,
    /// How many octets of memory the messages that wait may take, as they are estimated; `None` for no limit.
    pub max_memory: Option<u64>,
    /// The octets that must stay free on the file system. Below, new mail must wait; what is accepted goes on.
    pub min_free: u64,
}

impl Settings {
    /// Returns the defaults for a spool in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_size: 64 << 20,
            memory_budget: 64 << 20,
            max_messages: None,
            max_octets: None,
            max_memory: None,
            min_free: 256 << 20,
        }
    }

    /// Returns the settings with what lies outside of its range moved to its border.
    pub(super) fn within_range(self) -> Self {
        Self {
            segment_size: self.segment_size.clamp(4 << 10, 1 << 30),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new("spool")
    }
}

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or directory cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read`, `create`, `lock` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process uses the spool.
    #[error("the spool {} is in use by process {}", directory.display(), pid.map_or("unknown".to_owned(), |pid| pid.to_string()))]
    Locked {
        /// The spool.
        directory: PathBuf,
        /// The other process, where the lock file names it.
        pid: Option<u32>,
    },
    /// The spool was written by a newer posthouse; it has been left as it is.
    #[error("{} has format {found}, this posthouse knows formats up to {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
}

impl OpenError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
