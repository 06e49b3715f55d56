//! A listpack as it is read.

use super::entry::{self, BackLen, entry_len};
use super::{COUNT_UNKNOWN, END, HEADER_BYTES, Item, parse_i64};
use crate::types::Damage;

/// A valid listpack, borrowed. Elements are named by the offset of their entry in its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listpack<'a>(&'a [u8]);

impl<'a> Listpack<'a> {
    /// A view of a listpack of ours, or of one that [`check`](Self::check) accepted.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Validates bytes from outside: header, every entry, end. Returns the number of elements,
    /// which may be none.
    pub(crate) fn check(bytes: &[u8]) -> Result<usize, Damage> {
        let ([a, b, c, d, e, f], [entries @ .., END]) =
            bytes
                .split_first_chunk::<HEADER_BYTES>()
                .ok_or_else(|| Damage::new(0, "a listpack shorter than its header"))?
        else {
            return Err(Damage::new(bytes.len().saturating_sub(1), "a listpack without its end"));
        };
        let (total, count) = (u32::from_le_bytes([*a, *b, *c, *d]), u16::from_le_bytes([*e, *f]));
        if u64::from(total) != bytes.len() as u64 {
            return Err(Damage::new(0, "a listpack of another length than it states"));
        }
        let (mut rest, mut elements) = (entries, 0);
        while !rest.is_empty() {
            let Some(after) = after_valid_entry(rest) else {
                let offset = HEADER_BYTES + entries.len() - rest.len();
                return Err(Damage::new(offset, "a listpack's entry that is not one"));
            };
            rest = after;
            elements += 1;
        }
        if count != COUNT_UNKNOWN && usize::from(count) != elements {
            return Err(Damage::new(4, "a listpack of another count than it states"));
        }
        Ok(elements)
    }

    /// Elements. Walks the listpack if there are more than its header can tell.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self.stated_len() {
            Some(len) => len,
            None => self.iter().count(),
        }
    }

    /// Elements by the header, unless they are more than it can tell.
    #[inline]
    fn stated_len(self) -> Option<usize> {
        let count = u16::from_le_bytes([self.0[4], self.0[5]]);
        (count != COUNT_UNKNOWN).then_some(usize::from(count))
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.end() == HEADER_BYTES
    }

    #[inline]
    pub(crate) fn bytes_len(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Offset of the byte that ends the listpack, which is where an appended element goes.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.0.len() - 1
    }

    /// The bytes of all entries, without header and end.
    #[inline]
    pub(super) fn entries(self) -> &'a [u8] {
        &self.0[HEADER_BYTES..self.end()]
    }

    #[inline]
    pub(crate) fn iter(self) -> Iter<'a> {
        Iter { bytes: self.0, front: HEADER_BYTES, back: self.end() }
    }

    /// Passes all elements to `each`: quicker than to iterate.
    #[inline]
    pub(crate) fn visit(self, mut each: impl FnMut(Item<'a>)) {
        let (mut at, end) = (HEADER_BYTES, self.end());
        while at < end {
            let (item, len) = entry::item_with_len(self.0, at);
            each(item);
            at += len;
        }
    }

    /// The element at `offset` and all behind it.
    #[inline]
    pub(crate) fn iter_from(self, offset: usize) -> Iter<'a> {
        Iter { front: offset, ..self.iter() }
    }

    /// All elements before the one at `offset`, which may be the end.
    #[inline]
    pub(crate) fn iter_before(self, offset: usize) -> Iter<'a> {
        Iter { back: offset, ..self.iter() }
    }

    #[inline]
    pub(crate) fn first(self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER_BYTES)
    }

    #[inline]
    pub(crate) fn last(self) -> Option<usize> {
        self.prev(self.end())
    }

    /// The element behind the one at `offset`.
    #[inline]
    pub(crate) fn next(self, offset: usize) -> Option<usize> {
        let next = offset + entry_len(self.0, offset);
        (next < self.end()).then_some(next)
    }

    /// The element before the one at `offset`, which may be the end.
    #[inline]
    pub(crate) fn prev(self, offset: usize) -> Option<usize> {
        (offset > HEADER_BYTES).then(|| entry_before(self.0, offset))
    }

    /// The element at `offset`.
    ///
    /// # Panics
    /// May, if no element begins there.
    #[inline]
    pub(crate) fn get(self, offset: usize) -> Item<'a> {
        entry::item(self.0, offset)
    }

    /// The element with this index; negative ones count from the end, -1 being the last.
    pub(crate) fn seek(self, index: i64) -> Option<usize> {
        let (index, from_end) = match usize::try_from(index) {
            Ok(index) => (index, None),
            Err(_) => (0, Some(usize::try_from(index.unsigned_abs()).ok()? - 1)),
        };
        match (self.stated_len(), from_end) {
            (Some(len), None) if index >= len => None,
            (Some(len), None) if index > len / 2 => self.seek_back(len - 1 - index),
            (_, None) => self.iter().nth(index).map(|(offset, _)| offset),
            (Some(len), Some(back)) if back >= len => None,
            (Some(len), Some(back)) if back > len / 2 => {
                self.seek(i64::try_from(len - 1 - back).ok()?)
            }
            (_, Some(back)) => self.seek_back(back),
        }
    }

    fn seek_back(self, index: usize) -> Option<usize> {
        self.iter().nth_back(index).map(|(offset, _)| offset)
    }

    /// The first element that is the string `value`, of those that stand `skip` elements apart:
    /// with 1 the fields of a hash.
    #[inline]
    pub(crate) fn find(self, value: &[u8], skip: usize) -> Option<usize> {
        self.find_from(HEADER_BYTES, value, skip)
    }

    /// As [`find`](Self::find), beginning with the element at `offset`, which may be the end.
    #[inline]
    pub(crate) fn find_from(self, offset: usize, value: &[u8], skip: usize) -> Option<usize> {
        if let Some(number) = parse_i64(value) {
            // Bytes from outside may hold an integer as a string.
            return self.find_where(offset, skip, |bytes, at| match entry::item(bytes, at) {
                Item::Int(own) => own == number,
                Item::Bytes(own) => own == value,
            });
        }
        let short_head =
            u8::try_from(value.len()).ok().filter(|len| *len < 64).map(|len| len | 0x80);
        let Some(head) = short_head else {
            return self.find_where(offset, skip, |bytes, at| {
                bytes[at] >= 0xe0
                    && matches!(entry::item(bytes, at), Item::Bytes(own) if own == value)
            });
        };
        self.find_where(offset, skip, |bytes, at| {
            let first = bytes[at];
            if first == head {
                bytes[at + 1..at + 1 + value.len()] == *value
            } else {
                // Bytes from outside may hold a short string under a long head.
                (0xe0..=0xf0).contains(&first)
                    && matches!(entry::item(bytes, at), Item::Bytes(own) if own == value)
            }
        })
    }

    /// The last element that is the string `value`, of those before `offset`, which may be the end.
    pub(crate) fn rfind_before(self, offset: usize, value: &[u8]) -> Option<usize> {
        let number = parse_i64(value);
        let is_it = |item| match item {
            Item::Int(own) => Some(own) == number,
            Item::Bytes(own) => own == value,
        };
        self.iter_before(offset).rev().find(|(_, item)| is_it(*item)).map(|(at, _)| at)
    }

    /// The listpack of `elements` elements from `offset` to the end.
    pub(crate) fn tail(self, offset: usize, elements: usize) -> Vec<u8> {
        let entries = &self.0[offset..self.end()];
        let mut pack = Vec::with_capacity(HEADER_BYTES + entries.len() + 1);
        let total = u32::try_from(pack.capacity()).expect("the tail is shorter than its listpack");
        pack.extend_from_slice(&total.to_le_bytes());
        pack.extend_from_slice(&u16::try_from(elements).unwrap_or(COUNT_UNKNOWN).to_le_bytes());
        pack.extend_from_slice(entries);
        pack.push(END);
        pack
    }

    #[inline]
    fn find_where(
        self,
        offset: usize,
        skip: usize,
        is_it: impl Fn(&[u8], usize) -> bool,
    ) -> Option<usize> {
        let bytes = self.0;
        let (mut at, end) = (offset, self.end());
        while at < end {
            if is_it(bytes, at) {
                return Some(at);
            }
            at += entry_len(bytes, at);
            for _ in 0..skip {
                if at < end {
                    at += entry_len(bytes, at);
                }
            }
        }
        None
    }
}

