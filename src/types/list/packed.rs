//! Lists in their small form: one listpack, inside its entry.
//!
//! A list is one as long as Redis would keep it in one node, up to [`PACK_BYTES_MAX`]. A list that
//! was made with other limits than the default ones has these behind its listpack:
//!
//! ```text
//! listpack   [list-max-listpack-size: i16 LE   list-compress-depth: u16 LE]
//! ```

use super::limits::SAVED_BYTES;
use super::{Direction, Limits, Side};
use crate::types::listpack::{self, Item, Listpack, encoded_len};
use crate::types::{Buffer, Place};

/// A list of a longer listpack is in its large form, in bytes: so much is moved at a change.
pub(crate) const PACK_BYTES_MAX: usize = 8192;

/// A list that is one listpack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedList<'a> {
    pub(super) pack: Listpack<'a>,
    /// The limits that it was made with, as [`Limits::of_saved`] reads them.
    made_with: &'a [u8],
}

impl<'a> PackedList<'a> {
    /// A view of a value that an entry has as [`Encoding::ListPack`](crate::types::Encoding).
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (pack, made_with) = bytes.split_at(pack_len(bytes));
        Self { pack: Listpack::new(pack), made_with }
    }

    /// The bytes for an entry of a valid listpack that is made a list now.
    pub(crate) fn made(mut pack: Vec<u8>, limits: Limits) -> Vec<u8> {
        pack.extend_from_slice(limits.saved().as_ref().map_or(&[], |saved| &saved[..]));
        pack
    }

    /// The limits that it was made with.
    #[inline]
    pub(crate) fn limits(self) -> Limits {
        Limits::of_saved(self.made_with)
    }

    /// The same for a list that is about to change; `now` are those of the settings, which a new one
    /// gets.
    #[inline]
    pub(super) fn limits_to_change(self, now: Limits) -> Limits {
        if self.is_new() { now } else { self.limits().with_plain_of(now) }
    }

    /// Whether nothing was ever added to it.
    #[inline]
    fn is_new(self) -> bool {
        self.pack.is_empty() && self.made_with.is_empty()
    }

    /// Whether one more element of `len` bytes leaves it in this form.
    #[inline]
    fn takes(self, value: &[u8], limits: Limits) -> bool {
        let bytes = self.pack.bytes_len();
        let allowed = match self.pack.len() {
            // A first element may be longer than a node.
            0 => !limits.is_plain(value.len()),
            elements => limits.allow(bytes, elements, value.len()),
        };
        allowed && value.len() < PACK_BYTES_MAX && bytes + encoded_len(value) <= PACK_BYTES_MAX
    }
}

/// Length of the listpack that these bytes begin with, as it states it.
#[inline]
fn pack_len(bytes: &[u8]) -> usize {
    let stated = bytes.first_chunk().map_or(0, |total| u32::from_le_bytes(*total));
    stated as usize
}

/// The listpack of a list in its place, to be changed.
struct Pack<'p> {
    place: &'p mut dyn Place,
    len: usize,
}

impl<'p> Pack<'p> {
    fn new(place: &'p mut dyn Place) -> Self {
        let len = pack_len(place.bytes());
        Self { place, len }
    }
}

impl Buffer for Pack<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.place.bytes()[..self.len]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.place.bytes_mut()[..self.len]
    }

    #[inline]
    fn open(&mut self, at: usize, removed: usize, added: usize) -> &mut [u8] {
        self.len = self.len - removed + added;
        self.place.open(at, removed, added)
    }
}

/// Adds an element at the front or the back; false if the list would not stay one listpack.
#[inline]
pub(super) fn push(place: &mut dyn Place, end: Direction, value: &[u8], now: Limits) -> bool {
    let list = PackedList::new(place.bytes());
    let (is_new, limits) = (list.is_new(), list.limits_to_change(now));
    if !list.takes(value, limits) {
        return false;
    }
    let mut pack = Pack::new(place);
    match end {
        Direction::Forward => listpack::push_front(&mut pack, value),
        Direction::Backward => listpack::push_back(&mut pack, value),
    }
    if is_new && let Some(saved) = limits.saved() {
        let len = place.bytes().len();
        place.splice(len, 0, &saved);
    }
    true
}

/// Removes the first or last element; what `read` made of it.
#[inline]
pub(super) fn pop_with<R>(
    place: &mut dyn Place,
    end: Direction,
    read: impl FnOnce(Item<'_>) -> R,
) -> Option<R> {
    let pack = PackedList::new(place.bytes()).pack;
    let at = match end {
        Direction::Forward => pack.first(),
        Direction::Backward => pack.last(),
    }?;
    let outcome = read(pack.get(at));
    listpack::delete(&mut Pack::new(place), at, 1);
    Some(outcome)
}

/// The element at `index`.
pub(super) fn seek(pack: Listpack<'_>, index: usize) -> Option<usize> {
    pack.seek(i64::try_from(index).ok()?)
}

/// Replaces the element at `index`, which exists; false if the list would not stay one listpack.
pub(super) fn set(place: &mut dyn Place, index: usize, value: &[u8], now: Limits) -> bool {
    let list = PackedList::new(place.bytes());
    let fits = value.len() < PACK_BYTES_MAX
        && list.pack.bytes_len() + encoded_len(value) <= PACK_BYTES_MAX;
    let at = seek(list.pack, index).filter(|_| fits && !now.is_plain(value.len()));
    if let Some(at) = at {
        listpack::replace(&mut Pack::new(place), at, value);
    }
    at.is_some()
}

/// Inserts an element beside the one at `index`, which exists; false if the list would not stay one
/// listpack.
pub(super) fn insert(
    place: &mut dyn Place,
    index: usize,
    side: Side,
    value: &[u8],
    now: Limits,
) -> bool {
    let list = PackedList::new(place.bytes());
    let fits = list.takes(value, list.limits_to_change(now));
    let at = seek(list.pack, index).filter(|_| fits);
    if let Some(at) = at {
        let mut pack = Pack::new(place);
        match side {
            Side::Before => listpack::insert_before(&mut pack, at, value),
            Side::After => listpack::insert_after(&mut pack, at, value),
        }
    }
    at.is_some()
}

/// Removes `count` elements from `start` on.
pub(super) fn remove_range(place: &mut dyn Place, start: usize, count: usize) {
    let pack = PackedList::new(place.bytes()).pack;
    if let Some(at) = seek(pack, start) {
        listpack::delete(&mut Pack::new(place), at, count);
    }
}

/// Removes up to `most` elements that are `value`, those towards the start of `direction` first.
/// Returns how many.
pub(super) fn remove_equal(
    place: &mut dyn Place,
    value: &[u8],
    most: usize,
    direction: Direction,
) -> usize {
    let mut pack = Pack::new(place);
    let mut at = match direction {
        Direction::Forward => Listpack::new(pack.bytes()).first(),
        Direction::Backward => Some(Listpack::new(pack.bytes()).end()),
    };
    let mut removed = 0;
    while removed < most
        && let Some(from) = at
    {
        let view = Listpack::new(pack.bytes());
        at = match direction {
            Direction::Forward => view.find_from(from, value, 0),
            Direction::Backward => view.rfind_before(from, value),
        };
        if let Some(found) = at {
            listpack::delete(&mut pack, found, 1);
            removed += 1;
        }
    }
    removed
}

const _: () = assert!(SAVED_BYTES == 4, "two settings of 16 bits");
