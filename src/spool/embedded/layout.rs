//! The spool's directory: what is in it, and the mark that all its records bear.

use std::io::{self, IoSlice};

use super::damage;
use super::disk::{Disk, read_exactly};
use super::draft::BODIES;
use super::log;
use super::record::{FRAME, Frame, Kind, Mark};
use super::scan::{Found, Scanner};

/// The file that names format and mark.
const FORMAT: &str = "format";

/// The version of the layout. Records have one of their own.
const VERSION: u32 = 1;

/// What the format file begins with.
const WORDS: &str = "posthouse-spool";

/// Why the layout cannot be used.
#[derive(Debug)]
pub(super) enum LayoutError {
    Io(&'static str, String, io::Error),
    Version(String, u32),
}

impl LayoutError {
    pub(super) fn io(action: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io(action, path, error)
    }
}

/// Makes what is missing of the layout and returns the mark. `fresh` is the mark of a spool that is made now.
pub(super) fn prepare(disk: &dyn Disk, fresh: Mark) -> Result<Mark, LayoutError> {
    let known = read_format(disk)?;
    for directory in [log::DIRECTORY, BODIES, damage::DIRECTORY] {
        let made = disk.create_dir(directory);
        made.map_err(LayoutError::io("create", directory))?;
    }
    disk.sync_dir("").map_err(LayoutError::io("sync", ""))?;
    if let Some(mark) = known {
        return Ok(mark);
    }
    // A format file that is damaged or gone does not cost the messages: every record has the mark too.
    let mark = read_mark(disk)?.unwrap_or(fresh);
    write_format(disk, mark).map_err(LayoutError::io("write", FORMAT))?;
    Ok(mark)
}

fn read_format(disk: &dyn Disk) -> Result<Option<Mark>, LayoutError> {
    let read = disk.open(FORMAT).and_then(|file| {
        let length = file.length()?.min(256);
        read_exactly(&*file, 0, usize::try_from(length).unwrap_or_default())
    });
    let text = match read {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LayoutError::io("read", FORMAT)(error)),
    };
    let Some((version, mark)) = parse_format(&text) else {
        return Ok(None);
    };
    if version > VERSION {
        return Err(LayoutError::Version(FORMAT.to_owned(), version));
    }
    Ok(mark)
}

/// Returns the version, and the mark where it is understood.
fn parse_format(text: &[u8]) -> Option<(u32, Option<Mark>)> {
    let mut words = str::from_utf8(text).ok()?.split_ascii_whitespace();
    if words.next()? != WORDS {
        return None;
    }
    let version = words.next()?.parse().ok()?;
    let mark = words.next().filter(|digits| digits.len() == 16);
    let mark = mark.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Some((version, mark.map(|mark| Mark(mark.to_be_bytes()))))
}

fn write_format(disk: &dyn Disk, mark: Mark) -> io::Result<()> {
    let temporary = format!("{FORMAT}.tmp");
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = disk.create(&temporary, 0)?;
    let digits = u64::from_be_bytes(mark.0);
    let text = format!("{WORDS} {VERSION} {digits:016x}\n");
    file.append(&mut [IoSlice::new(text.as_bytes())])?;
    file.sync()?;
    disk.rename(&temporary, FORMAT)?;
    disk.sync_dir("")
}

/// Reads the mark from the first segment that begins with a whole record.
fn read_mark(disk: &dyn Disk) -> Result<Option<Mark>, LayoutError> {
    let names = disk.list(log::DIRECTORY);
    let mut numbers: Vec<_> = names
        .map_err(LayoutError::io("list", log::DIRECTORY))?
        .iter()
        .filter_map(|name| log::number_of(name))
        .collect();
    numbers.sort_unstable();
    for number in numbers {
        let path = log::path_of(number);
        let read = disk.open(&path).and_then(|file| {
            let length = file.length()?;
            let mut opening = [0; FRAME];
            file.read_at(&mut opening, 0)?;
            let Some(mark) = opening.get(4..12).and_then(|mark| mark.try_into().ok()) else {
                return Ok(None);
            };
            let mark = Mark(mark);
            let is_frame = Frame::read(mark, &opening).is_some();
            let found = Scanner::new(&*file, mark, 0, length).next()?;
            let is_first =
                matches!(found, Some(Found::Record(whole)) if whole.kind == Kind::Segment);
            Ok((is_frame && is_first).then_some(mark))
        });
        if let Some(mark) = read.map_err(LayoutError::io("read", &path))? {
            return Ok(Some(mark));
        }
    }
    Ok(None)
}
