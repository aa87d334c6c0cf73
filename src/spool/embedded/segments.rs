//! What each segment still is good for, so that it goes as soon as nothing needs it.
//!
//! A segment is needed while it holds the record of a message that is not done, the last standing of such a message,
//! or the word that a message is done whose record another segment still holds: without that word the message would
//! come back at the next start.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::mail::QueueId;

/// Where a message's record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// The octets of the whole record.
    pub(super) length: u32,
    /// 0 for the message of a message record, n for the nth report of a settlement or the nth of messages that came
    /// together.
    pub(super) part: u16,
    /// Whether its octets are in a file of their own.
    pub(super) has_file: bool,
    /// Where its last standing is; `None` where that is in the message's own record.
    pub(super) standing: Option<StandingPlace>,
}

/// Where a record is that says how a message stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct StandingPlace {
    pub(super) segment: NonZeroU32,
    /// The octets of the whole record.
    pub(super) length: u32,
}

#[derive(Debug, Default)]
struct Segment {
    length: u64,
    messages: u64,
    /// The octets of the records of `messages`.
    octets: u64,
    standings: u64,
    /// The octets of the records of `standings`.
    standing_octets: u64,
    /// The messages of other segments that this one says are done; a key without ids is a segment that holds an older
    /// copy of a message that is here. A message may be named that the segment never held: one word too many.
    buried: BTreeMap<u32, Vec<QueueId>>,
    /// Whether it stays as it is until the next start.
    is_given_up: bool,
}

impl Segment {
    fn is_dead(&self) -> bool {
        self.messages == 0 && self.standings == 0 && self.buried.is_empty()
    }

    /// Returns how many octets a copy of what is needed would take.
    fn useful(&self) -> u64 {
        let buried: usize = self.buried.values().map(Vec::len).sum();
        self.octets + self.standing_octets + 8 * buried as u64
    }
}

/// All segments by number.
#[derive(Debug, Default)]
pub(super) struct Segments {
    segments: BTreeMap<u32, Segment>,
    /// Whether some segment may have become useless since [`Segments::dead`] was asked.
    has_changed: bool,
}

impl Segments {
    /// Adds a segment or says how long it has become.
    pub(super) fn grow(&mut self, number: u32, length: u64) {
        let before = self.segments.len();
        self.segments.entry(number).or_default().length = length;
        self.has_changed |= self.segments.len() > before;
    }

