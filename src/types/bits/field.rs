//! Integers of 1 to 64 bits anywhere in a string, as BITFIELD reads, sets and increments them.
//! Bits are numbered from the highest of the first byte; so are an integer's own.

use std::ops::Range;

use crate::number::parse_i64;

/// Width and sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldType {
    signed: bool,
    /// From 1 to 64 if signed, to 63 if not.
    bits: u8,
}

/// What to do with a result that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// Keep the low bits.
    #[default]
    Wrap,
    /// Take the nearest that fits.
    Saturate,
    /// Leave the field alone.
    Fail,
}

impl Overflow {
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let names = [("WRAP", Self::Wrap), ("SAT", Self::Saturate), ("FAIL", Self::Fail)];
        let named = names.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, overflow)| *overflow)
    }
}

impl FieldType {
    /// Reads `i1` to `i64` or `u1` to `u63`; as in Redis only up to a zero byte.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits, bits_max) = match text {
            [b'i', digits @ ..] => (true, digits, 64),
            [b'u', digits @ ..] => (false, digits, 63),
            _ => return None,
        };
        let digits = digits.split(|&byte| byte == 0).next().unwrap_or_default();
        let bits = parse_i64(digits).filter(|bits| (1..=bits_max).contains(bits))?;
        Some(Self { signed, bits: bits as u8 })
    }

    pub(crate) fn bits(self) -> u8 {
        self.bits
    }

    /// The low bits of `value` as the type shows them.
    fn wrap(self, value: i64) -> i64 {
        let unused = 64 - u32::from(self.bits);
        if self.signed {
            value << unused >> unused
        } else {
            ((value as u64) << unused >> unused) as i64
        }
    }

    /// What SET stores for `value`; `None` if it does not fit and must.
    pub(crate) fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        self.sum(value, 0, overflow)
    }

    /// What INCRBY stores for a sum; `None` if it does not fit and must.
    ///
    /// For SET, `value` itself may not fit. Redis then compares differences that may have wrapped:
    /// negative values saturate to the maximum when unsigned, or when too far below the minimum.
    pub(crate) fn sum(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        let max = ((1_u64 << (u32::from(self.bits) - u32::from(self.signed))) - 1) as i64;
        let wrapped = self.wrap(value.wrapping_add(increment));
        let (above, below, min) = if self.signed {
            let min = -max - 1;
            let (room_up, room_down) = (max.wrapping_sub(value), min.wrapping_sub(value));
            let narrow = self.bits != 64;
            let up = increment > room_up && (narrow || (value >= 0 && increment > 0));
            let down = increment < room_down && (narrow || (value < 0 && increment < 0));
            (value > max || up, value < min || down, min)
        } else {
            let above = !(0..=max).contains(&value) || (increment > 0 && increment > max - value);
            (above, increment < 0 && increment < -value, 0)
        };
        if !above && !below {
            return Some(value.wrapping_add(increment));
        }
        match overflow {
            Overflow::Wrap => Some(wrapped),
            Overflow::Saturate => Some(if above { max } else { min }),
            Overflow::Fail => None,
        }
    }
}

/// An integer's place in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: FieldType,
    /// Its first bit.
    pub(crate) offset: u64,
}

/// Most bytes that a field touches.
pub(crate) const FIELD_BYTES_MAX: usize = 9;

impl Field {
    /// The bytes that it touches, at most [`FIELD_BYTES_MAX`].
    pub(crate) fn bytes(self) -> Range<u64> {
        self.offset / 8..self.end().div_ceil(8)
    }

