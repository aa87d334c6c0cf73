//! Where log lines go: to standard error, through a bounded queue and a thread of their own.
//!
//! A pipe that nobody reads, or a full disk behind it, must not stop mail (a blocked write would). Lines that find
//! the queue full are dropped and counted; the count is written as soon as there is room.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written.
const QUEUE: usize = 16_384;

/// How many octets are gathered into one write.
const GATHER: usize = 64 << 10;

/// How long the end of the process waits for what was logged last to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// For programs: one JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// What the log is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// A filter such as `info` or `info,posthouse::upstream=debug`.
    pub level: String,
    /// How lines look.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Text,
        }
    }
}

/// The running log. Dropping it writes what waits, and ends its thread; a thread that hangs in a write is left behind
/// after two seconds.
#[derive(Debug)]
pub struct Logging {
    lines: Lines,
    /// Nothing is ever sent: it is disconnected when the thread has ended.
    ended: mpsc::Receiver<()>,
}

#[derive(Clone, Debug)]
struct Lines {
    /// Of a kind that takes no lock to wake the thread: it is woken at once, before whoever woke it goes on, and all others
    /// would wait for that one.
    queue: Sender<Line>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    /// Whether the thread is to end when there are no more lines.
    is_ending: AtomicBool,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    End,
}

/// Starts logging for the whole process. A second call leaves the first in force.
///
/// # Errors
/// The level is not a filter, or the thread cannot be started.
pub fn start(settings: &Settings) -> io::Result<Logging> {
    let filter = EnvFilter::try_new(directives(&settings.level))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (queue, mut waiting) = channel(QUEUE);
    let lines = Lines {
        queue,
        shared: Arc::default(),
    };
    let shared = Arc::clone(&lines.shared);
    let (running, ended) = sync_channel(0);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            write_lines(&mut waiting, &shared, &mut io::stderr());
            drop::<mpsc::SyncSender<()>>(running);
        })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(lines.clone());
    // A test harness that has set its own subscriber keeps it.
    let _already_set = match settings.format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init(),
    };
    log_panics();
    Ok(Logging { lines, ended })
}

/// Warnings of the TLS library are about what clients do, which the log tells in words of its own: Java programs leave with
/// an alert, for example. A level that names `rustls` is obeyed.
fn directives(level: &str) -> String {
    format!("rustls=error,{level}")
}

/// A panic ends one session, one attempt or one other task. It goes to the log like everything else, as one line, in the span
/// of what it ends.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let error = text.unwrap_or("unknown");
        tracing::error!(alert = FAULT, place, error, hint = PANICKED, "panicked");
    }));
}

/// What the field `alert` says of a line that tells of a fault of the server.
const FAULT: &str = "system_error";

const PANICKED: &str = "this is a fault of posthouse that ended what the line names and nothing else; please report it with \
                        this line";

fn write_lines(waiting: &mut Receiver<Line>, shared: &Shared, output: &mut impl Write) {
    let mut gathered = Vec::with_capacity(GATHER);
    while let Some(Line::Text(text)) = waiting.blocking_recv() {
        gathered.extend_from_slice(&text);
        let mut is_over = false;
        while gathered.len() < GATHER {
            match waiting.try_recv() {
                Ok(Line::Text(text)) => gathered.extend_from_slice(&text),
                Ok(Line::End) => {
                    is_over = true;
                    break;
                }
                Err(_) => {
                    is_over = shared.is_ending.load(Ordering::Acquire);
                    break;
                }
            }
        }
        let lost = shared.dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            gathered.extend_from_slice(
                format!("WARN log lines were dropped lines={lost}\n").as_bytes(),
            );
        }
        // Nobody can be told that the log cannot be written.
        let _unwritable = output.write_all(&gathered);
        gathered.clear();
        if is_over {
            return;
        }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // Where the queue is full the thread is not waiting for lines, and sees this instead.
        self.lines.shared.is_ending.store(true, Ordering::Release);
        let _full = self.lines.queue.try_send(Line::End);
        // A pipe that nobody reads must not keep the process alive.
        let _ended = self.ended.recv_timeout(LAST_LINES);
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter {
            lines: self,
            text: Vec::with_capacity(256),
        }
    }
}

/// Gathers one line and puts it into the queue when it is dropped.
#[derive(Debug)]
struct LineWriter<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if let Err(TrySendError::Full(_)) = self.lines.queue.try_send(Line::Text(text)) {
            self.lines.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_nobody_reads_drops_lines_and_does_not_wait() {
        let (queue, _unread) = channel(1);
        let lines = Lines {
            queue,
            shared: Arc::default(),
        };
        for _ in 0..3 {
            lines.make_writer().write_all(b"line\n").unwrap();
        }
        assert_eq!(lines.shared.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_full_queue_is_written_to_its_end_before_the_log_ends() {
        let (queue, mut waiting) = channel(2);
        let shared = Shared::default();
        for _ in 0..2 {
            queue.try_send(Line::Text(b"line\n".to_vec())).unwrap();
        }
        shared.is_ending.store(true, Ordering::Release);
        let mut written = Vec::new();
        write_lines(&mut waiting, &shared, &mut written);
        assert_eq!(written, b"line\nline\n");
    }

    #[test]
    fn a_level_that_is_no_filter_is_an_error() {
        let settings = Settings {
            level: "loud=shout".to_owned(),
            format: Format::Text,
        };
        assert!(start(&settings).is_err());
    }

    #[test]
    fn warnings_of_the_tls_library_are_left_out_where_nobody_asks_for_them() {
        for (level, expected) in [
            ("info", "rustls=error"),
            ("info,rustls=warn", "rustls=warn"),
        ] {
            let filter = EnvFilter::try_new(directives(level)).unwrap().to_string();
            let of_rustls: Vec<&str> = filter
                .split(',')
                .filter(|directive| directive.starts_with("rustls"))
                .collect();
            assert_eq!(of_rustls, [expected], "{filter}");
        }
    }
}
