//! Listpacks: sequences of strings and integers in one run of bytes, as Redis's `listpack.c` lays
//! them out and RDB stores them. Knows nothing of the limits beyond which a value takes another
//! form, nor of what the elements mean.
//!
//! ```text
//! total bytes: u32 LE   elements: u16 LE (65535: not known)   entries   0xff
//!
//! an entry is a head, a payload, and the length of both, to be read from its end
//!
//! 0vvvvvvv                    0 to 127              110vvvvv v   13 bits, signed, high bits first
//! 10nnnnnn                    n bytes, up to 63     0xf1 vv      16 bits LE    0xf2 vvv        24
//! 1110nnnn n                  n bytes, up to 4095   0xf3 vvvv    32            0xf4 vvvvvvvv   64
//! 0xf0 nnnn                   n bytes, u32 LE
//! ```
//!
//! The length at the end of an entry has 7 bits a byte, high ones first; all of its bytes but the
//! first have the top bit set, so that it can be read backwards.
//!
//! A string that is the decimal form of an i64 is stored as an integer of the least width. Every
//! function here writes the bytes that Redis would write.

use super::buffer::Buffer;
use crate::number::{Decimal, parse_i64};

mod entry;
mod view;

pub(crate) use entry::encoded_len;
use entry::{Entry, entry_len};
pub(crate) use view::{Iter, Listpack};

/// A listpack without elements.
pub(crate) const EMPTY: &[u8] = &[7, 0, 0, 0, 0, 0, END];

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
/// The header's count once there are too many elements for it. It stays, however many are deleted.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// An element as it is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Item<'a> {
    /// The string that is the decimal form of this number.
    Int(i64),
    /// The string itself.
    Bytes(&'a [u8]),
}

impl Item<'_> {
    /// Whether the element is this string.
    #[inline]
    pub(crate) fn equals(self, bytes: &[u8]) -> bool {
        match self {
            Self::Int(value) => parse_i64(bytes) == Some(value),
            Self::Bytes(own) => own == bytes,
        }
    }

    /// Passes the element's string to `read`.
    #[inline]
    pub(crate) fn with_bytes<R>(self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Int(value) => read(Decimal::new(value).as_bytes()),
            Self::Bytes(bytes) => read(bytes),
        }
    }

    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// Length of the element's string, in bytes.
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.with_bytes(<[u8]>::len)
    }

    /// The element as an integer, if its string is the decimal form of one.
    #[inline]
    pub(crate) fn integer(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value),
            Self::Bytes(bytes) => parse_i64(bytes),
        }
    }
}

/// Appends an element.
#[inline]
pub(crate) fn push_back<B: Buffer + ?Sized>(pack: &mut B, value: &[u8]) {
    let end = pack.bytes().len() - 1;
    insert_entry(pack, end, Entry::of_string(value));
}

/// Appends an element, the decimal form of `value`.
#[inline]
pub(crate) fn push_back_int<B: Buffer + ?Sized>(pack: &mut B, value: i64) {
    let end = pack.bytes().len() - 1;
    insert_entry(pack, end, Entry::Int(value));
}

/// Appends an element of another pack.
#[inline]
pub(crate) fn push_back_item<B: Buffer + ?Sized>(pack: &mut B, item: Item<'_>) {
    match item {
        Item::Int(value) => push_back_int(pack, value),
        Item::Bytes(value) => push_back(pack, value),
    }
}

/// Inserts an element before all others.
#[inline]
pub(crate) fn push_front<B: Buffer + ?Sized>(pack: &mut B, value: &[u8]) {
    insert_entry(pack, HEADER_BYTES, Entry::of_string(value));
}

/// Inserts an element before the one at `offset`, which may be the end.
#[inline]
pub(crate) fn insert_before<B: Buffer + ?Sized>(pack: &mut B, offset: usize, value: &[u8]) {
    insert_entry(pack, offset, Entry::of_string(value));
}

/// Inserts the decimal form of `value` before the element at `offset`, which may be the end.
#[inline]
pub(crate) fn insert_before_int<B: Buffer + ?Sized>(pack: &mut B, offset: usize, value: i64) {
    insert_entry(pack, offset, Entry::Int(value));
}

/// Inserts an element behind the one at `offset`.
pub(crate) fn insert_after<B: Buffer + ?Sized>(pack: &mut B, offset: usize, value: &[u8]) {
    let after = offset + entry_len(pack.bytes(), offset);
    insert_entry(pack, after, Entry::of_string(value));
}

/// Replaces the element at `offset`.
pub(crate) fn replace<B: Buffer + ?Sized>(pack: &mut B, offset: usize, value: &[u8]) {
    replace_entry(pack, offset, Entry::of_string(value));
}

/// Replaces the element at `offset` by the decimal form of `value`.
pub(crate) fn replace_int<B: Buffer + ?Sized>(pack: &mut B, offset: usize, value: i64) {
    replace_entry(pack, offset, Entry::Int(value));
}

/// Deletes the element at `offset` and those behind it, `elements` in all, or fewer if there are
/// fewer.
pub(crate) fn delete<B: Buffer + ?Sized>(pack: &mut B, offset: usize, elements: usize) {
    let bytes = pack.bytes();
    let end = bytes.len() - 1;
    let (mut after, mut deleted) = (offset, 0);
    while deleted < elements && after < end {
        after += entry_len(bytes, after);
        deleted += 1;
    }
    pack.splice(offset, after - offset, &[]);
    write_header(pack, 0, deleted);
}

/// Appends all elements of another listpack.
pub(crate) fn append_all<B: Buffer + ?Sized>(pack: &mut B, other: Listpack<'_>) {
    let end = pack.bytes().len() - 1;
    pack.splice(end, 0, other.entries());
    write_header(pack, other.len(), 0);
}

#[inline]
fn insert_entry<B: Buffer + ?Sized>(pack: &mut B, at: usize, entry: Entry<'_>) {
    entry.write(pack.open(at, 0, entry.len()));
    write_header(pack, 1, 0);
}

fn replace_entry<B: Buffer + ?Sized>(pack: &mut B, at: usize, entry: Entry<'_>) {
    let (old_len, len) = (entry_len(pack.bytes(), at), entry.len());
    if old_len == len {
        entry.write(&mut pack.bytes_mut()[at..at + len]);
        return;
    }
    entry.write(pack.open(at, old_len, len));
    write_header(pack, 0, 0);
}

/// Writes the length as it has become, and a count that has changed by so many elements.
#[inline]
fn write_header<B: Buffer + ?Sized>(pack: &mut B, added: usize, removed: usize) {
    let bytes = pack.bytes_mut();
    let total = u32::try_from(bytes.len()).expect("values leave this form long before 4 GiB");
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    if count != COUNT_UNKNOWN {
        let count = u16::try_from(usize::from(count) + added - removed).unwrap_or(COUNT_UNKNOWN);
        bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
