//! Chance from a seed.

use posthouse::schedule::Chance;

/// A source of decisions that is the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Chance);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_number()
    }

    /// Returns a number from `low` to below `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    /// Returns true once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    pub(crate) fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        let place = self.between(0, things.len() as u64);
        &things[usize::try_from(place).unwrap()]
    }

    /// Returns another source, so that what one part draws does not change what another does.
    pub(crate) fn split(&mut self) -> Self {
        Self::new(self.next())
    }
}
