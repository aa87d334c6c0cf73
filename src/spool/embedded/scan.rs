//! Reading a segment record by record, and on behind damage.

use std::io;

use memchr::memmem;

use crate::mail::QueueId;

use super::disk::DiskFile;
use super::message;
use super::record::{Check, FRAME, Frame, Kind, Mark};

/// What was found in a segment.
#[derive(Debug)]
pub(super) enum Found {
    /// Octets that are no record; the id of the message they were about, where that can be read.
    Damage {
        from: u64,
        to: u64,
        id: Option<QueueId>,
    },
    /// A record of a newer version.
    Newer(u8),
    /// A record; its body has not been looked at.
    Record(Whole),
}

/// A record whose frame and head are whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) at: u64,
    pub(super) kind: Kind,
    pub(super) frame: Frame,
    pub(super) head: Vec<u8>,
}

/// A place in a segment that is being read.
pub(super) struct Scanner<'a> {
    file: &'a dyn DiskFile,
    mark: Mark,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// How much is read at once. Small bodies come along, large ones are skipped.
const WINDOW: usize = 256 << 10;

impl<'a> Scanner<'a> {
    /// Begins to read at `at`; nothing from `end` on counts.
    pub(super) const fn new(file: &'a dyn DiskFile, mark: Mark, at: u64, end: u64) -> Self {
        Self {
            file,
            mark,
            at,
            end,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Returns where the next record is expected.
    pub(super) const fn position(&self) -> u64 {
        self.at
    }

    /// Reads on; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        match self.record_at(at)? {
            Parsed::Newer(version) => Ok(Some(Found::Newer(version))),
            Parsed::Whole(whole) => {
                self.at = at + whole.frame.length();
                Ok(Some(Found::Record(whole)))
            }
            Parsed::Nothing(id) => {
                self.at = self.next_record(at + 1)?;
                Ok(Some(Found::Damage {
                    from: at,
                    to: self.at,
                    id,
                }))
            }
        }
    }

    /// Reads the body of a record. Fails with `InvalidData` where it is damaged.
    pub(super) fn body(&mut self, whole: &Whole) -> io::Result<Vec<u8>> {
        let at = whole.at + FRAME as u64 + u64::from(whole.frame.head_length);
        let length = usize::try_from(whole.frame.body_length).unwrap_or(usize::MAX);
        let body = self.octets(at, length)?;
        if body.len() < length || crc32c::crc32c(body) != whole.frame.body_crc {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(body.to_vec())
    }

    fn record_at(&mut self, at: u64) -> io::Result<Parsed> {
        let mark = self.mark;
        let Some(frame) = Frame::read(mark, self.octets(at, FRAME)?) else {
            return Ok(Parsed::Nothing(None));
        };
        let length = usize::try_from(frame.head_length).unwrap_or(usize::MAX);
        let end = self.end;
        let head = self.octets(at + FRAME as u64, length)?;
        if head.len() < length {
            return Ok(Parsed::Nothing(None));
        }
        match frame.check(head) {
            Check::Good(kind) if at + frame.length() <= end => Ok(Parsed::Whole(Whole {
                at,
                kind,
                frame,
                head: head.to_vec(),
            })),
            Check::Newer(version) => Ok(Parsed::Newer(version)),
            Check::Good(_) | Check::Bad => Ok(Parsed::Nothing(message::read_id(head))),
        }
    }

    /// Returns where the next record that checks begins, or the end.
    fn next_record(&mut self, from: u64) -> io::Result<u64> {
        let opening = self.mark.opening();
        let mut at = from;
        while at < self.end {
            let octets = self.octets(at, WINDOW)?;
            let read = octets.len() as u64;
            if let Some(found) = memmem::find(octets, &opening) {
                let candidate = at + found as u64;
                if !matches!(self.record_at(candidate)?, Parsed::Nothing(_)) {
                    return Ok(candidate);
                }
                at = candidate + 1;
            } else if read < opening.len() as u64 {
                break;
            } else {
                // The opening may straddle two windows.
                at += read - (opening.len() as u64 - 1);
            }
        }
        Ok(self.end)
    }

    /// Returns `length` octets from `at` on, fewer at the end.
    fn octets(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let rest = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let length = length.min(rest);
        let skip = at.checked_sub(self.window_at).map(usize::try_from);
        let skip = match skip {
            Some(Ok(skip)) if skip + length <= self.window.len() => skip,
            _ => {
                self.window.resize(length.max(WINDOW).min(rest), 0);
                let read = self.file.read_at(&mut self.window, at)?;
                self.window.truncate(read);
                self.window_at = at;
                0
            }
        };
        let end = (skip + length).min(self.window.len());
        Ok(self.window.get(skip..end).unwrap_or_default())
    }
}

enum Parsed {
    Newer(u8),
    /// No whole record; the id it was about, where the head can be read.
    Nothing(Option<QueueId>),
    Whole(Whole),
}
