//! Chance as a value: seeded once at the edge, so that tests and simulations repeat.

/// A stream of numbers that look random (`SplitMix64`). Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins a stream; the same seed gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number of the stream, any of 64 bits.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns the next number of the stream, from 0.0 up to and without 1.0.
    pub fn next_fraction(&mut self) -> f64 {
        let number = u32::try_from(self.next_number() >> 32).unwrap_or_default();
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_stay_in_their_range_and_differ() {
        let mut chance = Chance::new(7);
        let numbers: Vec<f64> = (0..1000).map(|_| chance.next_fraction()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(
            numbers.iter().any(|&number| number < 0.1)
                && numbers.iter().any(|&number| number > 0.9)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Chance::new(1), Chance::new(1));
        assert!((0..9).all(|_| one.next_number() == other.next_number()));
    }
}
