//! The one writer of the journal: a bounded buffer in memory, and the thread that empties it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::clock::{Clock, Timestamp};
use crate::mail::QueueId;
use crate::panics::contain;

use super::event::{Event, Record};
use super::files::{self, Part};
use super::lookup::{self, Found};

/// Where and for how long events are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The folder of the files; made where it is missing.
    pub directory: PathBuf,
    /// How long events are kept. Zero: none are, and what is there is removed.
    pub keep: Duration,
    /// Octets that all files may have; the oldest go first.
    pub max_size: u64,
}

/// Octets that may wait to be written. More are dropped.
const MAX_WAITING: usize = 8 << 20;

/// From so many octets on they are written at once.
const ENOUGH: usize = 1 << 20;

/// How long events are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// How often the writer looks for files that are too old.
const LOOK: Duration = Duration::from_mins(1);

/// How long the writer waits after the disk has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The longest time that one file is written to, so that old events go in portions.
const LONGEST_PART: Duration = Duration::from_hours(1);

/// The journal. Shared by all who tell something.
pub struct Journal {
    settings: Settings,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    /// `None` where nothing is kept, and after the end.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something has arrived, or is wanted.
    arrived: Condvar,
    /// What was wanted has been written.
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Events that had no room.
    dropped: u64,
    /// How many flushes have been asked for, and how many are done.
    wanted: u64,
    done: u64,
    is_closed: bool,
    /// Whether somebody empties the buffer.
    is_on: bool,
}

impl Journal {
    /// Makes a journal that keeps nothing and writes nothing.
    pub fn off(clock: Arc<dyn Clock>) -> Self {
        let settings = Settings {
            directory: PathBuf::new(),
            keep: Duration::ZERO,
            max_size: 0,
        };
        Self {
            settings,
            clock,
            shared: Arc::default(),
            thread: Mutex::new(None),
        }
    }

    /// Opens the journal: removes what is too old and starts the writer. A disk that fails is no error: it is warned of,
    /// and tried again.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut journal = Self::off(Arc::clone(&clock));
        let mut writer = Writer {
            settings: settings.clone(),
            clock,
            current: None,
            is_failing: false,
        };
        writer.prune();
        journal.settings = settings;
        if journal.settings.keep.is_zero() {
            return Ok(journal);
        }
        journal.shared.lock().is_on = true;
        let shared = Arc::clone(&journal.shared);
        let thread = thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || {
            // Whoever waits for a flush must not wait for a thread that has ended.
            let _ended = Ended(&shared);
            while contain(|| run(&shared, &mut writer)).is_err() {
                // What was in hand is gone, and half of a line may be in the file.
                writer.current = None;
                pause(&shared);
            }
        })?;
        journal.thread = Mutex::new(Some(thread));
        Ok(journal)
    }

    /// Returns whether events are kept at all.
    pub fn is_on(&self) -> bool {
        !self.settings.keep.is_zero()
    }

    /// Returns where and for how long events are kept.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Notes what happened to a message. Neither waits nor fails; `event` is called only where events are kept.
    pub fn record(&self, queue_id: QueueId, event: impl FnOnce() -> Event) {
        if !self.is_on() {
            return;
        }
        let record = Record {
            queue_id,
            time: self.clock.now(),
            event: event(),
        };
        let mut line = Vec::with_capacity(TYPICAL);
        // Fails only where a map has keys that are no text; a record has none.
        if serde_json::to_writer(&mut line, &record).is_err() {
            return;
        }
        line.push(b'\n');
        self.shared.push(&line);
    }

    /// Waits until everything noted before is in its file, or could not be written. Blocks.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// Finds all that is kept of a message, also what has been noted just now. Blocks on the disk.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn find(&self, queue_id: QueueId) -> io::Result<Found> {
        if !self.is_on() {
            return Ok(Found::default());
        }
        self.flush();
        lookup::find(&self.settings.directory, queue_id)
    }

    /// Writes what waits and ends the writer. Later events are dropped. Blocks.
    pub fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.arrived.notify_one();
        let thread = self.thread.lock().map(|mut thread| thread.take());
        if let Ok(Some(thread)) = thread {
            let _ended = thread.join();
        }
    }
}

