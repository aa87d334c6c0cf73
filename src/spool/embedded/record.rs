//! Records: what segments are made of. A frame of 32 octets, a head of tagged fields, a body.
//!
//! The frame begins with a magic and with the mark of this spool, a random number: nobody outside can put into a
//! message what would pass for a record, should reading have to find its way again behind damage.

use bytes::Bytes;

use super::fields::Fields;

/// The octets of a frame. The same in all versions.
pub(super) const FRAME: usize = 32;

/// The newest version that is written here. A reader refuses newer ones.
pub(super) const VERSION: u8 = 2;

/// What every record begins with, before the mark.
const MAGIC: [u8; 4] = [0x9e, b'P', b'H', b'r'];

/// The largest head that is believed. 1,000 recipients with all parameters have a tenth of it.
pub(super) const MAX_HEAD: u32 = 64 << 20;

/// The largest record that is written.
const LARGEST: u32 = 1 << 30;

/// The random number of a spool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark(pub(super) [u8; 8]);

impl Mark {
    /// Returns what every record of this spool begins with.
    pub(super) fn opening(self) -> [u8; 12] {
        let mut opening = [0; 12];
        let (magic, mark) = opening.split_at_mut(4);
        magic.copy_from_slice(&MAGIC);
        mark.copy_from_slice(&self.0);
        opening
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The first record of a segment.
    Segment = 1,
    /// The beginning of a batch: all before it was synced when it was written.
    Batch = 2,
    /// A message.
    Message = 3,
    /// What became of a lease's recipients, and the reports that follow.
    Settlement = 4,
    /// A message became due by an operator's wish.
    Retry = 5,
    /// A message was held.
    Hold = 6,
    /// A hold ended.
    Release = 7,
    /// A message was removed by an operator.
    Delete = 8,
    /// A message was set aside because it is damaged.
    SetAside = 9,
    /// The standing of a message, repeated because the segment that held it goes.
    Standing = 10,
    /// Messages that are done while their records still exist, repeated because the segment that said so goes.
    Gone = 11,
    /// Messages that came together, all or none. Since version 2.
    Messages = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Segment,
        Self::Batch,
        Self::Message,
        Self::Settlement,
        Self::Retry,
        Self::Hold,
        Self::Release,
        Self::Delete,
        Self::SetAside,
        Self::Standing,
        Self::Gone,
        Self::Messages,
    ];

    /// Returns the version in which records of this kind are written: an older posthouse goes on reading all others.
    const fn version(self) -> u8 {
        match self {
            Self::Batch
            | Self::Delete
            | Self::Gone
            | Self::Hold
            | Self::Message
            | Self::Release
            | Self::Retry
            | Self::Segment
            | Self::SetAside
            | Self::Settlement
            | Self::Standing => 1,
            Self::Messages => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A record ready to be written.
#[derive(Debug)]
pub(super) struct Record {
    /// Frame and head.
    pub(super) head: Vec<u8>,
    /// The body, in pieces.
    pub(super) body: Vec<Bytes>,
    length: u32,
}

impl Record {
    /// Puts a record together. `fields` must begin behind [`FRAME`] reserved octets; `body_crc` is that of the whole
    /// body. `None` where the record is larger than the format can say, or than [`LARGEST`].
    pub(super) fn seal(
        mark: Mark,
        kind: Kind,
        fields: Fields,
        body: Vec<Bytes>,
        body_crc: u32,
    ) -> Option<Self> {
        let mut head = fields.into_octets();
        let head_length = u32::try_from(head.len() - FRAME).ok()?;
        let body_length = u32::try_from(body.iter().map(Bytes::len).sum::<usize>()).ok()?;
        let length = body_length
            .checked_add(head_length)?
            .checked_add(u32::try_from(FRAME).ok()?)?;
        if head_length > MAX_HEAD || length > LARGEST {
            return None;
        }
        let (frame, fields) = head.split_at_mut_checked(FRAME)?;
        let mut put = |at: usize, octets: &[u8]| {
            if let Some(place) = frame.get_mut(at..at + octets.len()) {
                place.copy_from_slice(octets);
            }
        };
        put(0, &mark.opening());
        put(12, &[kind.version(), kind as u8, 0, 0]);
        put(16, &head_length.to_le_bytes());
        put(20, &body_length.to_le_bytes());
        put(24, &body_crc.to_le_bytes());
        let crc = checksum(frame.get(..28)?, fields);
        if let Some(place) = frame.get_mut(28..32) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        Some(Self { head, body, length })
    }

    /// Puts a record without body together.
    pub(super) fn bare(mark: Mark, kind: Kind, fields: Fields) -> Option<Self> {
        Self::seal(mark, kind, fields, Vec::new(), 0)
    }

    /// Returns the octets of the whole record.
    pub(super) const fn length(&self) -> u32 {
        self.length
    }
}

/// A frame as it was read; true only once [`Frame::check`] has said so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    version: u8,
    kind: u8,
    pub(super) head_length: u32,
    pub(super) body_length: u32,
    pub(super) body_crc: u32,
    crc: u32,
    checked: [u8; 28],
}

/// What a frame turned out to be, once its head was there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Check {
    /// A whole frame and head of this kind.
    Good(Kind),
    /// Written by a newer posthouse.
    Newer(u8),
    /// Not a record.
    Bad,
}

impl Frame {
    /// Reads a frame, where one of this spool begins here.
    pub(super) fn read(mark: Mark, octets: &[u8]) -> Option<Self> {
        let octets: &[u8; FRAME] = octets.first_chunk()?;
        if !octets.starts_with(&mark.opening()) {
            return None;
        }
        let number = |at: usize| {
            let place: Option<[u8; 4]> = octets.get(at..at + 4)?.try_into().ok();
            place.map(u32::from_le_bytes)
        };
        let frame = Self {
            version: *octets.get(12)?,
            kind: *octets.get(13)?,
            head_length: number(16)?,
            body_length: number(20)?,
            body_crc: number(24)?,
            crc: number(28)?,
            checked: *octets.first_chunk()?,
        };
        (frame.head_length <= MAX_HEAD).then_some(frame)
    }

    /// Checks frame and head against their checksum.
    pub(super) fn check(&self, head: &[u8]) -> Check {
        if checksum(&self.checked, head) != self.crc {
            return Check::Bad;
        }
        match Kind::from_number(self.kind) {
            Some(kind) if self.version <= VERSION => Check::Good(kind),
            _ => Check::Newer(self.version),
        }
    }

    /// Returns the octets of the whole record.
    pub(super) fn length(&self) -> u64 {
        FRAME as u64 + u64::from(self.head_length) + u64::from(self.body_length)
    }
}

fn checksum(frame: &[u8], head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(frame), head)
}
