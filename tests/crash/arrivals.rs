//! What came through, when, and in which life of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posthouse::clock::{Clock, SystemClock};

use crate::clients::{Part, parts};
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
    by_part: BTreeMap<Part, Vec<Arrival>>,
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
    part: Part,
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
        let (part, content) = (part_of(mail), number_inside(&mail.content));
        let Some(part) = part.filter(|(number, _)| Some(*number) == content) else {
            inner.mixed_up += 1;
            return;
        };
        let arrival = Arrival {
            life: inner.lives,
            at,
        };
        inner.by_part.entry(part).or_default().push(arrival);
    }

    /// Returns how many different messages have arrived, parts of a split one apart.
    pub(crate) fn parts(&self) -> usize {
        self.lock().by_part.len()
    }

    /// Returns how many messages arrived with the content of another, or without a number.
    pub(crate) fn mixed_up(&self) -> u64 {
        self.lock().mixed_up
    }

    /// Returns what is in `expected` and has not arrived.
    pub(crate) fn missing(&self, expected: &BTreeSet<Part>) -> BTreeSet<Part> {
        let inner = self.lock();
        let missing = expected
            .iter()
            .filter(|part| !inner.by_part.contains_key(part));
        missing.copied().collect()
    }

    /// Returns the messages of which a part has arrived and another has not.
    pub(crate) fn halves(&self) -> BTreeSet<u64> {
        let inner = self.lock();
        let has_gap = |number: u64| {
            let mut parts = parts(number).iter();
            parts.any(|domain| !inner.by_part.contains_key(&(number, *domain)))
        };
        let numbers = inner.by_part.keys().map(|(number, _)| *number);
        numbers.filter(|number| has_gap(*number)).collect()
    }

    /// Returns each arrival that was not the first of its message.
    pub(crate) fn duplicates(&self) -> Vec<Duplicate> {
        let inner = self.lock();
        let mut duplicates = Vec::new();
        for (&part, arrivals) in &inner.by_part {
            for pair in arrivals.windows(2) {
                if let &[first, second] = pair {
                    duplicates.push(Duplicate {
                        part,
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

fn part_of(mail: &Mail) -> Option<Part> {
    let [recipient] = mail.recipients.as_slice() else {
        return None;
    };
    let (number, domain) = recipient.strip_prefix('n')?.split_once('@')?;
    let number = number.parse().ok()?;
    let domain = parts(number).iter().find(|known| **known == domain)?;
    Some((number, domain))
}

fn number_inside(content: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(content, b"\r\nX-Number: ")? + 12;
    let rest = content.get(start..)?;
    let end = memchr::memchr(b'\r', rest)?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}
