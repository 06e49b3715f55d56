//! Intsets: sets of integers as Redis's `intset.c` lays them out, which RDB stores as they are
//! (type 11). Knows nothing of the limits beyond which a set takes another form.
//!
//! ```text
//! width: u32 LE (2, 4 or 8 bytes)   count: u32 LE   count integers, ascending, LE, each of the width
//! ```
//!
//! The width grows with the first integer that needs it, and never shrinks.

use super::Damage;
use super::buffer::Buffer;

/// An intset without elements.
pub(crate) const EMPTY: &[u8] = &[2, 0, 0, 0, 0, 0, 0, 0];

const HEADER_BYTES: usize = 8;

/// A valid intset, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intset<'a> {
    width: Width,
    integers: &'a [u8],
    /// The header, too.
    bytes: &'a [u8],
}

/// Bytes of an integer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// The least width that holds `value`.
    #[inline]
    fn of(value: i64) -> Self {
        if i16::try_from(value).is_ok() {
            Self::Two
        } else if i32::try_from(value).is_ok() {
            Self::Four
        } else {
            Self::Eight
        }
    }

    /// The width that a header's first four bytes name.
    #[inline]
    fn named(header: [u8; 4]) -> Option<Self> {
        match u32::from_le_bytes(header) {
            2 => Some(Self::Two),
            4 => Some(Self::Four),
            8 => Some(Self::Eight),
            _ => None,
        }
    }

    #[inline]
    fn bytes(self) -> usize {
        self as usize
    }
}

impl<'a> Intset<'a> {
    /// A view of an intset of ours, or of one that [`check`](Self::check) accepted.
    ///
    /// # Panics
    /// If the header is not one.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (header, integers) =
            bytes.split_first_chunk::<HEADER_BYTES>().expect("an intset has a header");
        let [a, b, c, d, ..] = *header;
        Self { width: Width::named([a, b, c, d]).expect("an intset has a width"), integers, bytes }
    }

    /// Validates bytes from outside: width, length, order. Returns the number of elements.
    ///
    /// # Errors
    /// Like Redis, refuses an empty set too.
    pub(crate) fn check(bytes: &'a [u8]) -> Result<usize, Damage> {
        let Some((&[a, b, c, d, e, f, g, h], integers)) = bytes.split_first_chunk::<HEADER_BYTES>()
        else {
            return Err(Damage::new(0, "an intset shorter than its header"));
        };
        let width = Width::named([a, b, c, d])
            .ok_or_else(|| Damage::new(0, "an intset of an unknown width"))?;
        let stated = u64::from(u32::from_le_bytes([e, f, g, h]));
        if stated == 0 {
            return Err(Damage::new(4, "an intset without elements"));
        }
        if integers.len() as u64 != stated * width.bytes() as u64 {
            return Err(Damage::new(4, "an intset of another length than it states"));
        }
        let set = Self { width, integers, bytes };
        let unsorted = (1..set.len()).find(|&index| set.get(index - 1) >= set.get(index));
        match unsorted {
            Some(index) => Err(Damage::new(
                HEADER_BYTES + index * width.bytes(),
                "an intset's element out of order",
            )),
            None => Ok(set.len()),
        }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        self.integers.len() / self.width.bytes()
    }

    #[inline]
    #[cfg(test)]
    pub(crate) fn is_empty(self) -> bool {
        self.integers.is_empty()
    }

    #[inline]
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The element at `index` in ascending order.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn get(self, index: usize) -> i64 {
        match self.width {
            Width::Two => i64::from(i16::from_le_bytes(self.raw(index))),
            Width::Four => i64::from(i32::from_le_bytes(self.raw(index))),
            Width::Eight => i64::from_le_bytes(self.raw(index)),
        }
    }

    #[inline]
    fn raw<const N: usize>(self, index: usize) -> [u8; N] {
        let (integers, _) = self.integers.as_chunks::<N>();
        integers[index]
    }

    /// The elements in ascending order.
    #[inline]
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + 'a {
        (0..self.len()).map(move |index| self.get(index))
    }

    /// The index of `value`, or else where it would be inserted.
    #[inline]
    pub(crate) fn find(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        if Width::of(value) > self.width {
            return Err(if value < 0 { 0 } else { high });
        }
        // Sets mostly grow at their end.
        if high == 0 || self.get(high - 1) < value {
            return Err(high);
        }
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.get(middle) < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if self.get(low) == value { Ok(low) } else { Err(low) }
    }

    #[inline]
    pub(crate) fn contains(self, value: i64) -> bool {
        self.find(value).is_ok()
    }
}

