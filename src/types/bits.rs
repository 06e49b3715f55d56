//! Strings as bits: counting, searching and combining them. Bit 0 is the highest of the first byte.
//!
//! Strings come in pieces, in order, so that a long one need not be copied into one.

pub(crate) mod field;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// What a range's bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Byte,
    Bit,
}

/// The bits from `start` to `end`, both included, cut to a string of `len` bytes; negative bounds
/// count from its end. Empty if nothing is left.
pub(crate) fn range(len: usize, start: i64, end: i64, unit: Unit) -> Range<u64> {
    let bits_each = if unit == Unit::Byte { 8 } else { 1 };
    let total = i64::try_from(len).unwrap_or(i64::MAX).saturating_mul(8 / bits_each);
    let absolute = |bound: i64| if bound < 0 { (total + bound).max(0) } else { bound };
    let (start, end) = (absolute(start), absolute(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    start.unsigned_abs() * bits_each.unsigned_abs()
        ..(end.unsigned_abs() + 1) * bits_each.unsigned_abs()
}

/// The pieces that a range reaches into, each with the range's bits in it and the bits before it.
fn parts<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    bits: Range<u64>,
) -> impl Iterator<Item = (&'a [u8], Range<usize>, u64)> {
    let mut before = 0;
    pieces.into_iter().map_while(move |piece| {
        let start = before;
        before += piece.len() as u64 * 8;
        let within = |bit: u64| (bit.clamp(start, before) - start) as usize;
        (start < bits.end).then(|| (piece, within(bits.start)..within(bits.end), start))
    })
}

/// Counts the set bits of a range.
pub(crate) fn count<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bits: Range<u64>) -> u64 {
    parts(pieces, bits).map(|(piece, bits, _)| count_within(piece, bits)).sum()
}

fn count_within(piece: &[u8], bits: Range<usize>) -> u64 {
    let Some(bytes) = piece.get(bits.start / 8..bits.end.div_ceil(8)) else { return 0 };
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 0 };
    let outside = [first & !(0xff >> (bits.start % 8)), last & tail_mask(bits.end)];
    ones(bytes) - outside.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The bits of the last byte that follow the end of a range.
fn tail_mask(end: usize) -> u8 {
    match end % 8 {
        0 => 0,
        kept => 0xff >> kept,
    }
}

/// Words that [`ones`] adds up bit by bit before it counts.
const BLOCK_WORDS: usize = 16;

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("chunks of eight"))
}

/// Adds three bits in each place: the sum's low and high bit.
fn add_bits(a: u64, b: u64, c: u64) -> (u64, u64) {
    (a ^ b ^ c, a & b | (a ^ b) & c)
}

/// Counts the set bits. Blocks of 16 words are first added up as 64 sums of one bit a word, kept
/// in five words (Harley and Seal): one word in 16 is counted, which is what costs most without an
/// instruction for it.
fn ones(bytes: &[u8]) -> u64 {
    let mut blocks = bytes.chunks_exact(BLOCK_WORDS * 8);
    let (mut sums, mut sixteens_count) = ([0_u64; 4], 0);
    for block in blocks.by_ref() {
        let mut words = [0; BLOCK_WORDS];
        words.iter_mut().zip(block.chunks_exact(8)).for_each(|(w, bytes)| *w = word(bytes));
        // Each step adds the carries of the step before, of which there are half as many.
        let mut carries = words;
        let mut count = BLOCK_WORDS;
        for sum in &mut sums {
            count /= 2;
            for pair in 0..count {
                let (a, b) = (carries[2 * pair], carries[2 * pair + 1]);
                (*sum, carries[pair]) = add_bits(*sum, a, b);
            }
        }
        sixteens_count += u64::from(carries[0].count_ones());
    }
    let summed: u64 = sums.iter().zip(0..).map(|(sum, i)| u64::from(sum.count_ones()) << i).sum();
    let words = blocks.remainder().chunks_exact(8);
    let last: u64 = words.remainder().iter().map(|byte| u64::from(byte.count_ones())).sum();
    let rest: u64 = words.map(|bytes| u64::from(word(bytes).count_ones())).sum();
    16 * sixteens_count + summed + rest + last
}

