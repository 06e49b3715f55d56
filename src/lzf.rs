//! LZF, the compression of strings in RDB. Its output equals byte for byte that of liblzf 3.6's
//! `lzf_c.c` as Redis uses it (HLOG 16, VERY_FAST); it expands what any LZF compressor wrote. Does
//! not know how RDB frames the result.
//!
//! The format is a sequence of runs:
//!
//! ```text
//! 000LLLLL                     L+1 literal bytes follow
//! LLLooooo oooooooo            copy L+2 bytes from o+1 bytes back    (L from 1 to 6)
//! 111ooooo LLLLLLLL oooooooo   copy L+9 bytes from o+1 bytes back
//! ```
// Input is untrusted: see the same lints in `rdb`.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::arithmetic_side_effects
    )
)]

use std::fmt;

const HASH_BITS: u32 = 16;
const SLOTS: usize = 1 << HASH_BITS;
const LITERAL_RUN_MAX: usize = 1 << 5;
const OFFSET_MAX: usize = 1 << 13;
const MATCH_MAX: usize = (1 << 8) + (1 << 3);
/// Three bytes of input expand to at most `MATCH_MAX`; nothing expands further.
const EXPANSION_MAX: u64 = MATCH_MAX as u64 / 3;
/// Bytes of its output buffer that a compressor keeps between strings.
const SCRATCH_BYTES_KEPT: usize = 1 << 20;

/// Compresses strings, one after another.
///
/// A hash table maps three bytes to where they were last seen. liblzf's table of 65,536 slots is
/// uninitialised stack memory that it only checks, so that its output sometimes depends on earlier
/// input. Here a slot holds position + `base`, and `base` moves past all older positions with each
/// string: the table counts as empty without being cleared, which would cost more than compressing
/// a short string, and the output depends on the input alone.
pub(crate) struct Compressor {
    slots: Box<[u32; SLOTS]>,
    base: u32,
    out: Vec<u8>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Compressor {
    pub(crate) fn new() -> Self {
        let slots = vec![0; SLOTS].into_boxed_slice();
        Self {
            slots: slots.try_into().expect("the vector was made with SLOTS elements"),
            base: 0,
            out: Vec::new(),
        }
    }

    /// The compressed form of `input`, or `None` if that is longer than `out_bytes_max`.
    ///
    /// Inputs below four bytes or beyond 4 GiB are never compressed.
    pub(crate) fn compress(&mut self, input: &[u8], out_bytes_max: usize) -> Option<&[u8]> {
        let base = self.advance_base(input.len())?;
        self.out.clear();
        let mut runs = Runs::new(&mut self.out, out_bytes_max);

        let last_start = input.len().checked_sub(3)?;
        if last_start == 0 {
            return None;
        }
        let mut at = 0;
        while at <= last_start {
            let earlier = visit(&mut self.slots, base, input, at)?;
            let Some(matched) = earlier.and_then(|earlier| Match::find(input, earlier, at)) else {
                runs.literal(*input.get(at)?)?;
                at = at.wrapping_add(1);
                continue;
            };
            runs.copy(&matched)?;
            at = at.wrapping_add(matched.len);
            if at > last_start {
                break;
            }
            // Of the positions inside a match only the last two are entered: liblzf's VERY_FAST.
            visit(&mut self.slots, base, input, at.wrapping_sub(2))?;
            visit(&mut self.slots, base, input, at.wrapping_sub(1))?;
        }
        runs.finish(input.get(at..)?)?;
        Some(&self.out)
    }

    /// Frees the memory of a large output, which would otherwise be held until the next one.
    pub(crate) fn trim(&mut self) {
        self.out.clear();
        self.out.shrink_to(SCRATCH_BYTES_KEPT);
    }

    /// The base for an input of this length: beyond it, no slot holds anything.
    fn advance_base(&mut self, len: usize) -> Option<u32> {
        let len = u32::try_from(len).ok()?;
        let base = match self.base.checked_add(len) {
            Some(_) => self.base,
            None => {
                self.slots.fill(0);
                0
            }
        };
        self.base = base.checked_add(len)?;
        Some(base)
    }
}

/// Enters position `at` in the table, and returns the position that its three bytes' slot held.
/// Like liblzf this never returns position 0. The outer `None` is for an `at` without three bytes.
#[inline]
fn visit(slots: &mut [u32; SLOTS], base: u32, input: &[u8], at: usize) -> Option<Option<usize>> {
    let [a, b, c] = *input.get(at..)?.first_chunk::<3>()?;
    let bytes = u32::from_be_bytes([0, a, b, c]);
    let hash = (bytes >> (24 - HASH_BITS)).wrapping_sub(bytes.wrapping_mul(5));
    let [low, high, ..] = hash.to_le_bytes();
    let slot = slots.get_mut(usize::from(u16::from_le_bytes([low, high])))?;
    let earlier = slot.checked_sub(base).filter(|position| *position > 0);
    *slot = base.wrapping_add(u32::try_from(at).ok()?);
    Some(earlier.and_then(|position| usize::try_from(position).ok()))
}

/// Bytes that repeat those at an earlier position.
struct Match {
    /// How far back, in bytes, less one.
    offset: usize,
    /// How many bytes, from 3.
    len: usize,
}

impl Match {
    #[inline]
    fn find(input: &[u8], earlier: usize, at: usize) -> Option<Self> {
        let offset = at.checked_sub(earlier)?.checked_sub(1)?;
        let (old, new) = (input.get(earlier..)?, input.get(at..)?);
        if offset >= OFFSET_MAX || old.first_chunk::<3>()? != new.first_chunk::<3>()? {
            return None;
        }
        // liblzf stops two bytes before the end of the input, but its unrolled loop compares 19
        // bytes if more than 18 are left, and three always match.
        let max = new.len().saturating_sub(2).min(MATCH_MAX);
        let max = if max > 16 { max.max(19) } else { max.max(3) };
        let len = old.iter().zip(new).take(max).take_while(|(old, new)| old == new).count();
        Some(Self { offset, len })
    }
}

/// The output: each run of literals begins with its length, whose byte is reserved until the run
/// ends. Every method returns `None` when the output grows too long, at exactly the points where
/// liblzf gives up.
struct Runs<'a> {
    out: &'a mut Vec<u8>,
    out_bytes_max: usize,
    literals: usize,
}

