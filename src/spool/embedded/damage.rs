//! What becomes of damaged octets: they are kept for an operator to look at, and never read again by the spool.

use std::io::{self, IoSlice};

use crate::mail::QueueId;

use super::disk::{Disk, read_exactly};
use super::log;
use super::read::body_path;

/// The directory of what was set aside.
pub(super) const DIRECTORY: &str = "damaged";

/// How much is copied at once.
const PORTION: u64 = 1 << 20;

/// Octets of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub(super) segment: u32,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What became of octets that were to be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    /// They were copied before.
    Before,
    /// They could not be copied: their segment must stay.
    Failed,
    /// They are copied.
    Now,
}

/// Copies damaged octets, unless that was done before, and says so in the log.
pub(super) fn set_aside(disk: &dyn Disk, region: Region, id: Option<QueueId>) -> Kept {
    let kept = keep(disk, region);
    if kept != Kept::Before {
        let queue_id = id.map(tracing::field::display);
        let octets = region.to.saturating_sub(region.from);
        tracing::error!(
            queue_id,
            segment = region.segment,
            offset = region.from,
            octets,
            "damaged record set aside"
        );
    }
    kept
}

/// Copies octets, unless that was done before.
pub(super) fn keep(disk: &dyn Disk, region: Region) -> Kept {
    let path = format!("{DIRECTORY}/{:08x}-{:08x}", region.segment, region.from);
    match copy(disk, region, &path) {
        Ok(()) => Kept::Now,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Kept::Before,
        Err(error) => {
            tracing::error!(%path, %error, "damaged octets not copied, their segment stays");
            // A part of them must not pass for the whole at the next start.
            let _ = disk.remove(&path);
            Kept::Failed
        }
    }
}

/// Returns the number of the segment whose octets a file of this name holds.
pub(super) fn segment_of(name: &str) -> Option<u32> {
    let (segment, _) = name
        .split_once('-')
        .filter(|(number, _)| number.len() == 8)?;
    u32::from_str_radix(segment, 16).ok()
}

fn copy(disk: &dyn Disk, region: Region, path: &str) -> io::Result<()> {
    let segment = disk.open(&log::path_of(region.segment))?;
    let mut file = disk.create(path, 0)?;
    let end = region.to.min(segment.length()?);
    let mut at = region.from;
    while at < end {
        let length = usize::try_from(PORTION.min(end - at)).map_err(io::Error::other)?;
        let octets = read_exactly(&*segment, at, length)?;
        file.append(&mut [IoSlice::new(&octets)])?;
        at += length as u64;
    }
    file.sync()?;
    disk.sync_dir(DIRECTORY)
}

/// Moves a message's own file out of the way.
pub(super) fn set_body_aside(disk: &dyn Disk, id: QueueId) {
    match disk.rename(&body_path(id), &format!("{DIRECTORY}/{id}")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(queue_id = %id, %error, "damaged message file not moved");
        }
        Ok(()) | Err(_) => {}
    }
}
