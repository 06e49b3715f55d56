//! A segment: up to 64 elements of a range of hashes, packed into one allocation.
//!
//! ```text
//! fingerprints | field lengths | value lengths | field value field value ...
//! ```
//!
//! The first three are columns of a byte per element, with room for a multiple of eight elements;
//! sets have no column of value lengths. A fingerprint is the low byte of the hash, of which the
//! segment's range says nothing. An element's bytes begin after the sum of the lengths before
//! it, which costs less to add up than offsets cost to store: two bytes of overhead for a member,
//! three for a field with its value. Fields and values longer than a length can say are kept
//! apart, in the order in which the columns mention them.

use std::sync::Arc;

use super::{PREFIX, charge};
use crate::prefetch::{prefetch, prefetch_all};
use crate::types::Freed;
use crate::types::allocation::{self, arc_bytes, arc_room, vec_bytes};
use crate::types::hashing::hash;

/// The length that stands for a field or value that is kept apart.
const APART: u8 = u8::MAX;
/// A segment with more elements is split.
const LEN_MAX: usize = 64;
/// Likewise one with more packed bytes: what the first write after a snapshot copies.
const BYTES_MAX: usize = 4096;
/// A segment with fewer elements and packed bytes is merged with a neighbour ...
const LEN_THIN: usize = 16;
const BYTES_THIN: usize = BYTES_MAX / 4;
/// ... if both together have at most so many.
const LEN_MERGED: usize = 48;
const BYTES_MERGED: usize = BYTES_MAX / 4 * 3;

/// An element: field and value, or a member with an empty value.
pub(crate) type Element<'a> = (&'a [u8], &'a [u8]);

/// Fields and values that are kept apart.
#[derive(Debug, Default)]
struct Apart(Vec<Arc<[u8]>>);

impl Clone for Apart {
    fn clone(&self) -> Self {
        Self(allocation::cloned(&self.0))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Segment<const VALUES: bool> {
    /// The lowest hash that belongs here. A node's first segment also takes lower ones.
    pub(super) first: u64,
    bytes: Arc<[u8]>,
    apart: Option<Arc<Apart>>,
    len: u32,
    /// Bytes in use, columns included.
    used: u32,
}

/// The length as a column has it.
#[inline]
fn mark(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).unwrap_or(APART)
}

/// Bytes packed for something of this length.
#[inline]
fn packed(mark: u8) -> usize {
    if mark == APART { 0 } else { usize::from(mark) }
}

/// Elements that a column has room for.
#[inline]
fn slots(len: usize) -> usize {
    len.next_multiple_of(8)
}

/// A bit for each zero byte: the byte's highest.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    !(((word & LOW) + LOW) | word | LOW)
}

