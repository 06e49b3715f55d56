//! The hash of elements: Austin Appleby's MurmurHash64A with Redis's seed, which the registers of
//! existing data depend on.

use super::{INDEX_BITS, REGISTERS, RUN_BITS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

fn murmur(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        let mixed = word.wrapping_mul(MULTIPLIER);
        let mixed = (mixed ^ mixed >> SHIFT).wrapping_mul(MULTIPLIER);
        hash = (hash ^ mixed).wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, &byte| tail << 8 | u64::from(byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

/// The register of an element, and the value that the element asks for: from 1 to 51.
pub(super) fn register(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element);
    let index = hash as usize % REGISTERS;
    // A bit past the last one ends the longest run.
    let rest = hash >> INDEX_BITS | 1 << RUN_BITS;
    (index, rest.trailing_zeros() as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::register;

    #[test]
    fn elements_select_the_registers_that_they_do_in_redis() {
        let cases: [(&[u8], (usize, u8)); 5] = [
            (b"", (5938, 2)),
            (b"a", (12711, 2)),
            (b"hello", (9216, 1)),
            (b"12345678", (10579, 3)),
            (b"limpid-limpid", (3854, 1)),
        ];
        for (element, expected) in cases {
            assert_eq!(register(element), expected, "{element:?}");
        }
    }
}
