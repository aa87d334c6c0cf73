//! Finding a message's events: the files that can have them, then a search for the octets of its id.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use memchr::memmem::Finder;

use crate::clock::Timestamp;
use crate::mail::QueueId;

use super::event::Record;
use super::files::{self, OPENING, Part, VERSION};

/// What the journal has of a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Its events in the order in which they were noted.
    pub records: Vec<Record>,
    /// When the oldest file begins; `None` where there is none.
    pub since: Option<Timestamp>,
    /// Files that a newer posthouse has written, which were not read.
    pub unread: usize,
}

/// How far the clock may have gone back between a message's id and its events.
const SLACK: Duration = Duration::from_mins(10);

/// Octets read at once.
const PORTION: usize = 1 << 20;

/// The longest line, in octets, that is believed to be one.
const LONGEST_LINE: usize = 4 << 20;

/// Events after which the search ends.
const MAX_EVENTS: usize = 5000;

/// Finds all events of a message in a folder of journal files. Blocks on the disk.
///
/// Files that ended before the id was made are read only where the others have nothing. The torn last line of a file,
/// left by a crash, is passed over.
///
/// # Errors
/// A file cannot be read.
pub fn find(directory: &Path, queue_id: QueueId) -> io::Result<Found> {
    let parts = files::list(directory)?;
    let mut found = Found {
        since: parts.first().map(|part| part.began),
        ..Found::default()
    };
    let made = Timestamp::from_unix_millis(queue_id.number() >> 16);
    let is_older = |part: &Part| part.ended.after(SLACK) < made;
    let (older, likely): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_older);
    for parts in [likely, older] {
        for part in parts {
            found.search(&part.path, queue_id)?;
        }
        if !found.records.is_empty() {
            break;
        }
    }
    Ok(found)
}

impl Found {
    fn search(&mut self, path: &Path, queue_id: QueueId) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let needle = format!("{{\"queue_id\":\"{queue_id}\"");
        let finder = Finder::new(needle.as_bytes());
        let (mut octets, mut is_first) = (Vec::new(), true);
        loop {
            let read = file
                .by_ref()
                .take(PORTION as u64)
                .read_to_end(&mut octets)?;
            let end = memchr::memrchr(b'\n', &octets).map_or(0, |at| at + 1);
            let lines = octets.get(..end).unwrap_or_default();
            if is_first && end > 0 {
                is_first = false;
                if version(lines).is_none_or(|version| version > VERSION) {
                    self.unread += 1;
                    return Ok(());
                }
            }
            self.take(lines, &finder);
            octets.drain(..end);
            if read == 0 || octets.len() > LONGEST_LINE || self.records.len() >= MAX_EVENTS {
                return Ok(());
            }
        }
    }

    fn take(&mut self, lines: &[u8], finder: &Finder<'_>) {
        for at in finder.find_iter(lines) {
            let is_line = at == 0 || lines.get(at - 1) == Some(&b'\n');
            let line = lines.get(at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
            let line = line.get(..end).unwrap_or_default();
            // A kind of event that a newer posthouse has added is passed over too.
            if is_line && let Ok(record) = serde_json::from_slice(line) {
                self.records.push(record);
            }
        }
    }
}

/// Returns the version in a file's first line.
fn version(lines: &[u8]) -> Option<u32> {
    let rest = lines.strip_prefix(OPENING)?;
    let end = memchr::memchr(b'}', rest)?;
    str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::journal::Event;

    fn id(millis: u64) -> QueueId {
        QueueId::first_at(Timestamp::from_unix_millis(millis))
    }

    fn line(queue_id: QueueId, event: Event) -> Vec<u8> {
        let time = Timestamp::from_unix_millis(queue_id.number() >> 16);
        let record = Record {
            queue_id,
            time,
            event,
        };
        let mut line = serde_json::to_vec(&record).unwrap();
        line.push(b'\n');
        line
    }

    fn write(folder: &Path, began: u64, octets: &[u8]) {
        let (mut file, _) = files::create(folder, Timestamp::from_unix_millis(began)).unwrap();
        file.write_all(octets).unwrap();
    }

    #[test]
    fn a_torn_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let whole = line(id(9), Event::Damaged);
        let torn = whole.get(..whole.len() - 5).unwrap();
        write(folder.path(), 1, &[whole.as_slice(), torn].concat());
        write(folder.path(), 2, &whole);
        assert_eq!(find(folder.path(), id(9)).unwrap().records.len(), 2);
    }

    #[test]
    fn an_id_in_a_text_is_not_taken_for_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{{\"queue_id\":\"{}\"", id(9));
        let event = Event::Operator {
            verb: crate::journal::Deed::Hold,
            by: text,
            route: Vec::new(),
        };
        write(folder.path(), 1, &line(id(8), event));
        assert_eq!(find(folder.path(), id(9)).unwrap().records, []);
    }

    #[test]
    fn events_are_found_across_portions() {
        let folder = tempfile::tempdir().unwrap();
        let mut octets = Vec::new();
        for number in 0..40_000 {
            octets.extend(line(id(number), Event::Damaged));
        }
        assert!(octets.len() > 2 * PORTION);
        write(folder.path(), 1, &octets);
        // All lines are of one length, so those are known that are cut in two.
        let (first, length) = (OPENING.len() + 3, line(id(0), Event::Damaged).len());
        let cut = [PORTION, 2 * PORTION].map(|end| ((end - first) / length) as u64);
        let near = cut.iter().flat_map(|number| number - 1..=number + 1);
        for number in near.chain([0, 39_999]) {
            let found = find(folder.path(), id(number)).unwrap();
            assert_eq!(found.records.len(), 1, "{number}");
        }
        assert_eq!(find(folder.path(), id(40_000)).unwrap().records, []);
    }

    #[test]
    fn events_older_than_their_id_are_found_too() {
        let folder = tempfile::tempdir().unwrap();
        // Ids never go back, also when the clock does.
        let far = 1 << 45;
        write(folder.path(), 1, &line(id(far), Event::Damaged));
        assert_eq!(find(folder.path(), id(far)).unwrap().records.len(), 1);
    }

    #[test]
    fn a_file_of_a_newer_version_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000000000001.jsonl");
        let mut file = File::create(path).unwrap();
        file.write_all(b"{\"posthouse_journal\":2}\n").unwrap();
        file.write_all(&line(id(9), Event::Damaged)).unwrap();
        let found = find(folder.path(), id(9)).unwrap();
        assert_eq!((found.records.len(), found.unread), (0, 1));
    }
}