/// The position of the first bit in a range that is set, or clear.
pub(crate) fn position<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    bit: bool,
    bits: Range<u64>,
) -> Option<u64> {
    parts(pieces, bits)
        .find_map(|(piece, bits, before)| Some(before + position_within(piece, bit, bits)? as u64))
}

fn position_within(piece: &[u8], bit: bool, bits: Range<usize>) -> Option<usize> {
    let start = bits.start / 8;
    let bytes = piece.get(start..bits.end.div_ceil(8))?;
    // What is searched is turned into set bits.
    let flip = if bit { 0 } else { 0xff };
    let (&first, rest) = bytes.split_first()?;
    let head = (first ^ flip) & 0xff >> (bits.start % 8);
    let (at, byte) = match head {
        0 => {
            let at = other_byte(rest, flip)?;
            (start + 1 + at, rest[at] ^ flip)
        }
        _ => (start, head),
    };
    Some(at * 8 + byte.leading_zeros() as usize).filter(|&position| position < bits.end)
}

/// The first byte that is not `byte`.
fn other_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    const BLOCK: usize = 64;
    let same = u64::from_ne_bytes([byte; 8]);
    // Branches once a block: the processor compares its words side by side.
    let differs =
        |block: &&[u8]| block.chunks_exact(8).fold(0, |any, bytes| any | word(bytes) ^ same) != 0;
    let at = BLOCK * bytes.chunks_exact(BLOCK).take_while(|block| !differs(block)).count();
    bytes[at..].iter().position(|&other| other != byte).map(|within| at + within)
}

/// How BITOP combines strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    And,
    Or,
    Xor,
    /// Of one string.
    Not,
}

impl Operation {
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let names = [("AND", Self::And), ("OR", Self::Or), ("XOR", Self::Xor), ("NOT", Self::Not)];
        let named = names.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, operation)| *operation)
    }
}

/// Reads a string of pieces from its beginning to its end, then zeros.
#[derive(Debug)]
pub(crate) struct Cursor<'a, I> {
    pieces: I,
    rest: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Cursor<'a, I> {
    pub(crate) fn new(pieces: impl IntoIterator<IntoIter = I>) -> Self {
        Self { pieces: pieces.into_iter(), rest: &[] }
    }

    /// Takes at most `most` bytes, at least one before the end.
    fn take(&mut self, most: usize) -> Option<&'a [u8]> {
        while self.rest.is_empty() {
            self.rest = self.pieces.next()?;
        }
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        Some(taken)
    }

    /// Changes each byte of `target` by the next byte of the string; returns how many bytes the
    /// string had left for it.
    fn apply(&mut self, target: &mut [u8], change: impl Fn(&mut u8, u8)) -> usize {
        let mut done = 0;
        while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(taken) = self.take(rest.len()) else { break };
            rest.iter_mut().zip(taken).for_each(|(byte, &other)| change(byte, other));
            done += taken.len();
        }
        done
    }
}

/// Writes the next `target.len()` bytes of the combination of strings; shorter strings go on as
/// zeros. Call it again for the bytes that follow. `target` must be zeros.
pub(crate) fn combine<'a, I: Iterator<Item = &'a [u8]>>(
    operation: Operation,
    strings: &mut [Cursor<'a, I>],
    target: &mut [u8],
) {
    let Some((first, others)) = strings.split_first_mut() else { return };
    first.apply(target, |byte, other| *byte = other);
    for string in others {
        match operation {
            Operation::And => {
                let done = string.apply(target, |byte, other| *byte &= other);
                target[done..].fill(0);
            }
            Operation::Or => drop(string.apply(target, |byte, other| *byte |= other)),
            Operation::Xor => drop(string.apply(target, |byte, other| *byte ^= other)),
            Operation::Not => {}
        }
    }
    if operation == Operation::Not {
        target.iter_mut().for_each(|byte| *byte = !*byte);
    }
}
