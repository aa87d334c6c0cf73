//! What a start makes of the files that the last run, or the last crash, has left.
//!
//! Frames and heads are read, bodies are not, but for those of the last batch: that may have been torn. Everything
//! before the last beginning of a batch was synced when that was written, so damage there is damage; damage behind it
//! is the end of what was ever acknowledged, and all from there on is cut off.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::identity::AccountName;
use crate::mail::QueueId;
use crate::spool::index::Index;

use super::change;
use super::damage::{self, Kept, Region};
use super::disk::{Disk, DiskFile, read_exactly};
use super::draft::{BODIES, TEMPORARY};
use super::fields::Malformed;
use super::layout::LayoutError;
use super::ledger::{Ledger, Position};
use super::log;
use super::message;
use super::read::body_path;
use super::record::{Kind, Mark};
use super::scan::{Found, Scanner, Whole};
use super::segments::{Place, Segments};

/// What the files say.
pub(super) struct Recovered {
    pub(super) index: Index<Place>,
    pub(super) segments: Segments,
    pub(super) last_id: QueueId,
    pub(super) next_segment: u32,
    pub(super) damaged: u64,
}

/// Reads all segments.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    mark: Mark,
    now: Timestamp,
) -> Result<Recovered, LayoutError> {
    let mut recovery = Recovery {
        disk: &**disk,
        mark,
        now,
        accounts: HashSet::new(),
        has_cut: false,
        recovered: Recovered {
            index: Index::default(),
            segments: Segments::default(),
            last_id: QueueId::from_number(0),
            next_segment: 1,
            damaged: 0,
        },
    };
    let numbers = recovery.numbers()?;
    let lengths = recovery.lengths(&numbers)?;
    for number in &numbers {
        let length = lengths.get(number).copied();
        let replayed = recovery.replay(*number, length)?;
        recovery.recovered.segments.grow(*number, replayed);
        recovery.recovered.next_segment = number.saturating_add(1);
    }
    recovery.skip_numbers_of_damage()?;
    recovery.check_bodies()?;
    // The clock may have been set back since the last message came.
    let Recovered { index, last_id, .. } = &mut recovery.recovered;
    index.note_time(Timestamp::from_unix_millis(last_id.number() >> 16));
    Ok(recovery.recovered)
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    mark: Mark,
    now: Timestamp,
    /// So that a million messages of one account share its name.
    accounts: HashSet<AccountName>,
    /// Whether a torn end was cut off.
    has_cut: bool,
    recovered: Recovered,
}

/// What stands between two beginnings of a batch.
enum Item {
    Damage(u64, u64, Option<QueueId>),
    Whole(Whole),
}

