//! The generator behind `math.random`: the 48-bit linear congruence of `lrand48`, so that a seed
//! gives the same numbers on every machine.

use std::cell::Cell;

/// One more than the greatest number, less one: what Redis divides by.
pub(super) const RANDOM_MAX: i32 = i32::MAX;

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
/// The lowest 16 bits after seeding.
const SEED_LOW: u64 = 0x330E;
/// The state before anything was seeded.
const INITIAL: u64 = 0x1234_ABCD_330E;

/// Shared by EVAL and functions. Redis never seeds it by itself: it goes on from script to script.
#[derive(Debug)]
pub(crate) struct Random {
    state: Cell<u64>,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self { state: Cell::new(INITIAL) }
    }

    /// The next number: 31 bits.
    pub(super) fn next(&self) -> i32 {
        let state = self.state.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
        self.state.set(state);
        (state >> 17) as i32
    }

    pub(super) fn seed(&self, seed: i32) {
        self.state.set((u64::from(seed as u32) << 16) | SEED_LOW);
    }
}