/// What follows the entry that these bytes begin with; `None` if they begin with none.
fn after_valid_entry(bytes: &[u8]) -> Option<&[u8]> {
    let body_len = entry::body_len(bytes)?;
    let (_, rest) = bytes.split_at_checked(body_len)?;
    rest.strip_prefix(BackLen::of(body_len).as_bytes())
}

/// Where the entry that ends at `end` begins.
#[inline]
fn entry_before(bytes: &[u8], end: usize) -> usize {
    let last = bytes[end - 1];
    if last < 0x80 {
        return end - 1 - usize::from(last);
    }
    let (mut body_len, mut shift, mut at) = (usize::from(last & 0x7f), 7, end - 1);
    loop {
        at -= 1;
        body_len |= usize::from(bytes[at] & 0x7f) << shift;
        if bytes[at] < 0x80 {
            return at - body_len;
        }
        shift += 7;
    }
}

/// Elements with their offsets, from both ends.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.front;
        if at >= self.back {
            return None;
        }
        self.front = at + entry_len(self.bytes, at);
        Some((at, entry::item(self.bytes, at)))
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        for _ in 0..n {
            if self.front >= self.back {
                return None;
            }
            self.front += entry_len(self.bytes, self.front);
        }
        self.next()
    }

    fn count(self) -> usize {
        let (mut at, mut count) = (self.front, 0);
        while at < self.back {
            at += entry_len(self.bytes, at);
            count += 1;
        }
        count
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = entry_before(self.bytes, self.back);
        Some((self.back, entry::item(self.bytes, self.back)))
    }

    #[inline]
    fn nth_back(&mut self, n: usize) -> Option<Self::Item> {
        for _ in 0..n {
            if self.front >= self.back {
                return None;
            }
            self.back = entry_before(self.bytes, self.back);
        }
        self.next_back()
    }
}
