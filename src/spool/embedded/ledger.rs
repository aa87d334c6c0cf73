//! What a durable record does to index and segments: the same when it has just been written and when it is read again
//! at the next start.

use std::num::NonZeroU32;

use crate::clock::Timestamp;
use crate::mail::QueueId;
use crate::spool::index::{Arrival, Index};
use crate::spool::standing::Standing;

use super::message::Summary;
use super::segments::{Place, Segments, StandingPlace};

/// Where a record has been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Position {
    /// Returns the place of the message that is this part of the record.
    pub(super) const fn place(self, part: u16, has_file: bool) -> Place {
        Place {
            segment: self.segment,
            offset: self.offset,
            length: self.length,
            part,
            has_file,
            standing: None,
        }
    }
}

/// Index and segments, for the time of some changes.
pub(super) struct Ledger<'a> {
    pub(super) index: &'a mut Index<Place>,
    pub(super) segments: &'a mut Segments,
    pub(super) now: Timestamp,
}

impl Ledger<'_> {
    /// A message record. If the message is known, this is a copy with its standing, which counts from now on.
    pub(super) fn arrive(&mut self, summary: Summary, place: Place) {
        if self.index.contains(summary.id) {
            self.relocate(summary.id, place);
            self.index
                .conclude(summary.id, Some(summary.standing), self.now);
            return;
        }
        self.segments.enter(&place);
        let arrival = Arrival {
            id: summary.id,
            size: summary.size,
            priority: summary.priority,
            route: summary.route,
            account: summary.account,
            tenant: summary.tenant,
            times: summary.times,
            standing: summary.standing,
            place,
        };
        self.index.insert(arrival, self.now);
    }

    /// A message's record has been copied, with its standing. Changes nothing else.
    pub(super) fn relocate(&mut self, id: QueueId, place: Place) {
        let Some(known) = self.index.place_mut(id) else {
            return;
        };
        let before = std::mem::replace(known, place);
        self.segments.leave(&before);
        self.segments.leave_standing(before.standing);
        self.segments.enter(&place);
        self.segments.depend(place.segment, before.segment);
    }

    /// A record that says how a message stands. Returns the place of the message if it is done thereby.
    pub(super) fn stand(
        &mut self,
        id: QueueId,
        standing: Option<Standing>,
        position: Position,
    ) -> Option<Place> {
        let Some(standing) = standing else {
            return self.bury(id, position.segment);
        };
        self.restate(id, position);
        self.index.conclude(id, Some(standing), self.now);
        None
    }

    /// The standing of a message has been copied. Changes nothing else.
    pub(super) fn restate(&mut self, id: QueueId, position: Position) {
        if let Some(place) = self.index.place_mut(id) {
            let standing = NonZeroU32::new(position.segment).map(|segment| StandingPlace {
                segment,
                length: position.length,
            });
            let before = std::mem::replace(&mut place.standing, standing);
            self.segments.leave_standing(before);
            if let Some(standing) = standing {
                self.segments.enter_standing(standing);
            }
        }
    }

    fn bury(&mut self, id: QueueId, segment: u32) -> Option<Place> {
        let place = self.index.conclude(id, None, self.now)?;
        self.segments.leave(&place);
        self.segments.leave_standing(place.standing);
        self.segments.bury(segment, place.segment, id);
        Some(place)
    }
}