/// Adds `value`; false if it was there.
pub(crate) fn insert<B: Buffer + ?Sized>(set: &mut B, value: i64) -> bool {
    let view = Intset::new(set.bytes());
    let Err(index) = view.find(value) else {
        return false;
    };
    let (width, count) = (view.width, view.len() + 1);
    if Width::of(value) > width {
        let wider = widened(view, value);
        let old_len = set.bytes().len();
        set.splice(0, old_len, &wider);
        return true;
    }
    let raw = value.to_le_bytes();
    set.splice(HEADER_BYTES + index * width.bytes(), 0, &raw[..width.bytes()]);
    write_count(set, count);
    true
}

/// The intset with the width of `value`, which is less or more than all of its elements, and with
/// `value`.
fn widened(set: Intset<'_>, value: i64) -> Vec<u8> {
    let width = Width::of(value);
    let count = set.len() + 1;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + count * width.bytes());
    bytes.extend_from_slice(&(width as u32).to_le_bytes());
    bytes.extend_from_slice(&stored_count(count).to_le_bytes());
    let first = (value < 0).then_some(value);
    let last = (value >= 0).then_some(value);
    for integer in first.into_iter().chain(set.iter()).chain(last) {
        bytes.extend_from_slice(&integer.to_le_bytes()[..width.bytes()]);
    }
    bytes
}

/// Removes `value`; false if it was not there.
pub(crate) fn remove<B: Buffer + ?Sized>(set: &mut B, value: i64) -> bool {
    let view = Intset::new(set.bytes());
    let Ok(index) = view.find(value) else {
        return false;
    };
    remove_at(set, index);
    true
}

/// Removes the element at `index` in ascending order.
///
/// # Panics
/// If there is none.
pub(crate) fn remove_at<B: Buffer + ?Sized>(set: &mut B, index: usize) {
    let view = Intset::new(set.bytes());
    let (width, count) = (view.width, view.len() - 1);
    set.splice(HEADER_BYTES + index * width.bytes(), width.bytes(), &[]);
    write_count(set, count);
}

fn write_count<B: Buffer + ?Sized>(set: &mut B, count: usize) {
    set.bytes_mut()[4..HEADER_BYTES].copy_from_slice(&stored_count(count).to_le_bytes());
}

fn stored_count(count: usize) -> u32 {
    u32::try_from(count).expect("set-max-intset-entries ends a set long before its count's range")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set_of(values: &[i64]) -> Vec<u8> {
        let mut bytes = EMPTY.to_vec();
        for value in values {
            insert(&mut bytes, *value);
        }
        bytes
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        assert_eq!(set_of(&[3, -1]), [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 3, 0]);
        let wider = [4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(set_of(&[65536, 3]), wider);
        assert_eq!(set_of(&[3, 65536]), wider);
    }

    #[test]
    fn the_width_stays_when_the_widest_is_removed() {
        let mut bytes = set_of(&[1, i64::MIN]);
        assert!(remove(&mut bytes, i64::MIN));
        assert_eq!(bytes, [8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(!remove(&mut bytes, i64::MIN));
    }

    #[test]
    fn damaged_bytes_are_refused_where_they_are_wrong() {
        let cases: [(&[u8], usize); 7] = [
            (&[], 0),
            (&[2, 0, 0, 0, 0, 0, 0], 0),
            (&[3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0], 0),
            (&[2, 0, 0, 0, 0, 0, 0, 0], 4),
            (&[2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0], 4),
            (&[8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0], 4),
            (&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0], 10),
        ];
        for (bytes, offset) in cases {
            assert_eq!(Intset::check(bytes).unwrap_err().offset, offset, "{bytes:?}");
        }
    }

    fn integer() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20..20_i64,
            -40_000..40_000_i64,
            any::<i32>().prop_map(i64::from),
            any::<i64>()
        ]
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_added_and_not_removed(
            changes in prop::collection::vec((any::<bool>(), integer()), 0..200),
        ) {
            let (mut bytes, mut model) = (EMPTY.to_vec(), BTreeSet::new());
            for (add, value) in changes {
                if add {
                    prop_assert_eq!(insert(&mut bytes, value), model.insert(value));
                } else {
                    prop_assert_eq!(remove(&mut bytes, value), model.remove(&value));
                }
                let set = Intset::new(&bytes);
                prop_assert!(set.iter().eq(model.iter().copied()));
                prop_assert_eq!(set.contains(value), model.contains(&value));
                prop_assert_eq!(Intset::check(&bytes).ok(), (!model.is_empty()).then_some(model.len()));
            }
        }
    }
}
