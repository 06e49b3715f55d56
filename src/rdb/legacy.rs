//! Ziplists and zipmaps: the packed encodings of servers before Redis 7.0, which are only read. No
//! I/O; does not know which types are stored in them, nor how RDB frames them.
//!
//! A ziplist (Redis's `ziplist.c`) is the blob of a list, sorted set or hash (RDB types 10, 12, 13)
//! and of a quicklist's node (type 14):
//!
//! ```text
//! total bytes: u32 LE   offset of the last entry: u32 LE   entries: u16 LE (65535: not known)
//! entries   0xff
//!
//! an entry is the length of the one before it (a byte, or 0xfe and u32 LE), a head, a payload
//!
//! 00nnnnnn         n bytes                  0xc0 vv        16 bits LE     0xf0 vvv   24
//! 01nnnnnn n       n bytes, high bits first 0xd0 vvvv      32             0xfe v      8
//! 10...... nnnn    n bytes, u32 BE          0xe0 vvvvvvvv  64             0xf1 to 0xfd: 0 to 12
//! ```
//!
//! A zipmap (`zipmap.c`) is the blob of a hash of servers before 2.6 (type 9):
//!
//! ```text
//! pairs: u8 (254: not known)   pairs   0xff
//!
//! a pair is a length, the field, a length, the number of unused bytes (u8), the value, these bytes
//! a length is a byte, or, from 254 on, 0xfe and u32 LE
//! ```
//!
//! What is accepted is what Redis 7.0 accepts when it validates deeply. Duplicate fields and
//! members, scores and the number of elements are left to the caller.

use crate::types::Damage;
use crate::types::listpack::{self, Item};

const END: u8 = 0xff;
/// Where a byte would be a length: a longer length follows.
const LONG: u8 = 0xfe;
const ZIPLIST_COUNT_UNKNOWN: u16 = u16::MAX;
const ZIPMAP_COUNT_UNKNOWN: u8 = 254;

/// The elements of a ziplist, which is validated as a whole first.
pub(super) fn ziplist_items(bytes: &[u8]) -> Result<ZiplistItems<'_>, Damage> {
    let mut source = Source(bytes);
    let (Some(total), Some(tail), Some(count)) =
        (source.u32_le(), source.u32_le(), source.array().map(u16::from_le_bytes))
    else {
        return Err(Damage::new(0, "a ziplist shorter than its header"));
    };
    if !usize::try_from(total).is_ok_and(|total| total == bytes.len()) {
        return Err(Damage::new(0, "a ziplist of another length than it states"));
    }
    let Some((&END, entries)) = source.0.split_last() else {
        return Err(Damage::new(bytes.len().saturating_sub(1), "a ziplist without its end"));
    };

    let offset_of = |rest: &[u8]| bytes.len().saturating_sub(rest.len()).saturating_sub(1);
    let (mut rest, mut elements, mut last) = (entries, 0_usize, None);
    let mut previous_len = 0;
    while !rest.is_empty() {
        let offset = offset_of(rest);
        let entry = ziplist_entry(rest)
            .ok_or_else(|| Damage::new(offset, "a ziplist's entry that is not one"))?;
        if !usize::try_from(entry.previous_len).is_ok_and(|len| len == previous_len) {
            return Err(Damage::new(offset, "a ziplist's entry that misstates the one before"));
        }
        previous_len = rest.len().saturating_sub(entry.rest.len());
        elements = elements.saturating_add(1);
        last = Some(offset);
        rest = entry.rest;
    }
    // Redis leaves the offset of the last entry unread where there is none.
    if last.is_some_and(|last| usize::try_from(tail) != Ok(last)) {
        return Err(Damage::new(4, "a ziplist that misstates where its last entry is"));
    }
    if count != ZIPLIST_COUNT_UNKNOWN && usize::from(count) != elements {
        return Err(Damage::new(8, "a ziplist of another count than it states"));
    }
    Ok(ZiplistItems { rest: entries, left: elements })
}

