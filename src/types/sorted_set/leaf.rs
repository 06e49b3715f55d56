//! A leaf: up to 64 elements in one allocation. Knows neither the tree above nor its own number.
//!
//! ```text
//! count: u8   slots: u8   width: u8   -   data end: u16 LE   -   -   base: i64 LE
//! fingerprints: slots × u8   offsets: slots × u16 LE   scores: slots × width   data
//! ```
//!
//! The three columns are in the order of the elements. The data are the members in any order,
//! without gaps; an offset tells where a member begins. Scores of width 8 are doubles; others are
//! what is to be added to the base: they take one byte in a leaf of successive integers. A member
//! begins with a byte: its length, or the width of an integer, or that it stands outside.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::number::Decimal;
use crate::prefetch::prefetch_all;
use crate::types::allocation::{arc_bytes, arc_room, size_class, zeroed};
use crate::types::listpack::Item;

use super::key::Key;
use super::member::{self, LARGE, key_bytes, stored_bytes};
use super::seek::Seek;
use super::shared::is_shared;

/// Most elements of a leaf.
pub(super) const ELEMENTS_MAX: usize = 64;
/// Most bytes of a leaf: 4096 with the counts of its `Arc`.
const BYTES_MAX: usize = arc_room(4000);
const HEADER_BYTES: usize = 16;
const SLOTS_MIN: usize = 4;
/// The width of scores that are not integers of a narrow range.
const RAW: usize = 8;
/// Integers up to this magnitude are exact as doubles.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// Most bytes that are prefetched. Leaves of short members have no more.
const PREFETCHED_BYTES_MAX: usize = 2048;

type Large = Option<Arc<Vec<Arc<[u8]>>>>;

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    cells: Arc<[u8]>,
    /// The members too large for a leaf, in the order of the elements.
    large: Large,
}

/// How a leaf stores its scores.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    width: usize,
    base: i64,
}

impl Form {
    /// For integers from `least` to `most`.
    fn of_range(least: i64, most: i64) -> Self {
        let width = match most.abs_diff(least) {
            0 => 0,
            1..0x100 => 1,
            0x100..0x1_0000 => 2,
            0x1_0000..0x100_0000 => 3,
            0x100_0000..0x1_0000_0000 => 4,
            _ => RAW,
        };
        Self { width, base: least }
    }

    const RAW: Self = Self { width: RAW, base: 0 };

    /// The stored form of a score, if it has one.
    #[inline]
    fn encode(self, score: f64) -> Option<u64> {
        if self.width == RAW {
            return Some(score.to_bits());
        }
        let delta = exact(score)?.checked_sub(self.base)?.cast_unsigned();
        (delta >> (8 * self.width) == 0).then_some(delta)
    }
}

/// The integer that a score is, unless that loses something.
#[inline]
fn exact(score: f64) -> Option<i64> {
    let integer = score as i64;
    let fits = integer as f64 == score && score.abs() <= EXACT_MAX;
    (fits && (integer != 0 || score.is_sign_positive())).then_some(integer)
}

/// Where the columns of a leaf begin.
#[derive(Clone, Copy)]
struct Layout {
    slots: usize,
    width: usize,
}

impl Layout {
    #[inline]
    fn offset(self, index: usize) -> usize {
        HEADER_BYTES + self.slots + 2 * index
    }

    #[inline]
    fn score(self, index: usize) -> usize {
        HEADER_BYTES + 3 * self.slots + self.width * index
    }

    #[inline]
    fn data(self) -> usize {
        self.score(self.slots)
    }

    /// A layout for `count` elements with `data` bytes of members, which uses the whole of its
    /// allocation, and the bytes of that; `None` if there are too many.
    fn fitting(count: usize, width: usize, data: usize) -> Option<(Self, usize)> {
        let column = 3 + width;
        let least = HEADER_BYTES + count.max(SLOTS_MIN) * column + data;
        if least > BYTES_MAX || count > ELEMENTS_MAX {
            return None;
        }
        let room = arc_room(least);
        let each = column + data.div_ceil(count.max(1));
        let slots = (count + (room - least) / each).clamp(SLOTS_MIN, ELEMENTS_MAX);
        Some((Self { slots, width }, room))
    }
}