impl<'a> Runs<'a> {
    fn new(out: &'a mut Vec<u8>, out_bytes_max: usize) -> Self {
        out.push(0);
        Self { out, out_bytes_max, literals: 0 }
    }

    #[inline]
    fn literal(&mut self, byte: u8) -> Option<()> {
        if self.out.len() >= self.out_bytes_max {
            return None;
        }
        self.push_literal(byte);
        Some(())
    }

    #[inline]
    fn push_literal(&mut self, byte: u8) {
        self.out.push(byte);
        self.literals = self.literals.wrapping_add(1);
        if self.literals == LITERAL_RUN_MAX {
            self.end_run();
            self.out.push(0);
        }
    }

    /// Fills in the length of the run, or removes its reserved byte if the run is empty.
    fn end_run(&mut self) {
        let start = self.out.len().saturating_sub(self.literals).saturating_sub(1);
        match u8::try_from(self.literals) {
            Ok(0) | Err(_) => self.out.truncate(start),
            Ok(literals) => {
                if let Some(length) = self.out.get_mut(start) {
                    *length = literals.wrapping_sub(1);
                }
            }
        }
        self.literals = 0;
    }

    fn copy(&mut self, matched: &Match) -> Option<()> {
        self.end_run();
        if self.out.len().wrapping_add(4) >= self.out_bytes_max {
            return None;
        }
        let [offset_low, offset_high, ..] = matched.offset.to_le_bytes();
        let len = u16::try_from(matched.len).ok()?.checked_sub(2)?;
        match u8::try_from(len) {
            Ok(len @ ..7) => self.out.push(offset_high | len << 5),
            _ => {
                self.out.push(offset_high | 7 << 5);
                self.out.push(u8::try_from(len.checked_sub(7)?).ok()?);
            }
        }
        self.out.push(offset_low);
        self.out.push(0);
        Some(())
    }

    fn finish(mut self, rest: &[u8]) -> Option<()> {
        if self.out.len().wrapping_add(3) > self.out_bytes_max {
            return None;
        }
        for byte in rest {
            self.push_literal(*byte);
        }
        self.end_run();
        Some(())
    }
}

/// Why compressed bytes were not expanded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ExpandError {
    /// They are damaged, or do not expand to the length they should.
    Damaged,
    /// There is no memory for that length.
    OutOfMemory,
}

/// Whether so many compressed bytes can expand to so many. Checked before either is allocated.
pub(crate) fn is_plausible(compressed_bytes: u64, expanded_bytes: u64) -> bool {
    expanded_bytes > 0 && expanded_bytes <= compressed_bytes.saturating_mul(EXPANSION_MAX)
}

/// Expands `input` to exactly `len` bytes.
pub(crate) fn expand(mut input: &[u8], len: usize) -> Result<Vec<u8>, ExpandError> {
    let compressed_bytes = u64::try_from(input.len()).unwrap_or(u64::MAX);
    if !u64::try_from(len).is_ok_and(|len| is_plausible(compressed_bytes, len)) {
        return Err(ExpandError::Damaged);
    }
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| ExpandError::OutOfMemory)?;
    while !input.is_empty() {
        input = expand_run(input, &mut out, len).ok_or(ExpandError::Damaged)?;
    }
    if out.len() == len { Ok(out) } else { Err(ExpandError::Damaged) }
}

/// Expands one run onto `out`, up to `len` bytes in all, and returns what follows it.
fn expand_run<'a>(input: &'a [u8], out: &mut Vec<u8>, len: usize) -> Option<&'a [u8]> {
    let room = len.checked_sub(out.len())?;
    let (control, rest) = input.split_first()?;
    if *control < 1 << 5 {
        let literals = usize::from(*control).wrapping_add(1);
        let (literals, rest) = rest.split_at_checked(literals)?;
        if literals.len() > room {
            return None;
        }
        out.extend_from_slice(literals);
        return Some(rest);
    }
    let (count, rest) = match control >> 5 {
        7 => {
            let (more, rest) = rest.split_first()?;
            (usize::from(*more).wrapping_add(9), rest)
        }
        count => (usize::from(count).wrapping_add(2), rest),
    };
    let (low, rest) = rest.split_first()?;
    let back = usize::from(u16::from_be_bytes([control & 0x1f, *low])).wrapping_add(1);
    if count > room {
        return None;
    }
    copy_back(out, back, count)?;
    Some(rest)
}

/// Appends `count` bytes from `back` bytes before the end. Where `count` is the greater, the bytes
/// appended first are copied again: 9 bytes from 3 back repeat the last three bytes three times.
fn copy_back(out: &mut Vec<u8>, back: usize, count: usize) -> Option<()> {
    let start = out.len().checked_sub(back)?;
    let mut left = count;
    while left > 0 {
        let end = start.checked_add(left)?.min(out.len());
        out.extend_from_within(start..end);
        left = left.checked_sub(end.checked_sub(start)?)?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