/// The fields and values of a zipmap, which is validated as a whole first.
pub(super) fn zipmap_items(bytes: &[u8]) -> Result<ZipmapItems<'_>, Damage> {
    let Some((count, rest)) = bytes.split_first() else {
        return Err(Damage::new(0, "a zipmap without its count"));
    };
    let Some((&END, pairs)) = rest.split_last() else {
        return Err(Damage::new(bytes.len().saturating_sub(1), "a zipmap without its end"));
    };
    let (mut rest, mut found) = (pairs, 0_usize);
    // Like Redis, ignores what follows an end before the last byte.
    while rest.first().is_some_and(|first| *first != END) {
        let offset = bytes.len().saturating_sub(rest.len()).saturating_sub(1);
        let pair = zipmap_pair(rest)
            .ok_or_else(|| Damage::new(offset, "a zipmap's pair that is not one"))?;
        found = found.saturating_add(1);
        rest = pair.rest;
    }
    if found == 0 {
        return Err(Damage::new(1, "a zipmap without pairs"));
    }
    if *count != ZIPMAP_COUNT_UNKNOWN && usize::from(*count) != found {
        return Err(Damage::new(0, "a zipmap of another count than it states"));
    }
    Ok(ZipmapItems { rest: pairs, left: found })
}

/// The listpack of these elements, as Redis 7.0 converts them when it loads them.
pub(super) fn listpack_of<'a>(items: impl Iterator<Item = Item<'a>>) -> Vec<u8> {
    let mut pack = listpack::EMPTY.to_vec();
    for item in items {
        listpack::push_back_item(&mut pack, item);
    }
    pack
}

/// A valid ziplist's elements in order.
#[derive(Clone, Debug)]
pub(super) struct ZiplistItems<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for ZiplistItems<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let entry = ziplist_entry(self.rest)?;
        self.rest = entry.rest;
        self.left = self.left.saturating_sub(1);
        Some(entry.item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ZiplistItems<'_> {}

/// A valid zipmap's fields and values, in order.
#[derive(Clone, Debug)]
pub(super) struct ZipmapItems<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for ZipmapItems<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = zipmap_pair(self.rest)?;
        self.rest = pair.rest;
        self.left = self.left.saturating_sub(1);
        Some((pair.field, pair.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ZipmapItems<'_> {}

struct ZiplistEntry<'a> {
    /// Bytes of the entry before, as this one states them.
    previous_len: u32,
    item: Item<'a>,
    rest: &'a [u8],
}

/// The entry that these bytes begin with; `None` if they begin with none.
fn ziplist_entry(bytes: &[u8]) -> Option<ZiplistEntry<'_>> {
    let mut source = Source(bytes);
    let previous_len = match source.byte()? {
        END => return None,
        LONG => source.u32_le()?,
        short => u32::from(short),
    };
    let head = source.byte()?;
    let item = match head {
        0x00..0x40 => Item::Bytes(source.bytes(u32::from(head))?),
        0x40..0x80 => {
            let len = u16::from_be_bytes([head & 0x3f, source.byte()?]);
            Item::Bytes(source.bytes(u32::from(len))?)
        }
        // Redis ignores the other bits of the head.
        0x80..0xc0 => {
            let len = u32::from_be_bytes(source.array()?);
            Item::Bytes(source.bytes(len)?)
        }
        0xc0 => Item::Int(i64::from(i16::from_le_bytes(source.array()?))),
        0xd0 => Item::Int(i64::from(i32::from_le_bytes(source.array()?))),
        0xe0 => Item::Int(i64::from_le_bytes(source.array()?)),
        0xf0 => {
            let [a, b, c] = source.array()?;
            Item::Int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8))
        }
        0xfe => Item::Int(i64::from(i8::from_le_bytes(source.array()?))),
        0xf1..=0xfd => Item::Int(i64::from(head.saturating_sub(0xf1))),
        _ => return None,
    };
    Some(ZiplistEntry { previous_len, item, rest: source.0 })
}

struct ZipmapPair<'a> {
    field: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

/// The pair that these bytes begin with; `None` if they begin with none.
fn zipmap_pair(bytes: &[u8]) -> Option<ZipmapPair<'_>> {
    let mut source = Source(bytes);
    let field_len = source.zipmap_len()?;
    let field = source.bytes(field_len)?;
    let value_len = source.zipmap_len()?;
    let unused = source.byte()?;
    let value = source.bytes(value_len)?;
    source.bytes(u32::from(unused))?;
    Some(ZipmapPair { field, value, rest: source.0 })
}

/// Bytes that are read from their start; every method returns `None` where they do not suffice.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn bytes(&mut self, len: u32) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The long form of a length that has a short one is no length, as in Redis since its fix of
    /// CVE-2026-25243.
    fn zipmap_len(&mut self) -> Option<u32> {
        match self.byte()? {
            END => None,
            LONG => self.u32_le().filter(|len| *len >= u32::from(LONG)),
            short => Some(u32::from(short)),
        }
    }
}

#[cfg(test)]
mod tests;