impl Leaf {
    /// A leaf of one element.
    pub(super) fn new(key: &Key<'_>, score: f64) -> Self {
        let (layout, room) = Layout::fitting(0, 0, 0).expect("nothing fits");
        let mut leaf = Self { cells: zeroed(room), large: None };
        let cells = Arc::get_mut(&mut leaf.cells).expect("just made");
        write_header(cells, 0, layout, layout.data(), 0);
        let inserted = leaf.insert(0, key, score);
        debug_assert!(inserted, "an element fits into an empty leaf");
        leaf
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        usize::from(self.cells[0])
    }

    #[inline]
    fn layout(&self) -> Layout {
        Layout { slots: usize::from(self.cells[1]), width: usize::from(self.cells[2]) }
    }

    #[inline]
    fn data_end(&self) -> usize {
        usize::from(u16::from_le_bytes([self.cells[4], self.cells[5]]))
    }

    #[inline]
    fn form(&self) -> Form {
        Form { width: self.layout().width, base: i64::from_le_bytes(self.array(8)) }
    }

    #[inline]
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.cells[at..].first_chunk().expect("a leaf's columns lie within it")
    }

    #[inline]
    fn offset(&self, index: usize) -> usize {
        usize::from(u16::from_le_bytes(self.array(self.layout().offset(index))))
    }

    /// Bytes allocated.
    pub(super) fn allocated_bytes(&self) -> usize {
        let large = self.large.as_ref().map_or(0, |large| {
            let members: usize = large.iter().map(|member| arc_bytes(member.len())).sum();
            members + arc_bytes(size_of::<Vec<()>>()) + size_class(16 * large.capacity())
        });
        arc_bytes(self.cells.len()) + large
    }

    /// Allocations, and whether this leaf alone owns them.
    pub(super) fn objects(&self) -> (usize, bool) {
        let large = self.large.as_ref().map_or(0, |large| large.len() + 2);
        (1 + large, Arc::strong_count(&self.cells) == 1)
    }

    /// Reads a byte of the leaf, so that its reference count is in the cache.
    #[inline]
    pub(super) fn touch(&self) -> usize {
        self.count()
    }

    /// Prefetches the leaf.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_all(&self.cells[..self.cells.len().min(PREFETCHED_BYTES_MAX)]);
    }

    /// Whether two small leaves make a good one.
    pub(super) fn can_absorb(&self, other: &Self) -> bool {
        self.count() + other.count() <= ELEMENTS_MAX * 5 / 8
            && self.cells.len() + other.cells.len() <= BYTES_MAX * 5 / 8
    }

    #[inline]
    pub(super) fn score(&self, index: usize) -> f64 {
        let layout = self.layout();
        let at = layout.score(index);
        let delta = match layout.width {
            RAW => return f64::from_le_bytes(self.array(at)),
            0 => 0,
            1 => u32::from(self.cells[at]),
            2 => u32::from(u16::from_le_bytes(self.array(at))),
            3 => {
                let [a, b, c] = self.array(at);
                u32::from_le_bytes([a, b, c, 0])
            }
            _ => u32::from_le_bytes(self.array(at)),
        };
        (self.form().base + i64::from(delta)) as f64
    }

    #[inline]
    pub(super) fn member(&self, index: usize) -> Item<'_> {
        member::read(&self.cells[self.offset(index)..]).unwrap_or_else(|| {
            let large = self.large.as_ref().expect("a large member stands outside");
            Item::Bytes(&large[self.large_before(index)])
        })
    }

    /// Large members before an element.
    fn large_before(&self, index: usize) -> usize {
        if self.large.is_none() {
            return 0;
        }
        (0..index).filter(|&index| self.cells[self.offset(index)] == LARGE).count()
    }

    /// The element with this member.
    #[inline]
    pub(super) fn find(&self, key: &Key<'_>) -> Option<usize> {
        self.prefetch();
        self.with_fingerprint(key.fingerprint()).find(|&index| self.holds(index, key))
    }

    /// Elements that have this fingerprint.
    #[inline]
    pub(super) fn with_fingerprint(&self, fingerprint: u8) -> impl Iterator<Item = usize> {
        let mut equal = self.equal_fingerprints(fingerprint);
        std::iter::from_fn(move || {
            let index = (equal != 0).then(|| equal.trailing_zeros() as usize)?;
            equal &= equal - 1;
            Some(index)
        })
    }

    /// A bit for each element with this fingerprint. Takes the same steps whatever the leaf holds:
    /// a branch that depends on it would wait for its memory, and is often foretold wrongly.
    #[inline]
    fn equal_fingerprints(&self, fingerprint: u8) -> u64 {
        let sought = u64::from(fingerprint) * (u64::MAX / 0xff);
        let present = u64::MAX.checked_shr((ELEMENTS_MAX - self.count()) as u32).unwrap_or(0);
        let Some(all) = self.cells[HEADER_BYTES..].first_chunk::<ELEMENTS_MAX>() else {
            let few = self.cells[HEADER_BYTES..].iter().take(self.count()).enumerate();
            return few.fold(0, |bits, (at, own)| bits | u64::from(*own == fingerprint) << at);
        };
        let words = all.as_chunks::<8>().0.iter();
        let bits = words.enumerate().fold(0, |bits, (at, word)| {
            bits | zero_bytes(u64::from_le_bytes(*word) ^ sought) << (8 * at)
        });
        bits & present
    }

    #[inline]
    fn holds(&self, index: usize, key: &Key<'_>) -> bool {
        match (self.member(index), key.integer) {
            (Item::Int(own), Some(value)) => own == value,
            (Item::Bytes(own), None) => own == key.bytes,
            _ => false,
        }
    }

    #[inline]
    pub(super) fn compare_member(&self, index: usize, bytes: &[u8]) -> Ordering {
        match self.member(index) {
            Item::Int(value) => Decimal::new(value).as_bytes().cmp(bytes),
            Item::Bytes(own) => own.cmp(bytes),
        }
    }

    /// Elements with a score for which `is_before` is true: it is so for those before some place.
    #[inline]
    fn scores_before(&self, is_before: impl Fn(f64) -> bool) -> usize {
        let (count, layout) = (self.count(), self.layout());
        if layout.width == RAW {
            let scores = &self.cells[layout.score(0)..layout.score(count)];
            let scores = scores.as_chunks().0.iter().map(|raw| f64::from_le_bytes(*raw));
            return scores.map(|score| usize::from(is_before(score))).sum();
        }
        partition(0..count, |index| is_before(self.score(index)))
    }

    /// Elements before the place that is sought.
    pub(super) fn bound(&self, seek: &Seek<'_>) -> usize {
        let count = self.count();
        match *seek {
            Seek::Score(score) => self.scores_before(|own| own < score),
            Seek::AfterScore(score) => self.scores_before(|own| own <= score),
            Seek::Element(score, member) => {
                let first = self.scores_before(|own| own < score);
                if first == count || self.score(first) != score {
                    return first;
                }
                let last = self.scores_before(|own| own <= score);
                partition(first..last, |index| self.compare_member(index, member).is_lt())
            }
            Seek::Member(member) => {
                partition(0..count, |index| self.compare_member(index, member).is_lt())
            }
            Seek::AfterMember(member) => {
                partition(0..count, |index| self.compare_member(index, member).is_le())
            }
        }
    }

    /// Inserts an element; false if the leaf must be split first.
    pub(super) fn insert(&mut self, at: usize, key: &Key<'_>, score: f64) -> bool {
        let (count, more) = (self.count(), key_bytes(key));
        let fits = count < self.layout().slots
            && self.data_end() + more <= self.cells.len()
            && self.form().encode(score).is_some()
            && !is_shared(&self.cells);
        if !fits && !self.make_room(more, Some(score)) {
            return false;
        }
        let stored = self.form().encode(score).expect("there is room for this score");
        if key.is_large() {
            let before = self.large_before(at);
            let large = Arc::make_mut(self.large.get_or_insert_default());
            large.reserve_exact(1);
            large.insert(before, key.bytes.into());
        }
        let (layout, start) = (self.layout(), self.data_end());
        let cells = Arc::get_mut(&mut self.cells).expect("made the only one above");
        open(cells, HEADER_BYTES, 1, at, count);
        open(cells, layout.offset(0), 2, at, count);
        open(cells, layout.score(0), layout.width, at, count);
        cells[HEADER_BYTES + at] = key.fingerprint();
        put(cells, layout.offset(at), 2, start as u64);
        put(cells, layout.score(at), layout.width, stored);
        member::write(&mut cells[start..start + more], key);
        cells[0] += 1;
        put(cells, 4, 2, (start + more) as u64);
        true
    }

    /// Moves the elements to cells of their own with room for `more` bytes of members and, if a
    /// score is given, another element. False if that would be too large.
    fn make_room(&mut self, more: usize, score: Option<f64>) -> bool {
        let (count, old) = (self.count(), self.layout());
        let form = self.widened(score);
        let (start, end) = (old.data(), self.data_end());
        let total = count + usize::from(score.is_some());
        let Some((layout, room)) = Layout::fitting(total, form.width, end - start + more) else {
            return false;
        };
        let mut fresh = zeroed(room);
        let cells = Arc::get_mut(&mut fresh).expect("just made");
        let new_start = layout.data();
        write_header(cells, count, layout, new_start + end - start, form.base);
        cells[HEADER_BYTES..][..count].copy_from_slice(&self.cells[HEADER_BYTES..][..count]);
        let offsets = self.cells[old.offset(0)..old.offset(count)].as_chunks().0;
        let new_offsets = cells[layout.offset(0)..layout.offset(count)].as_chunks_mut().0;
        for (new, offset) in new_offsets.iter_mut().zip(offsets) {
            // Wrapping, as the data may begin later than before or earlier.
            let moved = u16::from_le_bytes(*offset).wrapping_add(new_start as u16);
            *new = moved.wrapping_sub(start as u16).to_le_bytes();
        }
        if form == self.form() {
            cells[layout.score(0)..layout.score(count)]
                .copy_from_slice(&self.cells[old.score(0)..old.score(count)]);
        } else {
            for index in 0..count {
                let stored = form.encode(self.score(index)).expect("the form suits all scores");
                put(cells, layout.score(index), layout.width, stored);
            }
        }
        cells[new_start..][..end - start].copy_from_slice(&self.cells[start..end]);
        self.cells = fresh;
        true
    }

    /// A form for the scores and one more.
    fn widened(&self, score: Option<f64>) -> Form {
        let form = self.form();
        let count = self.count();
        match score {
            Some(score) if count > 0 && form.encode(score).is_none() => {
                let Some(value) = exact(score) else { return Form::RAW };
                let least = value.min(form.base);
                let most = value.max(self.score(count - 1) as i64);
                Form::of_range(least, most)
            }
            Some(score) if count == 0 => {
                exact(score).map_or(Form::RAW, |value| Form::of_range(value, value))
            }
            _ => form,
        }
    }

    /// A leaf of the elements of runs, which are in order and not too many.
    pub(super) fn gathered(runs: &[(&Self, Range<usize>)]) -> Self {
        let elements =
            || runs.iter().flat_map(|(leaf, run)| run.clone().map(move |index| (*leaf, index)));
        let (mut count, mut data, mut range) = (0, 0, Some((i64::MAX, i64::MIN)));
        for (leaf, index) in elements() {
            count += 1;
            data += stored_bytes(leaf.cells[leaf.offset(index)]);
            range = range
                .zip(exact(leaf.score(index)))
                .map(|((least, most), value)| (value.min(least), value.max(most)));
        }
        let form = range.map_or(Form::RAW, |(least, most)| Form::of_range(least, most));
        let (layout, room) =
            Layout::fitting(count, form.width, data).expect("the elements fit into a leaf");
        let mut fresh = zeroed(room);
        let cells = Arc::get_mut(&mut fresh).expect("just made");
        let mut end = layout.data();
        for (to, (leaf, index)) in elements().enumerate() {
            let at = leaf.offset(index);
            let member = &leaf.cells[at..at + stored_bytes(leaf.cells[at])];
            cells[end..end + member.len()].copy_from_slice(member);
            cells[HEADER_BYTES + to] = leaf.cells[HEADER_BYTES + index];
            put(cells, layout.offset(to), 2, end as u64);
            let stored = form.encode(leaf.score(index)).expect("the form suits all scores");
            put(cells, layout.score(to), layout.width, stored);
            end += member.len();
        }
        write_header(cells, count, layout, end, form.base);
        Self { cells: fresh, large: Self::gathered_large(runs) }
    }

    fn gathered_large(runs: &[(&Self, Range<usize>)]) -> Large {
        let mut all = Vec::new();
        for (leaf, run) in runs {
            if let Some(large) = &leaf.large {
                all.extend_from_slice(
                    &large[leaf.large_before(run.start)..leaf.large_before(run.end)],
                );
            }
        }
        all.shrink_to_fit();
        (!all.is_empty()).then(|| Arc::new(all))
    }

    /// Keeps the elements before `at` and returns a leaf of the others.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let rest = Self::gathered(&[(self, at..self.count())]);
        *self = Self::gathered(&[(self, 0..at)]);
        rest
    }

    /// Removes a run of elements, but not all.
    pub(super) fn remove(&mut self, run: Range<usize>) {
        let count = self.count();
        let used = self.layout().score(count) + self.data_end() - self.layout().data();
        let in_place = run.len() == 1
            && self.large.is_none()
            && used * 2 > self.cells.len()
            && !is_shared(&self.cells);
        if !in_place {
            *self = Self::gathered(&[(self, 0..run.start), (self, run.end..count)]);
            return;
        }
        let (layout, end, start) = (self.layout(), self.data_end(), self.offset(run.start));
        let gone = stored_bytes(self.cells[start]);
        let cells = Arc::get_mut(&mut self.cells).expect("looked at above");
        cells.copy_within(start + gone..end, start);
        close(cells, HEADER_BYTES, 1, run.start, count);
        close(cells, layout.offset(0), 2, run.start, count);
        close(cells, layout.score(0), layout.width, run.start, count);
        for raw in cells[layout.offset(0)..layout.offset(count - 1)].as_chunks_mut().0 {
            let offset = u16::from_le_bytes(*raw);
            let moved = if usize::from(offset) > start { gone as u16 } else { 0 };
            *raw = (offset - moved).to_le_bytes();
        }
        cells[0] -= 1;
        put(cells, 4, 2, (end - gone) as u64);
    }

    /// Changes the score of an element whose place stays the same; false if the leaf cannot hold
    /// that score as it is.
    pub(super) fn set_score(&mut self, index: usize, score: f64) -> bool {
        let (form, layout) = (self.form(), self.layout());
        let Some(stored) = form.encode(score) else { return false };
        if is_shared(&self.cells) && !self.make_room(0, None) {
            return false;
        }
        let at = self.layout().score(index);
        let cells = Arc::get_mut(&mut self.cells).expect("made the only one above");
        put(cells, at, layout.width, stored);
        true
    }
}

