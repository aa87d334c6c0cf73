//! What came through, when, and in which life of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, SystemClock};

use crate::support::recorder::Mail;

/// All arrivals at the upstream.
#[derive(Default)]
pub(crate) struct Arrivals {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Lives begun; the present one is the last.
    lives: usize,
    by_number: BTreeMap<u64, Vec<Arrival>>,
    mixed_up: u64,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    life: usize,
    at: Instant,
}

/// A second arrival of a message, with the one before it.
#[derive(Debug)]
pub(crate) struct Duplicate {
    #[expect(dead_code, reason = "shown where a copy is unexplained")]
    number: u64,
    first: Arrival,
    second: Arrival,
}

impl Duplicate {
    /// Whether the first arrival was so shortly before the end of its life that its record may not have been made.
    pub(crate) fn is_explained(&self, kills: &[Instant], window: Duration) -> bool {
        let death = kills.get(self.first.life - 1);
        let in_window = death.is_some_and(|&death| death < self.first.at + window);
        self.first.life < self.second.life && in_window
    }
}

impl Arrivals {
    /// The process is about to be started again.
    pub(crate) fn next_life(&self) {
        self.lock().lives += 1;
    }

    /// Takes note of a message.
    pub(crate) fn add(&self, mail: &Mail) {
        let at = SystemClock.instant();
        let mut inner = self.lock();
        let (number, content) = (number_of(mail), number_inside(&mail.content));
        let Some(number) = number.filter(|_| number == content) else {
            inner.mixed_up += 1;
            return;
        };
        let arrival = Arrival {
            life: inner.lives,
            at,
        };
        inner.by_number.entry(number).or_default().push(arrival);
    }

    /// Returns how many different messages have arrived.
    pub(crate) fn numbers(&self) -> usize {
        self.lock().by_number.len()
    }

    /// Returns how many messages arrived with the content of another, or without a number.
    pub(crate) fn mixed_up(&self) -> u64 {
        self.lock().mixed_up
    }

    /// Returns what is in `expected` and has not arrived.
    pub(crate) fn missing(&self, expected: &BTreeSet<u64>) -> BTreeSet<u64> {
        let inner = self.lock();
        let missing = expected
            .iter()
            .filter(|number| !inner.by_number.contains_key(number));
        missing.copied().collect()
    }

    /// Returns each arrival that was not the first of its message.
    pub(crate) fn duplicates(&self) -> Vec<Duplicate> {
        let inner = self.lock();
        let mut duplicates = Vec::new();
        for (&number, arrivals) in &inner.by_number {
            for pair in arrivals.windows(2) {
                if let &[first, second] = pair {
                    duplicates.push(Duplicate {
                        number,
                        first,
                        second,
                    });
                }
            }
        }
        duplicates
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number_of(mail: &Mail) -> Option<u64> {
    let recipient = mail.recipients.first()?;
    let number = recipient.strip_prefix('n')?.strip_suffix("@sink.example")?;
    number.parse().ok()
}

fn number_inside(content: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(content, b"\r\nX-Number: ")? + 12;
    let rest = content.get(start..)?;
    let end = memchr::memchr(b'\r', rest)?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}
