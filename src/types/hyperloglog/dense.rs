//! Dense registers: 6 bits each, the first register in the lowest bits of the first byte.

use super::REGISTERS;

const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u16 = (1 << REGISTER_BITS) - 1;
pub(super) const BYTES: usize = REGISTERS * REGISTER_BITS / 8;

/// The two bytes at `at`; the one after the last reads as zero, and no register reaches into it.
fn pair(packed: &[u8], at: usize) -> u16 {
    let byte = |at: usize| packed.get(at).copied().unwrap_or(0);
    u16::from_le_bytes([byte(at), byte(at + 1)])
}

pub(super) fn get(packed: &[u8], index: usize) -> u8 {
    let bit = index * REGISTER_BITS;
    (pair(packed, bit / 8) >> (bit % 8) & REGISTER_MAX) as u8
}

/// Sets a register; ignores one that lies outside.
pub(super) fn put(packed: &mut [u8], index: usize, value: u8) {
    let bit = index * REGISTER_BITS;
    let (at, shift) = (bit / 8, bit % 8);
    let value = u16::from(value) & REGISTER_MAX;
    let pair = pair(packed, at) & !(REGISTER_MAX << shift) | value << shift;
    packed.iter_mut().skip(at).zip(pair.to_le_bytes()).for_each(|(byte, new)| *byte = new);
}

/// Raises a register to `value`; returns whether it was lower.
pub(super) fn raise(packed: &mut [u8], index: usize, value: u8) -> bool {
    let lower = get(packed, index) < value;
    if lower {
        put(packed, index, value);
    }
    lower
}

/// Unpacks all registers: three bytes hold four.
pub(super) fn read(packed: &[u8], registers: &mut [u8; REGISTERS]) {
    for (bytes, four) in packed.chunks_exact(3).zip(registers.chunks_exact_mut(4)) {
        let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        for (position, register) in four.iter_mut().enumerate() {
            *register = (bits >> (position * REGISTER_BITS)) as u8 & REGISTER_MAX as u8;
        }
    }
}
