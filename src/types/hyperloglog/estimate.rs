//! The estimate of a count from the registers: Otmar Ertl's improved raw estimator ("New
//! cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6).
//!
//! Each operation happens in Redis's order, so that the result is the same to the last bit before
//! it is rounded.

use super::{REGISTERS, RUN_BITS};

/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;
/// Values that 6 bits may have; those over 51 only occur in foreign bytes.
const VALUES: usize = 64;

/// How many registers have each value.
#[derive(Debug)]
pub(super) struct Histogram([u32; VALUES]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; VALUES])
    }
}

impl Histogram {
    /// Counts `registers` of a value.
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        self.0[usize::from(value) % VALUES] += registers as u32;
    }

    /// Counts each register, in four histograms at once: equal neighbours need not wait for
    /// each other.
    pub(super) fn add_each(&mut self, registers: &[u8; REGISTERS]) {
        let mut parts = [[0_u32; VALUES]; 4];
        for four in registers.chunks_exact(4) {
            for (part, &value) in parts.iter_mut().zip(four) {
                part[usize::from(value) % VALUES] += 1;
            }
        }
        for part in parts {
            self.0.iter_mut().zip(part).for_each(|(sum, count)| *sum += count);
        }
    }

    /// The estimate, rounded to the nearest integer.
    pub(super) fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let of = |value: u32| f64::from(self.0[value as usize]);
        let mut z = registers * tau((registers - of(RUN_BITS + 1)) / registers);
        for value in (1..=RUN_BITS).rev() {
            z += of(value);
            z *= 0.5;
        }
        z += registers * sigma(of(0) / registers);
        (ALPHA * registers * registers / z).round() as u64
    }
}

/// Corrects for registers at their maximum: `x` is the share of the others.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let mut factor = 1.0;
    let mut z = 1.0 - x;
    loop {
        let before = z;
        x = x.sqrt();
        factor *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * factor;
        if z == before {
            return z / 3.0;
        }
    }
}

/// Corrects for registers that are still zero: `x` is their share.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let mut factor = 1.0;
    let mut z = x;
    loop {
        let before = z;
        x *= x;
        z += x * factor;
        factor += factor;
        if z == before {
            return z;
        }
    }
}