/// The sum of the first `len` lengths of a column, eight at a time.
#[inline]
fn sum(column: &[u8], len: usize, lengths: impl Fn(u64) -> u64) -> usize {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    // Four sums of 16 bits, which all the lengths of 32 words together do not overflow.
    let lanes = |word: u64| (word & EVEN) + ((word >> 8) & EVEN);
    let total = |lanes: u64| (lanes.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize;
    let (words, _) = column.as_chunks();
    let word = |&bytes: &[u8; 8]| lengths(u64::from_le_bytes(bytes));
    let whole = words[..len / 8].chunks(32);
    let mut sum =
        whole.map(|words| total(words.iter().map(|bytes| lanes(word(bytes))).sum())).sum();
    if !len.is_multiple_of(8) {
        sum += total(lanes(word(&words[len / 8]) & ((1 << (len % 8 * 8)) - 1)));
    }
    sum
}

impl<const VALUES: bool> Segment<VALUES> {
    const COLUMNS: usize = if VALUES { 3 } else { 2 };

    pub(super) fn new(first: u64) -> Self {
        Self { first, bytes: Arc::default(), apart: None, len: 0, used: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Handles of the segment's bytes, its own included.
    pub(super) fn shares(&self) -> usize {
        Arc::strong_count(&self.bytes)
    }

    fn used(&self) -> usize {
        self.used as usize
    }

    /// The first `len` entries of a column.
    #[inline]
    fn column(&self, column: usize, len: usize) -> &[u8] {
        &self.bytes[column * slots(self.len())..][..len]
    }

    #[inline]
    fn marks(&self, index: usize) -> (u8, u8) {
        let slots = slots(self.len());
        let value = if VALUES { self.bytes[2 * slots + index] } else { 0 };
        (self.bytes[slots + index], value)
    }

    /// Where an element's bytes begin.
    #[inline]
    fn start(&self, index: usize) -> usize {
        let slots = slots(self.len());
        let lengths = |column| match self.apart {
            None => sum(self.column(column, slots), index, |marks| marks),
            // Without the marks of what is kept apart, whose bits are all set.
            Some(_) => sum(self.column(column, slots), index, |marks| {
                marks & !((zero_bytes(!marks) >> 7) * u64::from(APART))
            }),
        };
        Self::COLUMNS * slots + (1..Self::COLUMNS).map(lengths).sum::<usize>()
    }

    /// How many fields and values of the elements before this one are kept apart.
    fn apart_before(&self, index: usize) -> usize {
        if self.apart.is_none() {
            return 0;
        }
        let marks = (1..Self::COLUMNS).flat_map(|column| self.column(column, index));
        marks.filter(|&&mark| mark == APART).count()
    }

    fn apart(&self, rank: usize) -> &[u8] {
        &self.apart.as_ref().expect("a column mentions it").0[rank]
    }

    /// The element at an index, whose bytes begin at `start` and which `rank` fields and values
    /// that are kept apart precede.
    fn element_at(&self, index: usize, start: usize, rank: usize) -> Element<'_> {
        let (field_mark, value_mark) = self.marks(index);
        let middle = start + packed(field_mark);
        let field = match field_mark {
            APART => self.apart(rank),
            _ => &self.bytes[start..middle],
        };
        let value = match value_mark {
            APART => self.apart(rank + usize::from(field_mark == APART)),
            _ => &self.bytes[middle..middle + usize::from(value_mark)],
        };
        (field, value)
    }

    #[inline]
    pub(super) fn element(&self, index: usize) -> Element<'_> {
        self.element_at(index, self.start(index), self.apart_before(index))
    }

    pub(super) fn iter(&self) -> Elements<'_, VALUES> {
        let start = Self::COLUMNS * slots(self.len());
        Elements { segment: self, index: 0, start, rank: 0 }
    }

    /// Prefetches the columns.
    #[inline]
    pub(super) fn prefetch_columns(&self) {
        prefetch_all(&self.bytes[..Self::COLUMNS * slots(self.len())]);
    }

    /// Prefetches the first element that has the fingerprint of a hash.
    #[inline]
    pub(super) fn prefetch_element(&self, hash: u64) {
        if let Some(index) = self.with_fingerprint(hash).next() {
            prefetch(self.bytes.as_ptr().wrapping_add(self.start(index)));
        }
    }

    /// The indices of the elements with the fingerprint of a hash.
    #[inline]
    fn with_fingerprint(&self, hash: u64) -> impl Iterator<Item = usize> {
        let pattern = u64::from_ne_bytes([hash as u8; 8]);
        let (words, _) = self.column(0, slots(self.len())).as_chunks();
        let words = words.iter().enumerate().flat_map(move |(word, &fingerprints)| {
            let mut hits = zero_bytes(u64::from_le_bytes(fingerprints) ^ pattern);
            std::iter::from_fn(move || {
                let index = (hits != 0).then(|| word * 8 + hits.trailing_zeros() as usize / 8)?;
                hits &= hits - 1;
                Some(index)
            })
        });
        words.take_while(|&index| index < self.len())
    }

    /// The index of the element with this field.
    #[inline]
    pub(super) fn find(&self, hash: u64, field: &[u8]) -> Option<usize> {
        self.with_fingerprint(hash).find(|&index| self.has_field(index, field))
    }

    #[inline]
    fn has_field(&self, index: usize, field: &[u8]) -> bool {
        if self.marks(index).0 != mark(field) {
            return false;
        }
        if mark(field) == APART {
            return self.apart(self.apart_before(index)) == field;
        }
        let start = self.start(index);
        &self.bytes[start..start + field.len()] == field
    }

    /// Gives the columns the length `len`, and has `added` bytes at `at` in place of `removed`.
    /// What is in the columns stays; what is added is undefined.
    fn lay_out(&mut self, len: usize, at: usize, removed: usize, added: usize, meter: &mut usize) {
        let (old_slots, slots) = (slots(self.len()), slots(len));
        let (old_head, head) = (Self::COLUMNS * old_slots, Self::COLUMNS * slots);
        let (old_used, used) = (self.used(), self.used() - old_head - removed + head + added);
        (self.len, self.used) = (len as u32, used as u32);
        if len == 0 {
            charge(meter, Self::packed_bytes(&self.bytes), 0);
            self.bytes = Arc::default();
            return;
        }
        let (room, needed) = (self.bytes.len(), arc_room(used));
        if slots == old_slots && used <= room && room <= needed + needed / 2 {
            if added != removed && at + removed < old_used {
                let bytes = Arc::make_mut(&mut self.bytes);
                bytes.copy_within(at + removed..old_used, at + added);
            }
            return;
        }
        let old = std::mem::replace(&mut self.bytes, allocation::zeroed(needed));
        let bytes = Arc::get_mut(&mut self.bytes).expect("just made");
        for column in 0..Self::COLUMNS {
            let kept = slots.min(old_slots);
            bytes[column * slots..][..kept].copy_from_slice(&old[column * old_slots..][..kept]);
        }
        let new_at = head + at - old_head;
        bytes[head..new_at].copy_from_slice(&old[old_head..at]);
        bytes[new_at + added..used].copy_from_slice(&old[at + removed..old_used]);
        charge(meter, Self::packed_bytes(&old), Self::packed_bytes(&self.bytes));
    }

    /// Adds an element, which is not there.
    pub(super) fn push(&mut self, hash: u64, (field, value): Element<'_>, meter: &mut usize) {
        let index = self.len();
        let at = self.used() - Self::COLUMNS * slots(index);
        let added = packed(mark(field)) + packed(mark(value));
        let rank = self.apart.as_ref().map_or(0, |apart| apart.0.len());
        self.lay_out(index + 1, self.used(), 0, added, meter);
        let slots = slots(index + 1);
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes[index] = hash as u8;
        bytes[slots + index] = mark(field);
        if VALUES {
            bytes[2 * slots + index] = mark(value);
        }
        let mut at = Self::COLUMNS * slots + at;
        for part in [field, value].into_iter().filter(|part| mark(part) != APART) {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let apart = [field, value].into_iter().filter(|part| mark(part) == APART);
        for (rank, part) in (rank..).zip(apart) {
            self.insert_apart(rank, part, meter);
        }
    }

    /// Gives an element another value.
    pub(super) fn set_value(&mut self, index: usize, value: &[u8], meter: &mut usize) {
        debug_assert!(VALUES, "members have no values");
        let (field, old) = self.marks(index);
        let at = self.start(index) + packed(field);
        let rank = self.apart_before(index) + usize::from(field == APART);
        if old == APART {
            self.remove_apart(rank, meter);
        }
        self.lay_out(self.len(), at, packed(old), packed(mark(value)), meter);
        let column = 2 * slots(self.len());
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes[column + index] = mark(value);
        if mark(value) == APART {
            self.insert_apart(rank, value, meter);
        } else {
            bytes[at..at + value.len()].copy_from_slice(value);
        }
    }

    pub(super) fn remove(&mut self, index: usize, meter: &mut usize) {
        let (field, value) = self.marks(index);
        let (start, rank) = (self.start(index), self.apart_before(index));
        for mark in [field, value] {
            if mark == APART {
                self.remove_apart(rank, meter);
            }
        }
        let (len, slots) = (self.len(), slots(self.len()));
        let bytes = Arc::make_mut(&mut self.bytes);
        for column in (0..Self::COLUMNS).map(|column| column * slots) {
            bytes.copy_within(column + index + 1..column + len, column + index);
        }
        self.lay_out(len - 1, start, packed(field) + packed(value), 0, meter);
    }

    fn insert_apart(&mut self, rank: usize, bytes: &[u8], meter: &mut usize) {
        let before = self.apart_bytes();
        let Apart(apart) = Arc::make_mut(self.apart.get_or_insert_default());
        allocation::reserve(apart, 1);
        apart.insert(rank, Arc::from(bytes));
        charge(meter, before, self.apart_bytes() + arc_bytes(bytes.len()));
    }

    fn remove_apart(&mut self, rank: usize, meter: &mut usize) {
        let before = self.apart_bytes();
        let Apart(apart) = Arc::make_mut(self.apart.as_mut().expect("a column mentions it"));
        let removed = arc_bytes(apart.remove(rank).len());
        if apart.is_empty() {
            self.apart = None;
        } else if apart.len() < apart.capacity() / 2 {
            allocation::shrink(apart);
        }
        charge(meter, before + removed, self.apart_bytes());
    }

    /// Bytes allocated for packed bytes; an empty segment has no allocation.
    fn packed_bytes(bytes: &[u8]) -> usize {
        if bytes.is_empty() { 0 } else { arc_bytes(bytes.len()) }
    }

    /// Bytes allocated to keep track of fields and values that are kept apart.
    fn apart_bytes(&self) -> usize {
        let bytes = |apart: &Arc<Apart>| arc_bytes(size_of::<Apart>()) + vec_bytes(&apart.0);
        self.apart.as_ref().map_or(0, bytes)
    }

    /// Bytes allocated, except for fields and values that are kept apart.
    fn own_bytes(&self) -> usize {
        Self::packed_bytes(&self.bytes) + self.apart_bytes()
    }

    /// Bytes allocated, counted.
    pub(super) fn allocated_bytes(&self) -> usize {
        let apart = self.apart.iter().flat_map(|apart| &apart.0);
        self.own_bytes() + apart.map(|bytes| arc_bytes(bytes.len())).sum::<usize>()
    }

    /// Splits the segment if it is too large: takes the upper half of its hashes out.
    pub(super) fn split(&mut self, meter: &mut usize) -> Option<Self> {
        if self.len() <= LEN_MAX && self.used() <= BYTES_MAX {
            return None;
        }
        let hashes: Vec<u64> = self.iter().map(|(field, _)| hash(field) & PREFIX).collect();
        let mut sorted = hashes.clone();
        let (below, &mut middle, above) = sorted.select_nth_unstable(hashes.len() / 2);
        // Elements with the same prefix stay together: a cursor does not tell them apart.
        let first = match below.iter().any(|&hash| hash < middle) {
            true => middle,
            false => above.iter().copied().filter(|&hash| hash > middle).min()?,
        };
        let before = self.own_bytes();
        let upper = self.pick(first, |index| hashes[index] >= first);
        // A node's first segment may have had lower hashes than its own first one.
        *self = self.pick(self.first.min(first), |index| hashes[index] < first);
        charge(meter, before, self.own_bytes() + upper.own_bytes());
        Some(upper)
    }

    /// A segment of some of the elements.
    fn pick(&self, first: u64, picked: impl Fn(usize) -> bool) -> Self {
        let (mut len, mut bytes) = (0, 0);
        for index in (0..self.len()).filter(|&index| picked(index)) {
            let (field, value) = self.marks(index);
            len += 1;
            bytes += packed(field) + packed(value);
        }
        let (slots, old_slots) = (slots(len), slots(self.len()));
        let used = Self::COLUMNS * slots + bytes;
        let mut packed_bytes = allocation::zeroed(arc_room(used));
        let new = Arc::get_mut(&mut packed_bytes).expect("just made");
        let mut apart = Apart::default();
        let (mut to, mut to_at) = (0, Self::COLUMNS * slots);
        let (mut at, mut rank) = (Self::COLUMNS * old_slots, 0);
        for index in 0..self.len() {
            let (field, value) = self.marks(index);
            let length = packed(field) + packed(value);
            let ranks = usize::from(field == APART) + usize::from(value == APART);
            if picked(index) {
                for column in 0..Self::COLUMNS {
                    new[column * slots + to] = self.bytes[column * old_slots + index];
                }
                new[to_at..to_at + length].copy_from_slice(&self.bytes[at..at + length]);
                (to, to_at) = (to + 1, to_at + length);
                for more in self.apart.iter().flat_map(|from| &from.0[rank..rank + ranks]) {
                    allocation::reserve(&mut apart.0, 1);
                    apart.0.push(Arc::clone(more));
                }
            }
            (at, rank) = (at + length, rank + ranks);
        }
        let apart = (!apart.0.is_empty()).then(|| Arc::new(apart));
        Self { first, bytes: packed_bytes, apart, len: len as u32, used: used as u32 }
    }

    /// Whether the segment should be merged with a neighbour.
    pub(super) fn is_thin(&self) -> bool {
        self.len() < LEN_THIN && self.used() < BYTES_THIN
    }

    pub(super) fn fits_with(&self, other: &Self) -> bool {
        self.len() + other.len() <= LEN_MERGED && self.used() + other.used() <= BYTES_MERGED
    }

    /// Appends the elements of the next segment.
    pub(super) fn append(&mut self, next: &Self, meter: &mut usize) {
        let (len, next_len) = (self.len(), next.len());
        let head = Self::COLUMNS * slots(next_len);
        self.lay_out(len + next_len, self.used(), 0, next.used() - head, meter);
        let (slots, used) = (slots(self.len()), self.used());
        let bytes = Arc::make_mut(&mut self.bytes);
        for column in 0..Self::COLUMNS {
            bytes[column * slots + len..][..next_len]
                .copy_from_slice(next.column(column, next_len));
        }
        bytes[used - (next.used() - head)..used].copy_from_slice(&next.bytes[head..next.used()]);
        let before = self.apart_bytes() + next.own_bytes();
        if let Some(next) = &next.apart {
            let Apart(apart) = Arc::make_mut(self.apart.get_or_insert_default());
            allocation::reserve(apart, next.0.len());
            apart.extend_from_slice(&next.0);
        }
        charge(meter, before, self.apart_bytes());
    }

    /// Frees part of the segment, at most about what is left of `most`; whether it was all.
    pub(super) fn free_some(&mut self, most: Freed, freed: &mut Freed) -> bool {
        let apart_bytes = self.apart_bytes();
        if let Some(apart) = &mut self.apart {
            if let Some(Apart(apart)) = Arc::get_mut(apart) {
                while freed.bytes < most.bytes && freed.objects < most.objects {
                    let Some(mut last) = apart.pop() else { break };
                    freed.bytes += Arc::get_mut(&mut last).map_or(0, |last| arc_bytes(last.len()));
                    freed.objects += 1;
                }
                if !apart.is_empty() {
                    return false;
                }
                freed.bytes += apart_bytes;
            }
            self.apart = None;
            freed.objects += 1;
        }
        let own = Arc::get_mut(&mut self.bytes).map_or(0, |bytes| Self::packed_bytes(bytes));
        freed.bytes += own;
        freed.objects += 1;
        self.bytes = Arc::default();
        true
    }
}

/// The elements of a segment.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a, const VALUES: bool> {
    segment: &'a Segment<VALUES>,
    index: usize,
    /// Where the bytes of the element at `index` begin.
    start: usize,
    /// How many fields and values before it are kept apart.
    rank: usize,
}

impl<'a, const VALUES: bool> Iterator for Elements<'a, VALUES> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let segment = self.segment;
        if self.index == segment.len() {
            return None;
        }
        let element = segment.element_at(self.index, self.start, self.rank);
        let (field, value) = segment.marks(self.index);
        self.index += 1;
        self.start += packed(field) + packed(value);
        self.rank += usize::from(field == APART) + usize::from(value == APART);
        Some(element)
    }
}