    /// Returns numbers and lengths.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (u32, u64)> {
        self.segments
            .iter()
            .map(|(number, segment)| (*number, segment.length))
    }

    pub(super) fn length(&self, number: u32) -> Option<u64> {
        Some(self.segments.get(&number)?.length)
    }

    /// Counts a message in.
    pub(super) fn enter(&mut self, place: &Place) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.messages += 1;
            segment.octets += u64::from(place.length);
        }
    }

    /// Counts a message out.
    pub(super) fn leave(&mut self, place: &Place) {
        self.has_changed = true;
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.messages = segment.messages.saturating_sub(1);
            segment.octets = segment.octets.saturating_sub(u64::from(place.length));
        }
    }

    /// Counts a standing in.
    pub(super) fn enter_standing(&mut self, place: StandingPlace) {
        if let Some(segment) = self.segments.get_mut(&place.segment.get()) {
            segment.standings += 1;
            segment.standing_octets += u64::from(place.length);
        }
    }

    /// Counts a standing out.
    pub(super) fn leave_standing(&mut self, place: Option<StandingPlace>) {
        self.has_changed |= place.is_some();
        if let Some(place) = place
            && let Some(segment) = self.segments.get_mut(&place.segment.get())
        {
            segment.standings = segment.standings.saturating_sub(1);
            segment.standing_octets = segment
                .standing_octets
                .saturating_sub(u64::from(place.length));
        }
    }

    /// Notes that segment `says` holds the word that `id`, whose record is in `holds`, is done.
    ///
    /// Where `holds` has copies from older segments that still exist, one of them may hold `id` too, and would bring it
    /// back if the word went first.
    pub(super) fn bury(&mut self, says: u32, holds: u32, id: QueueId) {
        let older: Vec<u32> = self
            .segments
            .get(&holds)
            .map_or_else(Vec::new, |segment| segment.buried.keys().copied().collect());
        for of in older.into_iter().chain([holds]) {
            self.repeat(says, of, id);
        }
    }

    /// Notes that segment `says` repeats the word that `id` of segment `of` is done.
    pub(super) fn repeat(&mut self, says: u32, of: u32, id: QueueId) {
        if let Some(ids) = self.dependency(says, of) {
            ids.push(id);
        }
    }

    /// Notes that a message in segment `copy` has an older record in `original`, which must go first.
    pub(super) fn depend(&mut self, copy: u32, original: u32) {
        self.dependency(copy, original);
    }

    fn dependency(&mut self, on: u32, of: u32) -> Option<&mut Vec<QueueId>> {
        if on == of || !self.segments.contains_key(&of) {
            return None;
        }
        Some(self.segments.get_mut(&on)?.buried.entry(of).or_default())
    }

    /// Returns the messages that this segment says are done, with the segment of each record.
    pub(super) fn buried(&self, number: u32) -> Vec<(u32, Vec<QueueId>)> {
        self.segments.get(&number).map_or_else(Vec::new, |segment| {
            let buried = segment.buried.iter();
            buried.map(|(of, ids)| (*of, ids.clone())).collect()
        })
    }

    /// Returns whether messages or standings are left in a segment.
    pub(super) fn is_inhabited(&self, number: u32) -> bool {
        self.segments
            .get(&number)
            .is_some_and(|segment| segment.messages > 0 || segment.standings > 0)
    }

    /// Returns whether [`Segments::dead`] and [`Segments::worth_rewriting`] may have something new to say.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Returns the segments that nothing needs.
    pub(super) fn dead(&mut self, current: Option<u32>) -> Vec<u32> {
        self.has_changed = false;
        let others = self.segments.iter();
        others
            .filter(|(number, segment)| {
                Some(**number) != current && segment.is_dead() && !segment.is_given_up
            })
            .map(|(number, _)| *number)
            .collect()
    }

    /// Forgets a segment whose file is gone for good. Who depended on it depends on what it depended on.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(removed) = self.segments.remove(&number) else {
            return;
        };
        self.has_changed = true;
        for (other, segment) in &mut self.segments {
            let Some(ids) = segment.buried.remove(&number) else {
                continue;
            };
            for of in removed.buried.keys().filter(|of| *of != other) {
                segment.buried.entry(*of).or_default().extend(&ids);
            }
        }
    }

    /// Returns whether a segment is to be left alone.
    pub(super) fn is_given_up(&self, number: u32) -> bool {
        let segment = self.segments.get(&number);
        segment.is_some_and(|segment| segment.is_given_up)
    }

    /// Returns the number of the last segment.
    pub(super) fn last(&self) -> Option<u32> {
        self.segments.keys().next_back().copied()
    }

    /// Leaves a segment alone from now on.
    pub(super) fn give_up(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.is_given_up = true;
        }
    }

    /// Returns the segment that is the cheapest to rewrite, if more than half of what the log takes is of no use,
    /// `slack` octets apart.
    pub(super) fn worth_rewriting(&self, current: Option<u32>, slack: u64) -> Option<u32> {
        let taken: u64 = self.segments.values().map(|segment| segment.length).sum();
        let needed: u64 = self.segments.values().map(Segment::useful).sum();
        if taken <= needed.saturating_mul(2).saturating_add(slack) {
            return None;
        }
        self.segments
            .iter()
            .filter(|(number, segment)| Some(**number) != current && !segment.is_given_up)
            .map(|(number, segment)| (segment.useful() * 100 / segment.length.max(1), *number))
            // A segment that is mostly of use gains nothing.
            .filter(|(percent, _)| *percent < 75)
            .min()
            .map(|(_, number)| number)
    }
}