/// A bit for each byte that is zero.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = u64::MAX / 0xff * 0x7f;
    // The top bit of each byte, which is set if the byte is zero; nothing carries into the next.
    let zero = !(((word & LOW) + LOW) | word | LOW);
    // Gathers the top bits in the highest byte.
    (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The first of `range` for which `is_before` is false.
#[inline]
pub(super) fn partition(range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn write_header(cells: &mut [u8], count: usize, layout: Layout, end: usize, base: i64) {
    cells[..3].copy_from_slice(&[count as u8, layout.slots as u8, layout.width as u8]);
    put(cells, 4, 2, end as u64);
    cells[8..16].copy_from_slice(&base.to_le_bytes());
}

/// Writes the low bytes of a number.
#[inline]
fn put(cells: &mut [u8], at: usize, width: usize, value: u64) {
    let raw = value.to_le_bytes();
    match width {
        2 => cells[at..at + 2].copy_from_slice(&raw[..2]),
        8 => cells[at..at + 8].copy_from_slice(&raw),
        _ => cells[at..at + width].copy_from_slice(&raw[..width]),
    }
}

/// Opens a gap in a column.
#[inline]
fn open(cells: &mut [u8], column: usize, width: usize, at: usize, count: usize) {
    cells.copy_within(column + width * at..column + width * count, column + width * (at + 1));
}

/// Closes the gap of an element in a column.
#[inline]
fn close(cells: &mut [u8], column: usize, width: usize, at: usize, count: usize) {
    cells.copy_within(column + width * (at + 1)..column + width * count, column + width * at);
}
