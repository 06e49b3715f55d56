//! The large form of sets and hashes: members, or fields with values, ordered by their hashes.
//!
//! A tree with subtree counts ([`node`]) over packed segments ([`segment`]). The order does not
//! depend on how the table grew, so that a prefix of the hash is a cursor that stays valid: COUNT
//! is exact, and an element that stays is visited exactly once, as SCAN does it for keys. The counts find
//! the element of a rank, and so a uniformly random one, in logarithmic time.
//!
//! Cloning shares the root. A write copies the nodes and the segment on its way that are shared:
//! a few kilobytes at any size of the table.
//!
//! Knows nothing of small sets and hashes, which are packed otherwise.

mod fetch;
mod node;
mod segment;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use self::node::{Change, Node};
pub(crate) use self::segment::Element;
use self::segment::Segment;
pub(crate) use self::walk::Iter;
use super::{Freed, hashing};

/// The bits of a hash that a cursor has; elements that differ only in the others are visited
/// together, and stay in one segment.
const PREFIX: u64 = !((1 << CURSOR_SHIFT) - 1);
const CURSOR_SHIFT: u32 = 16;

/// Elements that a table is made ready for are spread over segments of so many.
const HINTED_PER_SEGMENT: usize = 44;
/// A hint may come from a damaged file: it allocates at most 24 KB.
const HINT_MAX: usize = 1 << 14;

/// Counts allocated bytes that changed from `before` to `after`.
fn charge(meter: &mut usize, before: usize, after: usize) {
    *meter = *meter + after - before;
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    Replaced,
}

/// A set's members.
pub(crate) type MemberTable = Table<false>;
/// A hash's fields with their values.
pub(crate) type FieldTable = Table<true>;

/// Elements ordered by hash, with values or without.
#[derive(Clone, Debug)]
pub(crate) struct Table<const VALUES: bool> {
    root: Arc<Node<VALUES>>,
    len: usize,
    allocated_bytes: usize,
}

impl<const VALUES: bool> Default for Table<VALUES> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<const VALUES: bool> Table<VALUES> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty table made ready for so many elements, as far as the hint can be trusted.
    pub(crate) fn with_capacity(elements: usize) -> Self {
        let segments = elements.min(HINT_MAX) / HINTED_PER_SEGMENT + 1;
        let width = u64::MAX / segments as u64;
        let segments: Vec<_> =
            (0..segments as u64).map(|at| Segment::new((at * width) & PREFIX)).collect();
        let root = Node::tree(&segments);
        let allocated_bytes = root.allocated_bytes();
        Self { root, len: 0, allocated_bytes }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated, what is shared with clones included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }

    #[inline]
    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        let hash = hashing::hash(field);
        self.root.segment(hash).find(hash, field).is_some()
    }

    fn change(&mut self, steps: &[u8], change: Change<'_>) {
        self.len += usize::from(matches!(change, Change::Add(..)));
        let upper = Node::change(&mut self.root, steps, change, &mut self.allocated_bytes);
        if let Some(upper) = upper {
            self.root = Node::root(Arc::clone(&self.root), self.len, upper);
            charge(&mut self.allocated_bytes, 0, self.root.own_bytes());
        }
    }

    fn remove_at(&mut self, steps: &[u8], index: usize) {
        Node::remove(&mut self.root, steps, index, &mut self.allocated_bytes);
        self.len -= 1;
        while let Some(child) = self.root.only_child().cloned() {
            charge(&mut self.allocated_bytes, self.root.own_bytes(), 0);
            self.root = child;
        }
    }

    /// The element of a rank in the order of [`Self::iter`].
    pub(crate) fn nth(&self, rank: usize) -> Option<Element<'_>> {
        let (path, segment) = (rank < self.len).then(|| self.root.find_rank(rank))?;
        Some(segment.element(path.index))
    }

    /// Removes the element of a rank.
    pub(crate) fn remove_nth(&mut self, rank: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let (path, segment) = (rank < self.len).then(|| self.root.find_rank(rank))?;
        let (field, value) = segment.element(path.index);
        let removed = (field.to_vec(), value.to_vec());
        self.remove_at(path.steps(), path.index);
        Some(removed)
    }

    /// A uniformly random element; `None` if there is none.
    #[cfg(test)]
    pub(crate) fn random(&self, random: &mut dyn FnMut() -> u64) -> Option<Element<'_>> {
        self.nth(super::uniform(self.len, random))
    }

    /// Frees part of the table from its end, at most about `most`; returns how much, nothing at
    /// the end. From then on nothing else may be called.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut freed = Freed::default();
        if !self.root.is_freed() && Node::free_some(&mut self.root, most, &mut freed) {
            self.root = Arc::new(Node::Leaf(Vec::new()));
        }
        freed
    }
}

impl Table<false> {
    /// Adds a member; false if it was there.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        let hash = hashing::hash(member);
        let (path, found) = self.root.find(hash, member);
        if !found {
            self.change(path.steps(), Change::Add(hash, (member, b"")));
        }
        !found
    }

    /// Removes a member; false if it was not there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let (path, found) = self.root.find(hashing::hash(member), member);
        if found {
            self.remove_at(path.steps(), path.index);
        }
        found
    }
}

impl Table<true> {
    #[inline]
    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        let hash = hashing::hash(field);
        let segment = self.root.segment(hash);
        segment.find(hash, field).map(|index| segment.element(index).1)
    }

    /// Gives a field a value. Who needs the old one asks for it before.
    pub(crate) fn insert(&mut self, field: &[u8], value: &[u8]) -> Inserted {
        let hash = hashing::hash(field);
        let (path, found) = self.root.find(hash, field);
        let (change, inserted) = match found {
            true => (Change::SetValue(path.index, value), Inserted::Replaced),
            false => (Change::Add(hash, (field, value)), Inserted::New),
        };
        self.change(path.steps(), change);
        inserted
    }

    /// Removes a field; returns its value.
    pub(crate) fn remove(&mut self, field: &[u8]) -> Option<Vec<u8>> {
        let hash = hashing::hash(field);
        let (path, found) = self.root.find(hash, field);
        let value = found.then(|| self.root.segment(hash).element(path.index).1.to_vec());
        if found {
            self.remove_at(path.steps(), path.index);
        }
        value
    }
}