    /// The bit after its last.
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.kind.bits))
    }

    /// How far the integer is from the lowest bit of the last byte that it touches.
    fn shift(self) -> u32 {
        ((8 - self.end() % 8) % 8) as u32
    }

    fn bytes_len(self) -> usize {
        let bytes = self.bytes();
        (bytes.end - bytes.start) as usize
    }

    /// Reads it from the string's bytes in [`Field::bytes`]; those past the string's end, left
    /// out, are zeros.
    pub(crate) fn read(self, bytes: &[u8]) -> i64 {
        let value = self.load(bytes) >> self.shift();
        self.kind.wrap(value as i64)
    }

    fn load(self, bytes: &[u8]) -> u128 {
        let padded = bytes.iter().copied().chain(std::iter::repeat(0)).take(self.bytes_len());
        padded.fold(0, |value, byte| value << 8 | u128::from(byte))
    }

    /// Writes the low bits of `value` into the same bytes, all of which must be there.
    pub(crate) fn write(self, bytes: &mut [u8], value: i64) {
        let mask = u128::from(u64::MAX >> (64 - u32::from(self.kind.bits))) << self.shift();
        let value = u128::from(value as u64) << self.shift();
        let new = self.load(bytes) & !mask | value & mask;
        let new = new.to_be_bytes();
        let start = new.len() - self.bytes_len();
        bytes.iter_mut().zip(&new[start..]).for_each(|(byte, new)| *byte = *new);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(kind: &str, offset: u64) -> Field {
        Field { kind: FieldType::parse(kind.as_bytes()).expect("a type"), offset }
    }

    #[test]
    fn only_widths_that_fit_a_reply_are_types() {
        for text in ["i1", "i64", "u1", "u63", "u8\0x"] {
            assert!(FieldType::parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "i", "u", "i0", "i65", "u64", "u-1", "I8", "u08", "8", "i8 ", "u1.5"] {
            assert_eq!(FieldType::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn results_that_do_not_fit_wrap_saturate_or_fail() {
        use Overflow::{Fail, Saturate, Wrap};
        let cases = [
            ("u2", 3, 1, Wrap, Some(0)),
            ("u2", 3, 1, Saturate, Some(3)),
            ("u2", 3, 1, Fail, None),
            ("u2", 0, -1, Wrap, Some(3)),
            ("u2", 1, -5, Saturate, Some(0)),
            ("u8", -1, 0, Saturate, Some(255)),
            ("u8", -1, 0, Wrap, Some(255)),
            ("i1", 0, 1, Wrap, Some(-1)),
            ("i1", 0, 1, Saturate, Some(0)),
            ("i1", -5, 0, Saturate, Some(-1)),
            ("u63", i64::MAX, 1, Wrap, Some(0)),
            ("i8", 127, 1, Wrap, Some(-128)),
            ("i8", 127, 1, Saturate, Some(127)),
            ("i8", -128, -1, Saturate, Some(-128)),
            ("i8", -129, 0, Saturate, Some(-128)),
            ("i8", i64::MIN, 0, Saturate, Some(127)),
            ("i8", i64::MIN, 0, Wrap, Some(0)),
            ("i64", i64::MAX, 1, Wrap, Some(i64::MIN)),
            ("i64", i64::MAX, 1, Saturate, Some(i64::MAX)),
            ("i64", i64::MIN, -1, Saturate, Some(i64::MIN)),
            ("i64", i64::MIN, -1, Fail, None),
            ("i64", -1, i64::MIN, Wrap, Some(i64::MAX)),
            ("i1", 0, 1, Wrap, Some(-1)),
        ];
        for (kind, value, increment, overflow, expected) in cases {
            let kind = field(kind, 0).kind;
            assert_eq!(
                kind.sum(value, increment, overflow),
                expected,
                "{kind:?} {value} {increment}"
            );
        }
    }

    #[test]
    fn bytes_past_the_end_read_as_zeros() {
        assert_eq!(field("u16", 4).read(&[0xff]), 0xf000);
        assert_eq!(field("i16", 4).read(&[0xff]), -4096);
        assert_eq!(field("u16", 4).read(&[]), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_neighbours_stay(
            signed: bool,
            bits in 1_u8..=64,
            offset in 0_u64..100,
            value: i64,
            old in proptest::collection::vec(any::<u8>(), 24),
        ) {
            let kind = FieldType { signed, bits: if signed { bits } else { bits.min(63) } };
            let field = Field { kind, offset };
            let bytes = field.bytes().start as usize..field.bytes().end as usize;
            prop_assert!(bytes.len() <= FIELD_BYTES_MAX);
            let mut new = old.clone();
            field.write(&mut new[bytes.clone()], value);
            let expected = kind.fit(value, Overflow::Wrap);
            prop_assert_eq!(Some(field.read(&new[bytes])), expected);
            let bit = |bytes: &[u8], at: u64| bytes[at as usize / 8] >> (7 - at % 8) & 1;
            for at in 0..old.len() as u64 * 8 {
                if at < offset {
                    prop_assert_eq!(bit(&old, at), bit(&new, at));
                } else if at < field.end() {
                    let wanted = value as u64 >> (field.end() - 1 - at) & 1;
                    prop_assert_eq!(u64::from(bit(&new, at)), wanted);
                } else {
                    prop_assert_eq!(bit(&old, at), bit(&new, at));
                }
            }
        }
    }
}
