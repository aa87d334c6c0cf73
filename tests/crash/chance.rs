//! Chance that can be repeated.

/// `SplitMix64`: small, and the same on every machine.
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// Takes the seed from `POSTHOUSE_CRASH_SEED`, else a fixed one.
    ///
    /// # Panics
    ///
    /// The variable is not a number.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("POSTHOUSE_CRASH_SEED").ok();
        let seed = given.map_or(20_261_121, |text| text.parse().expect("a number"));
        Self { seed, state: seed }
    }

    /// Returns the seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