impl Recovery<'_> {
    fn numbers(&self) -> Result<Vec<u32>, LayoutError> {
        let names = self.disk.list(log::DIRECTORY);
        let mut numbers: Vec<_> = names
            .map_err(LayoutError::io("list", log::DIRECTORY))?
            .iter()
            .filter_map(|name| log::number_of(name))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Lets no new segment have the number of one whose octets are kept: its own damage would pass for that.
    fn skip_numbers_of_damage(&mut self) -> Result<(), LayoutError> {
        let names = self.disk.list(damage::DIRECTORY);
        let names = names.map_err(LayoutError::io("list", damage::DIRECTORY))?;
        let last = names
            .iter()
            .filter_map(|name| damage::segment_of(name))
            .max();
        let free = last.map_or(1, |last| last.saturating_add(1));
        self.recovered.next_segment = self.recovered.next_segment.max(free);
        Ok(())
    }

    /// Returns how much of each segment counts, as the newest segment that says so has it.
    fn lengths(&self, numbers: &[u32]) -> Result<BTreeMap<u32, u64>, LayoutError> {
        let mut lengths = BTreeMap::new();
        for number in numbers {
            let path = log::path_of(*number);
            let read = self.disk.open(&path).and_then(|file| {
                let end = file.length()?;
                Scanner::new(&*file, self.mark, 0, end).next()
            });
            match read.map_err(LayoutError::io("read", &path))? {
                Some(Found::Record(first)) if first.kind == Kind::Segment => {
                    // A header that has checked but is not understood says nothing.
                    lengths.extend(log::read_lengths(&first.head).unwrap_or_default());
                }
                Some(Found::Newer(version)) => {
                    return Err(LayoutError::Version(path, u32::from(version)));
                }
                Some(Found::Record(_) | Found::Damage { .. }) | None => {}
            }
        }
        Ok(lengths)
    }

    /// Reads one segment, of which `counts` octets count if that is known. Returns how many do.
    fn replay(&mut self, number: u32, counts: Option<u64>) -> Result<u64, LayoutError> {
        let path = log::path_of(number);
        let file = self.disk.open(&path);
        let file = file.map_err(LayoutError::io("read", &path))?;
        let length = file.length().map_err(LayoutError::io("read", &path))?;
        let end = counts.unwrap_or(length).min(length);
        self.recovered.segments.grow(number, end);
        let mut scanner = Scanner::new(&*file, self.mark, 0, end);
        let mut batch = Vec::new();
        while let Some(found) = scanner.next().map_err(LayoutError::io("read", &path))? {
            match found {
                Found::Newer(version) => {
                    return Err(LayoutError::Version(path, u32::from(version)));
                }
                Found::Damage { from, to, id } => batch.push(Item::Damage(from, to, id)),
                Found::Record(whole) if matches!(whole.kind, Kind::Batch | Kind::Segment) => {
                    self.apply_all(number, std::mem::take(&mut batch));
                }
                Found::Record(whole) => batch.push(Item::Whole(whole)),
            }
        }
        if let Some(counts) = counts {
            self.apply_all(number, batch);
            if counts > length {
                self.note_damage(number, (length, counts), None);
            }
            return Ok(end);
        }
        let cut = self.apply_last(number, &mut scanner, batch);
        cut.map_err(LayoutError::io("read", &path))
            .map(|cut| cut.unwrap_or(end))
    }

    fn apply_all(&mut self, number: u32, batch: Vec<Item>) {
        for item in batch {
            match item {
                Item::Damage(from, to, id) => self.note_damage(number, (from, to), id),
                Item::Whole(whole) => self.apply(number, &whole),
            }
        }
    }

    /// Applies the batch that may have been torn. Returns where it is cut off, if it is.
    fn apply_last(
        &mut self,
        number: u32,
        scanner: &mut Scanner<'_>,
        batch: Vec<Item>,
    ) -> io::Result<Option<u64>> {
        for item in batch {
            let torn = match item {
                Item::Damage(from, ..) => from,
                Item::Whole(whole) => match scanner.body(&whole) {
                    Ok(_) => {
                        self.apply(number, &whole);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => whole.at,
                    Err(error) => return Err(error),
                },
            };
            self.cut_off(number, torn)?;
            return Ok(Some(torn));
        }
        Ok(None)
    }

    /// Says what is cut off, and keeps it: nothing that was acknowledged, if the disk has kept its word.
    fn cut_off(&mut self, number: u32, from: u64) -> io::Result<()> {
        let file = self.disk.open(&log::path_of(number))?;
        let to = end_of_content(&*file, from)?;
        if to > from {
            self.has_cut = true;
            let region = Region {
                segment: number,
                from,
                to,
            };
            tracing::warn!(
                segment = number,
                offset = from,
                octets = to - from,
                "torn end cut off"
            );
            if damage::keep(self.disk, region) == Kept::Failed {
                self.recovered.segments.give_up(number);
            }
        }
        Ok(())
    }

    fn note_damage(&mut self, segment: u32, (from, to): (u64, u64), id: Option<QueueId>) {
        self.recovered.damaged += 1;
        let region = Region { segment, from, to };
        if damage::set_aside(self.disk, region, id) == Kept::Failed {
            self.recovered.segments.give_up(segment);
        }
    }

    fn apply(&mut self, number: u32, whole: &Whole) {
        if self.try_apply(number, whole).is_err() {
            let region = (whole.at, whole.at + whole.frame.length());
            self.note_damage(number, region, message::read_id(&whole.head));
        }
    }

    fn try_apply(&mut self, number: u32, whole: &Whole) -> Result<(), Malformed> {
        let position = Position {
            segment: number,
            offset: u32::try_from(whole.at).map_err(|_| Malformed)?,
            length: u32::try_from(whole.frame.length()).map_err(|_| Malformed)?,
        };
        match whole.kind {
            Kind::Message => self.arrive(&whole.head, position, 0),
            Kind::Messages => {
                for (part, message) in (1..).zip(change::read_together(&whole.head)?) {
                    self.arrive(message, position, part)?;
                }
                Ok(())
            }
            Kind::Settlement
            | Kind::Retry
            | Kind::Hold
            | Kind::Release
            | Kind::Standing
            | Kind::Delete
            | Kind::SetAside => {
                let change = change::read(&whole.head)?;
                self.see(change.id);
                self.ledger().stand(change.id, change.standing, position);
                for (part, report) in (1..).zip(change.reports) {
                    self.arrive(report, position, part)?;
                }
                Ok(())
            }
            Kind::Gone => {
                for id in change::read_gone(&whole.head)? {
                    self.see(id);
                    self.ledger().stand(id, None, position);
                }
                Ok(())
            }
            Kind::Batch | Kind::Segment => Ok(()),
        }
    }

    fn arrive(&mut self, head: &[u8], position: Position, part: u16) -> Result<(), Malformed> {
        let mut summary = message::summarize(head)?;
        if let Some(account) = summary.account.take() {
            let known = self.accounts.get(&account).cloned();
            summary.account = Some(known.unwrap_or_else(|| {
                self.accounts.insert(account.clone());
                account
            }));
        }
        self.see(summary.id);
        let place = position.place(part, summary.has_file);
        self.ledger().arrive(summary, place);
        Ok(())
    }

    fn see(&mut self, id: QueueId) {
        self.recovered.last_id = self.recovered.last_id.max(id);
    }

    fn ledger(&mut self) -> Ledger<'_> {
        Ledger {
            index: &mut self.recovered.index,
            segments: &mut self.recovered.segments,
            now: self.now,
        }
    }

    /// Sets messages aside whose own file is gone, and removes files that no message needs.
    fn check_bodies(&mut self) -> Result<(), LayoutError> {
        let names = self.disk.list(BODIES);
        let names = names.map_err(LayoutError::io("list", BODIES))?;
        let mut files = BTreeSet::new();
        for name in &names {
            if let Some(id) = QueueId::parse(name) {
                files.insert(id);
                self.see(id);
            }
        }
        let with_file = self.recovered.index.places();
        let missing: Vec<_> = with_file
            .filter(|(id, place)| place.has_file && !files.contains(id))
            .map(|(id, place)| (id, *place))
            .collect();
        for (id, place) in missing {
            let from = u64::from(place.offset);
            let region = (from, from + u64::from(place.length));
            self.note_damage(place.segment, region, Some(id));
            let gone = Position {
                segment: place.segment,
                offset: place.offset,
                length: 0,
            };
            self.ledger().stand(id, None, gone);
        }
        for name in &names {
            self.check_body(name);
        }
        Ok(())
    }

    fn check_body(&self, name: &str) {
        let path = format!("{BODIES}/{name}");
        let removed = match QueueId::parse(name) {
            Some(id)
                if self
                    .recovered
                    .index
                    .place(id)
                    .is_some_and(|place| place.has_file) =>
            {
                return;
            }
            // It may belong to a record that is damaged or was cut off.
            Some(id) if self.recovered.damaged > 0 || self.has_cut => {
                damage::set_body_aside(self.disk, id);
                return;
            }
            Some(id) => self.disk.remove(&body_path(id)),
            None if name.ends_with(TEMPORARY) => self.disk.remove(&path),
            None => return,
        };
        if let Err(error) = removed {
            tracing::warn!(%path, %error, "file not removed, the next start will");
        }
    }
}

/// Returns where the zeros begin that fill the rest of a file.
fn end_of_content(file: &dyn DiskFile, from: u64) -> io::Result<u64> {
    const PORTION: u64 = 1 << 20;
    let (mut at, mut end, length) = (from, from, file.length()?);
    while at < length {
        let portion = usize::try_from(PORTION.min(length - at)).map_err(io::Error::other)?;
        let octets = read_exactly(file, at, portion)?;
        if let Some(last) = octets.iter().rposition(|octet| *octet != 0) {
            end = at + last as u64 + 1;
        }
        at += portion as u64;
    }
    Ok(end)
}
