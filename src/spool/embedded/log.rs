//! The log: segments that are written at the end and nowhere else.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::fields::{Fields, Malformed, Reader, number};
use super::ledger::Position;
use super::record::{FRAME, Kind, Mark, Record};
use super::segments::Segments;

/// The directory of the segments.
pub(super) const DIRECTORY: &str = "segments";

/// The octets that are written at once, unless one record alone is larger.
const LARGEST_BATCH: u64 = 8 << 20;

/// Why records are not durable.
#[derive(Debug)]
pub(super) struct AppendError {
    pub(super) error: io::Error,
    /// Whether something of them may be in the segment, behind what counts of it.
    pub(super) may_be_there: bool,
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self {
            error,
            may_be_there: false,
        }
    }
}

/// Returns the path of a segment.
pub(super) fn path_of(number: u32) -> String {
    format!("{DIRECTORY}/{number:08x}.log")
}

/// Returns the number of the segment of this file name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 8)
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The end of the log.
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    mark: Mark,
    segment_size: u64,
    current: Option<Current>,
    next_number: u32,
}

struct Current {
    number: u32,
    file: Box<dyn DiskFile>,
    length: u64,
    /// Where the first batch begins; a segment that is no longer than this is empty.
    first: u64,
}

impl Log {
    /// Makes a log whose first segment will have this number.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        mark: Mark,
        segment_size: u64,
        next_number: u32,
    ) -> Self {
        Self {
            disk,
            mark,
            segment_size,
            current: None,
            next_number,
        }
    }

    /// Returns the number of the segment that is being written.
    pub(super) fn current(&self) -> Option<u32> {
        self.current.as_ref().map(|current| current.number)
    }

    /// Returns how many of the records of these lengths go into the next write; at least one.
    pub(super) fn room_for(&self, lengths: impl Iterator<Item = u32>) -> usize {
        let used = self.current.as_ref().map_or(0, |current| current.length);
        let whole = self.segment_size.min(LARGEST_BATCH);
        let room = self.segment_size.saturating_sub(used).min(whole);
        let mut lengths = lengths.map(u64::from).peekable();
        // What does not fit here begins a segment, which has room for more.
        let first = lengths.peek().copied().unwrap_or_default();
        let room = if first > room { whole } else { room };
        let mut taken = 0;
        let fits = lengths.take_while(|length| {
            taken += length;
            taken <= room
        });
        fits.count().max(1)
    }

    /// Writes records and makes them durable, all or none. Returns where they are.
    ///
    /// After an error the segment is left for good: what it holds beyond the last success does not count, and the next
    /// segment says so.
    pub(super) fn append(
        &mut self,
        records: &[&Record],
        segments: &mut Segments,
    ) -> Result<Vec<Position>, AppendError> {
        let needed: u64 = records
            .iter()
            .map(|record| u64::from(record.length()))
            .sum();
        let is_full = self.current.as_ref().is_none_or(|current| {
            current.length > current.first && current.length + needed > self.segment_size
        });
        if is_full {
            self.begin_segment(segments)?;
        }
        let Some(current) = &mut self.current else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        match current.write(self.mark, records) {
            Ok(positions) => {
                segments.grow(current.number, current.length);
                Ok(positions)
            }
            Err(error) => {
                tracing::error!(segment = current.number, %error, "segment abandoned");
                self.current = None;
                Err(AppendError {
                    error,
                    may_be_there: true,
                })
            }
        }
    }

    /// Says in the log that all before was synced, and ends.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        current.write(self.mark, &[])?;
        current.file.truncate(current.length)
    }

    /// Begins a segment: nothing in it counts before its file and its name are durable.
    fn begin_segment(&mut self, segments: &mut Segments) -> io::Result<()> {
        if let Some(full) = self.current.take() {
            // Gives back what was reserved. Without effect on what counts, so a failure is no matter.
            let _ = full.file.truncate(full.length);
        }
        let number = self.next_number;
        self.next_number = number.checked_add(1).ok_or(io::ErrorKind::StorageFull)?;
        let header = header(self.mark, number, segments).ok_or(io::ErrorKind::InvalidData)?;
        let made = self.create(number, &header);
        if made.is_err() {
            let _ = self.disk.remove(&path_of(number));
        }
        let file = made?;
        let length = u64::from(header.length());
        segments.grow(number, length);
        self.current = Some(Current {
            number,
            file,
            length,
            first: length,
        });
        Ok(())
    }

    fn create(&self, number: u32, header: &Record) -> io::Result<Box<dyn DiskFile>> {
        let mut file = self.disk.create(&path_of(number), self.segment_size)?;
        file.append(&mut [IoSlice::new(&header.head)])?;
        file.sync()?;
        self.disk.sync_dir(DIRECTORY)?;
        Ok(file)
    }
}

impl Current {
    fn write(&mut self, mark: Mark, records: &[&Record]) -> io::Result<Vec<Position>> {
        let opening = Record::bare(mark, Kind::Batch, Fields::behind(FRAME));
        let opening = opening.ok_or(io::ErrorKind::InvalidData)?;
        let mut pieces = Vec::with_capacity(1 + 2 * records.len());
        pieces.push(IoSlice::new(&opening.head));
        let mut positions = Vec::with_capacity(records.len());
        let mut at = self.length + u64::from(opening.length());
        for record in records {
            pieces.push(IoSlice::new(&record.head));
            pieces.extend(record.body.iter().map(|piece| IoSlice::new(piece)));
            positions.push(Position {
                segment: self.number,
                offset: u32::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?,
                length: record.length(),
            });
            at += u64::from(record.length());
        }
        self.file.append(&mut pieces)?;
        self.file.sync()?;
        self.length = at;
        Ok(positions)
    }
}

/// Makes the first record of a segment: its number, and how much counts of each segment before it.
fn header(mark: Mark, number: u32, segments: &Segments) -> Option<Record> {
    let mut fields = Fields::behind(FRAME);
    fields.number(NUMBER, u64::from(number));
    fields.nested(LENGTHS, |fields| {
        for (number, length) in segments.lengths() {
            fields.raw(&number.to_le_bytes());
            fields.raw(&length.to_le_bytes());
        }
    });
    Record::bare(mark, Kind::Segment, fields)
}

/// Reads from the first record of a segment how much counts of those before it.
pub(super) fn read_lengths(head: &[u8]) -> Result<Vec<(u32, u64)>, Malformed> {
    let mut lengths = Vec::new();
    for field in Reader::new(head) {
        if let (LENGTHS, content) = field? {
            let (entries, rest) = content.as_chunks::<12>();
            if !rest.is_empty() {
                return Err(Malformed);
            }
            for entry in entries {
                let (segment, length) = entry.split_at(4);
                let segment = segment.try_into().map_err(|_| Malformed)?;
                lengths.push((u32::from_le_bytes(segment), number(length)?));
            }
        }
    }
    Ok(lengths)
}

const NUMBER: u8 = 1;
const LENGTHS: u8 = 2;
