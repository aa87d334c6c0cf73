//! Rewriting old segments of which little is still needed, so that the disk follows the queue and not the traffic.
//!
//! What is needed is copied to the end of the log, in portions between the batches of the submitters; then the segment
//! goes. A copy of a message has its standing in the same record, so that no crash can part them.

use std::collections::HashSet;
use std::io;

use bytes::Bytes;

use crate::mail::QueueId;

use super::change;
use super::committer::Committer;
use super::damage::{self, Kept, Region};
use super::disk::DiskFile;
use super::fields::{Fields, Malformed};
use super::log;
use super::message::{self, BodyPlace};
use super::queue::{CopyOf, Effect, Request};
use super::record::{FRAME, Kind, Record};
use super::scan::{Found, Scanner, Whole};

/// How many octets are copied between two batches, about.
const COPIED_AT_ONCE: u64 = 512 << 10;

/// How many octets are read between two batches, about.
const READ_AT_ONCE: u64 = 4 << 20;

/// How many segments may lie idle before one is rewritten.
const SLACK: u64 = 4;

/// A segment that is being rewritten.
pub(super) struct Rewrite {
    victim: u32,
    file: Box<dyn DiskFile>,
    at: u64,
    end: u64,
}

/// What one portion gave.
#[derive(Default)]
struct Portion {
    requests: Vec<Request>,
    octets: u64,
    standings: HashSet<QueueId>,
    damaged: Vec<QueueId>,
}

impl Portion {
    fn push(&mut self, record: Option<Record>, effect: Effect) {
        if let Some(record) = record {
            self.octets += u64::from(record.length());
            self.requests.push(Request {
                record,
                effect,
                reply: None,
            });
        }
    }
}

impl Committer {
    /// Begins to rewrite a segment, if that is worth it.
    pub(super) fn begin_rewrite(&mut self) {
        if self.rewrite.is_some() || !self.may_rewrite {
            return;
        }
        let slack = SLACK * self.shared.settings.segment_size;
        let current = self.log.current();
        if let Some(victim) = self.segments.worth_rewriting(current, slack) {
            self.begin_to_rewrite(victim);
        }
    }

    /// Begins to rewrite this segment; it must not be the one that is being written.
    pub(super) fn begin_to_rewrite(&mut self, victim: u32) {
        let end = self.segments.length(victim).unwrap_or_default();
        match self.shared.disk.open(&log::path_of(victim)) {
            Ok(file) => {
                self.rewrite = Some(Rewrite {
                    victim,
                    file,
                    at: 0,
                    end,
                });
            }
            Err(error) => {
                tracing::error!(segment = victim, %error, "segment not readable");
                self.segments.give_up(victim);
            }
        }
    }

    /// Copies the next portion.
    pub(super) fn go_on_rewriting(&mut self) {
        let Some(mut rewrite) = self.rewrite.take() else {
            return;
        };
        let portion = match self.gather(&mut rewrite) {
            Ok(portion) => portion,
            Err(error) => {
                tracing::error!(segment = rewrite.victim, %error, "segment not readable");
                self.segments.give_up(rewrite.victim);
                return;
            }
        };
        let (victim, is_read) = (rewrite.victim, rewrite.at >= rewrite.end);
        // A failure to write takes it away again.
        self.rewrite = Some(rewrite);
        for id in portion.damaged {
            if self.shared.state().index.withdraw(id) {
                self.set_aside(id);
            }
        }
        self.commit(portion.requests);
        if is_read && self.rewrite.is_some() {
            self.finish_rewrite(victim);
        }
    }

    fn finish_rewrite(&mut self, victim: u32) {
        if self.segments.is_inhabited(victim) {
            self.rescue(victim);
        }
        let mut portion = Portion::default();
        for (of, ids) in self.segments.buried(victim) {
            if !ids.is_empty() {
                let mut fields = Fields::behind(FRAME);
                change::write_gone(&mut fields, &ids);
                let record = Record::bare(self.shared.mark, Kind::Gone, fields);
                portion.push(record, Effect::Gone(of, ids));
            }
        }
        self.commit(portion.requests);
        if self.rewrite.take().is_none() {
            return;
        }
        if self.segments.is_inhabited(victim) {
            // A message in it is being settled; what follows will show whether it can go then.
            self.segments.give_up(victim);
            return;
        }
        if !self.segments.is_given_up(victim) {
            self.remove_segments(&[victim]);
        }
    }

    /// Finds what the index knows to be in a segment and reading has not found: standings are in memory, messages are
    /// lost.
    fn rescue(&mut self, victim: u32) {
        let mut portion = Portion::default();
        let (mut lost, mut standing) = (Vec::new(), Vec::new());
        for (id, place) in self.shared.state().index.places() {
            if place.segment == victim {
                lost.push(id);
            } else if place
                .standing
                .is_some_and(|standing| standing.segment.get() == victim)
            {
                standing.push(id);
            }
        }
        for id in standing {
            self.copy_standing(&mut portion, id);
        }
        self.commit(portion.requests);
        for id in lost {
            if self.shared.state().index.withdraw(id) {
                self.set_aside(id);
            }
        }
    }

