//! Figures of the spool that are read without a lock, and what follows from them: whether new mail must wait.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crate::mail::Priority;
use crate::spool::Pressure;
use crate::spool::index::Index;
use crate::spool::pressure::Level;

use super::segments::Place;
use super::settings::Settings;

/// Figures that are read without a lock.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    messages: Measured,
    octets: Measured,
    memory: Measured,
    free_space: Measured,
    pub(super) damaged: AtomicU64,
    /// The octets of drafts in memory.
    pub(super) drafts: AtomicUsize,
    /// The settlements that could not be written yet.
    pub(super) owed: AtomicUsize,
}

/// A figure and what is refused because of it.
#[derive(Debug, Default)]
struct Measured {
    figure: AtomicU64,
    level: AtomicU8,
}

impl Measured {
    fn set(&self, figure: u64, level: impl FnOnce(Level) -> Level) {
        self.figure.store(figure, Ordering::Relaxed);
        let level = level(self.level());
        self.level.store(level.number(), Ordering::Relaxed);
    }

    fn level(&self) -> Level {
        Level::from_number(self.level.load(Ordering::Relaxed))
    }

    fn figure(&self) -> u64 {
        self.figure.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Takes the sums over from the index.
    pub(super) fn set(&self, index: &Index<Place>, settings: &Settings) {
        let (stats, memory) = (index.stats(), index.memory());
        for (measured, figure, limit) in [
            (&self.messages, stats.messages, settings.max_messages),
            (&self.octets, stats.octets, settings.max_octets),
            (&self.memory, memory, settings.max_memory),
        ] {
            measured.set(figure, |before| {
                limit.map_or(Level::Free, |limit| Level::of_use(figure, limit, before))
            });
        }
    }

    /// Takes the free space of the disk over.
    pub(super) fn set_free_space(&self, free: u64, settings: &Settings) {
        self.free_space.set(free, |before| {
            Level::of_free_space(free, settings.min_free, before)
        });
    }

    /// Returns why mail of this priority must wait, if it must.
    pub(super) fn pressure(&self, priority: Priority) -> Option<Pressure> {
        let levels = [
            (Pressure::Disk, &self.free_space),
            (Pressure::Memory, &self.memory),
            (Pressure::Messages, &self.messages),
            (Pressure::Size, &self.octets),
        ];
        let found = levels
            .into_iter()
            .find(|(_, measured)| measured.level().refuses(priority));
        found.map(|(pressure, _)| pressure)
    }

    pub(super) fn count_damage(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the log has told of the levels.
#[derive(Debug, Default)]
pub(super) struct Told {
    disk: Level,
    memory: Level,
    messages: Level,
    size: Level,
}

impl Told {
    /// Tells the log of each level that has changed since the last call.
    pub(super) fn tell(&mut self, gauge: &Gauge, settings: &Settings) {
        let min_free = Some(settings.min_free);
        for (told, measured, (limit_of, limit)) in [
            (&mut self.disk, &gauge.free_space, ("min_free", min_free)),
            (
                &mut self.memory,
                &gauge.memory,
                ("max_memory", settings.max_memory),
            ),
            (
                &mut self.messages,
                &gauge.messages,
                ("max_messages", settings.max_messages),
            ),
            (
                &mut self.size,
                &gauge.octets,
                ("max_size", settings.max_octets),
            ),
        ] {
            let level = measured.level();
            let before = std::mem::replace(told, level);
            if level != before {
                let figure = measured.figure();
                tell(
                    (before, level),
                    limit_of,
                    (figure, limit.unwrap_or_default()),
                );
            }
        }
    }
}

/// Tells the log of one level, with the limit it belongs to and the most urgent priority that hears 452.
fn tell((before, level): (Level, Level), limit_of: &'static str, (figure, limit): (u64, u64)) {
    let refused_from = level.refused_from();
    if level < before {
        tracing::info!(
            limit_of,
            limit,
            figure,
            refused_from,
            "the spool has room again"
        );
        return;
    }
    match level {
        Level::All => {
            tracing::error!(
                limit_of,
                limit,
                figure,
                "the spool is full, new mail is refused"
            );
        }
        Level::Free | Level::VeryLow | Level::Low | Level::Normal => {
            tracing::warn!(
                limit_of,
                limit,
                figure,
                refused_from,
                "the spool fills up, low priorities are refused"
            );
        }
    }
}
