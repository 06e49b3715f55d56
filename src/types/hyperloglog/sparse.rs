//! Sparse registers: runs of equal registers, in order.
//!
//! ```text
//! 00nnnnnn           n + 1 registers are zero
//! 01nnnnnn nnnnnnnn  n + 1 registers are zero (high bits first)
//! 1vvvvvnn           n + 1 registers are v + 1
//! ```
//!
//! Runs are split and joined as Redis does it, since GET shows the bytes.

use std::fmt::Write;

use super::{Corrupted, HEADER_BYTES, REGISTERS};
use crate::types::buffer::Buffer;

/// Longest run of zeros in one byte.
const ZEROS_SHORT_MAX: usize = 64;
/// Longest run of a value.
const VALUE_RUN_MAX: usize = 4;
/// Greatest value that a run can have.
const VALUE_MAX: u8 = 32;
/// Runs that are looked at for joining after a change, from the one before it.
const JOIN_RUNS: usize = 5;

/// The run of all registers as zeros.
pub(super) const EMPTY: [u8; 2] = [0x7f, 0xff];

/// One run as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code {
    /// 0 for zeros.
    value: u8,
    registers: usize,
    bytes: usize,
}

impl Code {
    /// Reads the run at `at`. A second byte that is cut off reads as zero, as in Redis; [`raise`]
    /// refuses to change such a run, of which Redis would lose a byte.
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let first = *bytes.get(at)?;
        let low = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Self { value: 0, registers: low + 1, bytes: 1 },
            1 => {
                let second = bytes.get(at + 1).copied().unwrap_or(0);
                Self { value: 0, registers: (low << 8 | usize::from(second)) + 1, bytes: 2 }
            }
            _ => {
                let (value, registers) = ((first >> 2 & 0x1f) + 1, usize::from(first & 3) + 1);
                Self { value, registers, bytes: 1 }
            }
        })
    }
}

/// The byte of a run of 1 to 4 registers with a value from 1 to 32.
fn value_code(value: u8, registers: usize) -> u8 {
    0x80 | (value - 1) << 2 | (registers - 1) as u8
}

/// A few codes that replace one.
#[derive(Debug, Default)]
struct Codes {
    bytes: [u8; 5],
    len: usize,
}

impl Codes {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_zeros(&mut self, registers: usize) {
        let Some(stored) = registers.checked_sub(1) else { return };
        if registers > ZEROS_SHORT_MAX {
            self.push(0x40 | (stored >> 8) as u8);
        }
        self.push(stored as u8);
    }

    fn push_value(&mut self, value: u8, registers: usize) {
        if registers > 0 {
            self.push(value_code(value, registers));
        }
    }
}

/// Registers from `start` to before `end` with one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) value: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Calls `visit` with each run; all lie within the registers.
///
/// # Errors
/// [`Corrupted`] at a run that goes past the last register, or if registers are left over.
pub(super) fn runs(bytes: &[u8], mut visit: impl FnMut(Run)) -> Result<(), Corrupted> {
    let (mut at, mut start) = (0, 0);
    while let Some(code) = Code::read(bytes, at) {
        let end = start + code.registers;
        if end > REGISTERS {
            return Err(Corrupted);
        }
        visit(Run { value: code.value, start, end });
        (at, start) = (at + code.bytes, end);
    }
    if start == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

/// The runs in PFDEBUG DECODE's words: `z` and `Z` for zeros, `v` for a value and its registers.
pub(super) fn describe(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(code) = Code::read(bytes, at) {
        at += code.bytes;
        let Code { value, registers, bytes } = code;
        match (value, bytes) {
            (0, 1) => write!(text, "z:{registers} "),
            (0, _) => write!(text, "Z:{registers} "),
            _ => write!(text, "v:{value},{registers} "),
        }
        .expect("a string takes all text");
    }
    text.truncate(text.trim_end().len());
    text
}

/// What raising a register did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    Unchanged,
    Changed,
    /// Nothing changed: only dense registers can do it.
    NeedsDense,
}

/// A run where a search may begin, if the register lies past it: makes raising registers in
/// ascending order linear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    at: usize,
    first: usize,
}

impl Default for Hint {
    fn default() -> Self {
        Self { at: HEADER_BYTES, first: 0 }
    }
}

/// Raises a register of the HyperLogLog `bytes` to `value`. `hint` must come from a call on the
/// same bytes, or be the default; a register below the hint is looked for from the start.
///
/// # Errors
/// [`Corrupted`] if no run covers the register; nothing has changed then.
pub(super) fn raise<B: Buffer + ?Sized>(
    bytes: &mut B,
    index: usize,
    value: u8,
    max_bytes: usize,
    hint: &mut Hint,
) -> Result<Raised, Corrupted> {
    if value > VALUE_MAX {
        return Ok(Raised::NeedsDense);
    }
    let old = bytes.bytes();
    let start = if index >= hint.first { *hint } else { Hint::default() };
    let mut found = Found::search(old, index, start)?;
    if found.before.is_none() && start.at > HEADER_BYTES {
        // The run before is needed too.
        found = Found::search(old, index, Hint::default())?;
    }
    let Found { at, first, code, before } = found;
    *hint = before.unwrap_or_default();
    if code.value >= value {
        return Ok(Raised::Unchanged);
    }
    let (left, right) = (index - first, first + code.registers - 1 - index);
    let mut new = Codes::default();
    if code.value == 0 {
        new.push_zeros(left);
        new.push_value(value, 1);
        new.push_zeros(right);
    } else {
        new.push_value(code.value, left);
        new.push_value(value, 1);
        new.push_value(code.value, right);
    }
    let more = new.len.saturating_sub(code.bytes);
    if more > 0 && old.len() + more > max_bytes {
        return Ok(Raised::NeedsDense);
    }
    bytes.splice(at, code.bytes, &new.bytes[..new.len]);
    join(bytes, hint.at);
    Ok(Raised::Changed)
}

/// The run that covers a register.
#[derive(Debug)]
struct Found {
    at: usize,
    /// Its first register.
    first: usize,
    code: Code,
    /// The run before it, if the search passed one.
    before: Option<Hint>,
}

impl Found {
    fn search(bytes: &[u8], index: usize, start: Hint) -> Result<Self, Corrupted> {
        let (Hint { mut at, mut first }, mut before) = (start, None);
        loop {
            let code = Code::read(bytes, at).ok_or(Corrupted)?;
            if at + code.bytes > bytes.len() {
                return Err(Corrupted);
            }
            if index < first + code.registers {
                return Ok(Self { at, first, code, before });
            }
            before = Some(Hint { at, first });
            (at, first) = (at + code.bytes, first + code.registers);
        }
    }
}

/// Joins equal neighbours among a few runs from `at` on, where one run can hold both.
fn join<B: Buffer + ?Sized>(bytes: &mut B, mut at: usize) {
    for _ in 0..JOIN_RUNS {
        let Some(code) = Code::read(bytes.bytes(), at) else { return };
        let next = Code::read(bytes.bytes(), at + code.bytes);
        match next {
            Some(next)
                if code.value > 0
                    && next.value == code.value
                    && code.registers + next.registers <= VALUE_RUN_MAX =>
            {
                let joined = value_code(code.value, code.registers + next.registers);
                bytes.splice(at, 2, &[joined]);
            }
            _ => at += code.bytes,
        }
    }
}