/// About how long a line is, in octets.
const TYPICAL: usize = 640;

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        let before = waiting.lines.len();
        if waiting.is_closed || before + line.len() > MAX_WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        let after = waiting.lines.len();
        drop(waiting);
        // The writer sleeps until the first of a batch, and again until there are many.
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.arrived.notify_one();
        }
    }

    fn flush(&self) {
        let mut waiting = self.lock();
        if !waiting.is_on {
            return;
        }
        waiting.wanted += 1;
        let mine = waiting.wanted;
        self.arrived.notify_one();
        while waiting.done < mine && waiting.is_on {
            waiting = self
                .written
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What the writer takes at once.
struct Batch {
    lines: Vec<u8>,
    dropped: u64,
    wanted: u64,
    is_last: bool,
}

impl Waiting {
    fn is_urgent(&self) -> bool {
        self.is_closed || self.wanted > self.done || self.lines.len() >= ENOUGH
    }
}

/// Waits for something to write, but not longer than `patience`, and gathers what comes with it.
fn gather(shared: &Shared, spare: Vec<u8>, patience: Duration) -> Batch {
    let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.is_urgent();
    let waited = shared
        .arrived
        .wait_timeout_while(shared.lock(), patience, idle);
    let waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
    let few = |waiting: &mut Waiting| !waiting.lines.is_empty() && !waiting.is_urgent();
    let waited = shared.arrived.wait_timeout_while(waiting, GATHER, few);
    let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
    Batch {
        lines: std::mem::replace(&mut waiting.lines, spare),
        dropped: std::mem::take(&mut waiting.dropped),
        wanted: waiting.wanted,
        is_last: waiting.is_closed,
    }
}

/// Writes until the journal is closed.
fn run(shared: &Shared, writer: &mut Writer) {
    let mut spare = Vec::new();
    let mut looked = writer.clock.instant();
    let mut dropped = Dropped::default();
    loop {
        let mut batch = gather(shared, std::mem::take(&mut spare), LOOK);
        let now = writer.clock.instant();
        dropped.note(batch.dropped, now);
        let is_written = batch.lines.is_empty() || writer.write(&batch.lines);
        shared.lock().done = batch.wanted;
        shared.written.notify_all();
        if batch.is_last {
            return;
        }
        if now.saturating_duration_since(looked) >= LOOK {
            looked = now;
            writer.prune();
        }
        if !is_written {
            pause(shared);
        }
        batch.lines.clear();
        if batch.lines.capacity() <= KEPT {
            spare = batch.lines;
        }
    }
}

/// Events that were dropped and not told of yet; told at once, then once a minute.
#[derive(Default)]
struct Dropped {
    events: u64,
    told: Option<Instant>,
}

impl Dropped {
    fn note(&mut self, events: u64, now: Instant) {
        self.events += events;
        let is_fresh = |told: Instant| now.saturating_duration_since(told) < LOOK;
        if self.events == 0 || self.told.is_some_and(is_fresh) {
            return;
        }
        tracing::warn!(events = self.events, "journal events were dropped");
        *self = Self {
            events: 0,
            told: Some(now),
        };
    }
}

/// A buffer that is larger than this is given back.
const KEPT: usize = 2 * ENOUGH;

/// Lets the disk recover, unless the end comes first.
fn pause(shared: &Shared) {
    let open = |waiting: &mut Waiting| !waiting.is_closed && waiting.wanted == waiting.done;
    // Whatever ends the pause, the next batch is tried.
    drop(
        shared
            .arrived
            .wait_timeout_while(shared.lock(), AFTER_FAILURE, open),
    );
}

struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().is_on = false;
        self.0.written.notify_all();
    }
}

struct Writer {
    settings: Settings,
    clock: Arc<dyn Clock>,
    current: Option<(File, Part)>,
    /// Whether the last thing failed; told once.
    is_failing: bool,
}

impl Writer {
    /// Writes whole lines; returns whether that went well. What cannot be written is gone.
    fn write(&mut self, lines: &[u8]) -> bool {
        let now = self.clock.now();
        let written = self.try_write(lines, now);
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                // Half a line may be in the file; nothing is written behind it.
                self.current = None;
                if !self.is_failing {
                    let directory = self.settings.directory.display();
                    tracing::warn!(%error, %directory, "the journal cannot be written; mail goes on");
                }
                self.is_failing = true;
            }
        }
        !self.is_failing
    }

    fn try_write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        self.end_old_part(now);
        if self.current.is_none() {
            self.current = Some(files::create(&self.settings.directory, now)?);
            self.prune();
        }
        let Some((file, part)) = &mut self.current else {
            return Ok(());
        };
        file.write_all(lines)?;
        part.size += lines.len() as u64;
        Ok(())
    }

    /// Leaves a file that is large or old.
    fn end_old_part(&mut self, now: Timestamp) {
        let longest = LONGEST_PART.min(self.settings.keep);
        if let Some((_, part)) = &self.current
            && (part.size >= self.part_size() || now.since(part.began) >= longest)
        {
            self.current = None;
        }
    }

    /// Returns how large one file becomes.
    fn part_size(&self) -> u64 {
        (self.settings.max_size / PARTS).clamp(SMALLEST_PART, LARGEST_PART)
    }

    fn prune(&mut self) {
        let now = self.clock.now();
        self.end_old_part(now);
        let keep = u64::try_from(self.settings.keep.as_millis()).unwrap_or(u64::MAX);
        let oldest = if keep == 0 {
            Timestamp::MAX
        } else {
            Timestamp::from_unix_millis(now.unix_millis().saturating_sub(keep))
        };
        let max_size = self.settings.max_size.saturating_sub(self.part_size());
        let current = self.current.as_ref().map(|(_, part)| part.path.as_path());
        let directory = &self.settings.directory;
        if let Err(error) = files::prune(directory, current, oldest, max_size) {
            tracing::warn!(%error, directory = %directory.display(), "old journal files not removed");
        }
    }
}

/// About how many files there are at most, unless time makes more.
const PARTS: u64 = 16;
const SMALLEST_PART: u64 = 64 << 10;
const LARGEST_PART: u64 = 64 << 20;

#[cfg(test)]
mod tests;