    fn gather(&mut self, rewrite: &mut Rewrite) -> io::Result<Portion> {
        let mut portion = Portion::default();
        let begin = rewrite.at;
        let mut scanner = Scanner::new(&*rewrite.file, self.shared.mark, rewrite.at, rewrite.end);
        while portion.octets < COPIED_AT_ONCE && scanner.position() < begin + READ_AT_ONCE {
            match scanner.next()? {
                Some(Found::Record(whole)) => {
                    self.gather_record(&mut portion, &mut scanner, (rewrite.victim, &whole))?;
                }
                Some(Found::Damage { from, to, id }) => {
                    let region = Region {
                        segment: rewrite.victim,
                        from,
                        to,
                    };
                    let kept = damage::set_aside(&*self.shared.disk, region, id);
                    if kept != Kept::Before {
                        self.shared.gauge.count_damage();
                    }
                    if kept == Kept::Failed {
                        self.segments.give_up(rewrite.victim);
                    }
                }
                Some(Found::Newer(_)) => return Err(io::ErrorKind::InvalidData.into()),
                None => break,
            }
        }
        rewrite.at = scanner.position();
        Ok(portion)
    }

    fn gather_record(
        &self,
        portion: &mut Portion,
        scanner: &mut Scanner<'_>,
        (victim, whole): (u32, &Whole),
    ) -> io::Result<()> {
        match whole.kind {
            Kind::Message => self.copy_part(portion, scanner, (victim, whole, 0), &whole.head),
            Kind::Messages => {
                let messages = change::read_together(&whole.head).unwrap_or_default();
                for (part, message) in (1..).zip(messages) {
                    self.copy_part(portion, scanner, (victim, whole, part), message)?;
                }
                Ok(())
            }
            Kind::Settlement | Kind::Retry | Kind::Hold | Kind::Release | Kind::Standing => {
                // The scanner gives only what has checked, so this is understood.
                let Ok(change) = change::read(&whole.head) else {
                    return Ok(());
                };
                if self.standing_is_in(change.id, victim) && portion.standings.insert(change.id) {
                    self.copy_standing(portion, change.id);
                }
                for (part, report) in (1..).zip(change.reports) {
                    self.copy_part(portion, scanner, (victim, whole, part), report)?;
                }
                Ok(())
            }
            Kind::Batch | Kind::Delete | Kind::Gone | Kind::Segment | Kind::SetAside => Ok(()),
        }
    }

    fn standing_is_in(&self, id: QueueId, victim: u32) -> bool {
        let state = self.shared.state();
        let place = state.index.place(id);
        let standing = place.and_then(|place| place.standing);
        standing.is_some_and(|standing| standing.segment.get() == victim)
    }

    fn copy_standing(&self, portion: &mut Portion, id: QueueId) {
        let standing = self.shared.state().index.standing(id).cloned();
        if let Some(standing) = standing {
            let mut fields = Fields::behind(FRAME);
            change::write(&mut fields, id, Some(&standing));
            let record = Record::bare(self.shared.mark, Kind::Standing, fields);
            portion.push(record, Effect::Copy(id, CopyOf::Standing));
        }
    }

    /// Copies a message, if this part of this record is where it is.
    fn copy_part(
        &self,
        portion: &mut Portion,
        scanner: &mut Scanner<'_>,
        (victim, whole, part): (u32, &Whole, u16),
        head: &[u8],
    ) -> io::Result<()> {
        let Some(id) = message::read_id(head) else {
            return Ok(());
        };
        let known = {
            let state = self.shared.state();
            let place = state.index.place(id).copied();
            place.zip(state.index.standing(id).cloned())
        };
        let Some((place, standing)) = known else {
            return Ok(());
        };
        if (place.segment, u64::from(place.offset), place.part) != (victim, whole.at, part) {
            return Ok(());
        }
        let body = match scanner.body(whole) {
            Ok(body) => body,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                portion.damaged.push(id);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Ok((fields, octets, crc)) = copied(head, &body, &standing) else {
            portion.damaged.push(id);
            return Ok(());
        };
        let pieces = if octets.is_empty() {
            Vec::new()
        } else {
            vec![octets]
        };
        let record = Record::seal(self.shared.mark, Kind::Message, fields, pieces, crc);
        portion.standings.insert(id);
        let copy = CopyOf::Message {
            has_file: place.has_file,
        };
        portion.push(record, Effect::Copy(id, copy));
        Ok(())
    }
}

/// Returns the fields, the body and the body's checksum of a message's copy.
fn copied(
    head: &[u8],
    body: &[u8],
    standing: &crate::spool::standing::Standing,
) -> Result<(Fields, Bytes, u32), Malformed> {
    let (size, place) = message::read_body_place(head)?;
    let mut fields = Fields::behind(FRAME);
    message::copy_constant(head, &mut fields)?;
    let (octets, crc) = match place {
        BodyPlace::File { .. } => {
            message::write_body_place(&mut fields, &place);
            (Bytes::new(), 0)
        }
        BodyPlace::Inline { offset, crc } => {
            let offset = usize::try_from(offset).map_err(|_| Malformed)?;
            let size = usize::try_from(size).map_err(|_| Malformed)?;
            let octets = body.get(offset..offset + size).ok_or(Malformed)?;
            if crc32c::crc32c(octets) != crc {
                return Err(Malformed);
            }
            message::write_body_place(&mut fields, &BodyPlace::Inline { offset: 0, crc });
            (Bytes::copy_from_slice(octets), crc)
        }
    };
    message::write_standing(&mut fields, standing);
    Ok((fields, octets, crc))
}
