//! Reading messages back.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::Body;
use crate::mail::QueueId;

use super::cache::Cached;
use super::change;
use super::disk::{Disk, DiskFile, read_exactly};
use super::fields::Malformed;
use super::log;
use super::message::{self, BodyPlace, CHUNK, Stored};
use super::record::{Check, FRAME, Frame, Kind, Mark};
use super::segments::Place;
use super::shared::Shared;

/// Why a message cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is damaged.
    Damaged,
    /// The disk does not answer, or the record has moved since.
    Io(io::Error),
}

impl From<Malformed> for ReadError {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

/// Returns the path of a message's own file.
pub(super) fn body_path(id: QueueId) -> String {
    format!("bodies/{id}")
}

/// A message that has been read.
pub(super) struct Read {
    pub(super) stored: Stored,
    /// Its octets, where they are in the record.
    pub(super) body: Option<Bytes>,
}

impl Read {
    pub(super) fn into_cached(self) -> Cached {
        Cached {
            message: Arc::new(self.stored.message),
            body: self.body,
        }
    }
}

/// Reads one message with all checks. Blocks.
pub(super) fn read(disk: &dyn Disk, mark: Mark, place: &Place) -> Result<Read, ReadError> {
    let file = disk.open(&log::path_of(place.segment));
    let file = file.map_err(ReadError::Io)?;
    let length = usize::try_from(place.length).map_err(|_| ReadError::Damaged)?;
    match read_exactly(&*file, u64::from(place.offset), length) {
        Ok(octets) => take_apart(mark, place, &Bytes::from(octets)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Damaged),
        Err(error) => Err(ReadError::Io(error)),
    }
}

/// Reads a message, where need be at the place to which its record has moved meanwhile. Blocks.
pub(super) fn read_anywhere(shared: &Shared, id: QueueId, place: Place) -> Result<Read, ReadError> {
    let mut place = place;
    loop {
        let read = read(&*shared.disk, shared.mark, &place);
        let now_at = shared.state().index.place(id).copied();
        match (read, now_at) {
            (Err(_), Some(elsewhere)) if elsewhere != place => place = elsewhere,
            (Ok(read), _) if read.stored.id != id => return Err(ReadError::Damaged),
            (read, _) => return read,
        }
    }
}

fn take_apart(mark: Mark, place: &Place, record: &Bytes) -> Result<Read, ReadError> {
    let frame = Frame::read(mark, record).ok_or(ReadError::Damaged)?;
    let (_, rest) = record.split_at_checked(FRAME).ok_or(ReadError::Damaged)?;
    let head_length = usize::try_from(frame.head_length).map_err(|_| ReadError::Damaged)?;
    let (head, body) = rest
        .split_at_checked(head_length)
        .ok_or(ReadError::Damaged)?;
    let Check::Good(kind) = frame.check(head) else {
        return Err(ReadError::Damaged);
    };
    let head = part_of(kind, head, place.part)?;
    let stored = message::read(head)?;
    let body = match &stored.body {
        BodyPlace::File { .. } => None,
        BodyPlace::Inline { offset, crc } => {
            let octets = slice(body, *offset, stored.size).ok_or(ReadError::Damaged)?;
            if crc32c::crc32c(octets) != *crc {
                return Err(ReadError::Damaged);
            }
            // A copy, so that a small message does not keep a large record in memory.
            Some(Bytes::copy_from_slice(octets))
        }
    };
    Ok(Read { stored, body })
}

/// Returns the fields of the message that is this part of a record.
fn part_of(kind: Kind, head: &[u8], part: u16) -> Result<&[u8], ReadError> {
    match (kind, part.checked_sub(1)) {
        (Kind::Message, None) => Ok(head),
        (Kind::Messages, Some(message)) => change::read_together(head)?
            .get(usize::from(message))
            .copied()
            .ok_or(ReadError::Damaged),
        (Kind::Settlement, Some(report)) => change::read(head)?
            .reports
            .get(usize::from(report))
            .copied()
            .ok_or(ReadError::Damaged),
        _ => Err(ReadError::Damaged),
    }
}

fn slice(body: &[u8], offset: u32, size: u64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let end = offset.checked_add(usize::try_from(size).ok()?)?;
    body.get(offset..end)
}

/// The octets of a message that has a file of its own. Each chunk is checked before it is handed out.
pub(super) struct FileBody {
    pub(super) shared: Arc<Shared>,
    pub(super) id: QueueId,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) size: u64,
    pub(super) crcs: Vec<u32>,
    pub(super) next: usize,
}

impl FileBody {
    /// Opens the file. Blocks.
    pub(super) fn open(shared: Arc<Shared>, stored: &Stored) -> Result<Self, ReadError> {
        let BodyPlace::File { crcs } = &stored.body else {
            return Err(ReadError::Damaged);
        };
        let file = match shared.disk.open(&body_path(stored.id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Damaged);
            }
            Err(error) => return Err(ReadError::Io(error)),
        };
        let is_whole = file.length().map_err(ReadError::Io)? == stored.size;
        if !is_whole || stored.size.div_ceil(CHUNK as u64) != crcs.len() as u64 {
            return Err(ReadError::Damaged);
        }
        Ok(Self {
            shared,
            id: stored.id,
            file: Arc::from(file),
            size: stored.size,
            crcs: crcs.clone(),
            next: 0,
        })
    }
}

#[async_trait]
impl Body for FileBody {
    fn size(&self) -> u64 {
        self.size
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(crc) = self.crcs.get(self.next).copied() else {
            return Ok(None);
        };
        let offset = self.next as u64 * CHUNK as u64;
        let rest = self.size.saturating_sub(offset);
        let length = usize::try_from(rest).unwrap_or(CHUNK).min(CHUNK);
        let file = Arc::clone(&self.file);
        let read = self
            .shared
            .blocking(move || read_exactly(&*file, offset, length))
            .await;
        match read {
            Ok(chunk) if crc32c::crc32c(&chunk) == crc => {
                self.next += 1;
                return Ok(Some(Bytes::from(chunk)));
            }
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                self.crcs.clear();
                return Err(error);
            }
            Ok(_) | Err(_) => {}
        }
        self.crcs.clear();
        self.shared.report_damage(self.id);
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the stored message is damaged",
        ))
    }

    fn rewind(&mut self) -> io::Result<()> {
        // Its checksums have been dropped with the first error.
        if self.crcs.is_empty() && self.size > 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the stored message could not be read before",
            ));
        }
        self.next = 0;
        Ok(())
    }
}
