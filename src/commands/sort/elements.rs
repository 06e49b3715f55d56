//! The elements to sort, copied out of their collection: keys that are looked up meanwhile may
//! expire, and so change the keyspace.

use std::ops::Range;

use crate::types::ValueRef;
use crate::types::list::Direction;
use crate::types::listpack::Item;

/// Byte strings, one after the other in one allocation.
#[derive(Debug, Default)]
pub(super) struct Elements {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// The number of elements of a list, set or sorted set.
pub(super) fn len(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::List(list) => list.len(),
        ValueRef::Set(set) => set.len(),
        ValueRef::SortedSet(set) => set.len(),
        _ => 0,
    }
}

impl Elements {
    /// Copies those elements of a list, set or sorted set that the range names, in their own order;
    /// `backwards`, positions count from the end, towards the start. A set has but one order.
    pub(super) fn load(value: ValueRef<'_>, range: Range<usize>, backwards: bool) -> Self {
        let mut elements = Self::default();
        let count = range.len();
        match value {
            ValueRef::List(list) if backwards && count > 0 => {
                let from = list.len() - range.start - 1;
                list.visit_some(from, Direction::Backward, count, |item| elements.push(item));
            }
            ValueRef::List(list) => {
                list.visit_some(range.start, Direction::Forward, count, |item| elements.push(item));
            }
            ValueRef::Set(set) => {
                set.iter().skip(range.start).take(count).for_each(|item| elements.push(item));
            }
            ValueRef::SortedSet(set) => {
                let items = match backwards {
                    true => set.iter_before(set.len() - range.start),
                    false => set.iter_from(range.start),
                };
                items.take(count).for_each(|(item, _)| elements.push(item));
            }
            _ => {}
        }
        elements
    }

    fn push(&mut self, item: Item<'_>) {
        item.with_bytes(|bytes| self.bytes.extend_from_slice(bytes));
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The element at an index, which must be below the length.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }
}
