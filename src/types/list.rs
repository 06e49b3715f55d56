//! Lists in their large form: nodes of some kilobytes, each a listpack, as Redis's `quicklist.c`
//! divides them, so that DUMP gives the same bytes. `packed` is the small form, `view` and `edit`
//! read and change either. Knows nothing of keys.
//!
//! The first and the last node stand in the list itself, since most lists are queues: a push or a
//! pop costs little more than that of the listpack. The nodes between them stand in a tree, which
//! snapshots share. Whatever changes is copied first if a snapshot shares it: a node, and the path
//! to it.
//!
//! Nodes are named by the index of one of their elements; no operation touches more of them than
//! it has to.

use std::sync::Arc;

use super::Freed;
use super::listpack::{Item, Listpack};

mod change;
mod edit;
mod limits;
mod node;
mod packed;
mod tree;
mod view;
mod walk;

pub(crate) use edit::{insert, pop_with, push_all, remove_equal, remove_range, rotate, set, view};
pub(crate) use limits::{Limits, PLAIN_BYTES_MIN};
pub(crate) use node::{Container, Stored};
pub(crate) use packed::{PACK_BYTES_MAX, PackedList};
pub(crate) use view::ListRef;
pub(crate) use walk::{Direction, Walk};

use node::Node;
use tree::{Tree, free_node};

/// A node that LSET has made larger than this is divided. Redis lets it grow without bounds.
const NODE_BYTES_MAX: usize = 128 * 1024;

/// A list.
///
/// `front` and `back` are the first and the last node where they are present. A list of one node
/// may have it in either.
#[derive(Clone, Debug)]
pub(crate) struct List {
    front: Option<Arc<Node>>,
    middle: Tree,
    back: Option<Arc<Node>>,
    len: usize,
    limits: Limits,
}

/// On which side of an element another one is inserted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Before,
    After,
}

#[inline]
fn elements(node: Option<&Arc<Node>>) -> usize {
    node.map_or(0, |node| node.elements())
}

impl List {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { front: None, middle: Tree::default(), back: None, len: 0, limits }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes allocated for the list besides this struct, nodes shared with snapshots included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let bytes =
            |node: &Option<Arc<Node>>| node.as_ref().map_or(0, |node| node.allocated_bytes());
        bytes(&self.front) + self.middle.sum().bytes + bytes(&self.back)
    }

    /// Frees part of the list from the end, at most about `most`; returns how much, nothing at the
    /// end. After the first call, only this may be called.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut freed = Freed::default();
        if let Some(node) = self.back.take().or_else(|| self.front.take()) {
            free_node(node, &mut freed);
            return freed;
        }
        self.middle.free_some(most, &mut freed);
        freed
    }

    /// The nodes in order, as they are saved.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Container, Stored<'_>)> {
        let mut index = 0;
        std::iter::from_fn(move || {
            let (node, _) = self.find_node(index)?;
            index += node.elements();
            Some((node.container(), node.stored()))
        })
    }

    /// How many nodes there are.
    pub(crate) fn node_count(&self) -> usize {
        usize::from(self.front.is_some())
            + self.middle.sum().nodes
            + usize::from(self.back.is_some())
    }

    /// The listpack that is the whole list, if it is one node.
    pub(crate) fn only_pack(&self) -> Option<Listpack<'_>> {
        let (node, _) = self.find_node(0)?;
        match (node.elements() == self.len, node.container(), node.stored()) {
            (true, Container::Packed, Stored::Raw(bytes)) => Some(Listpack::new(bytes)),
            _ => None,
        }
    }

    /// Appends a node, as it was saved or as it was stored in an entry. Bytes from outside must
    /// have passed [`Listpack::check`] if they are a listpack; an empty one is left out.
    pub(crate) fn push_node(&mut self, bytes: Vec<u8>, container: Container) {
        if let Some(node) = Node::of_bytes(bytes, container) {
            self.insert_node(self.len, node);
            self.settle(0..0);
        }
    }

    /// The node that holds the element at `index`, and how many of its elements stand before it.
    #[inline]
    fn find_node(&self, index: usize) -> Option<(&Node, usize)> {
        let front = elements(self.front.as_ref());
        let Some(in_middle) = index.checked_sub(front) else {
            return self.front.as_ref().map(|node| (&**node, index));
        };
        let middle = self.middle.sum().elements;
        if let Some(in_back) = in_middle.checked_sub(middle) {
            return self.back.as_ref().filter(|_| index < self.len).map(|node| (&**node, in_back));
        }
        self.middle.find(in_middle).map(|(node, offset)| (&**node, offset))
    }

    /// Passes the element at `index` to `read`.
    #[inline]
    pub(crate) fn with<R>(&self, index: usize, read: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        self.find_node(index).map(|(node, offset)| node.with(offset, read))
    }

    /// A copy of the element at `index`.
    #[cfg(test)]
    fn get(&self, index: usize) -> Option<Vec<u8>> {
        self.with(index, |item| item.to_vec())
    }

    /// The elements from `index` on, towards either end.
    #[inline]
    pub(crate) fn walk(&self, index: usize, direction: Direction) -> Walk<'_> {
        Walk::new(self, index, direction)
    }

    /// The index of the next element that is `value`, from `from` on.
    #[cfg(test)]
    fn find(&self, value: &[u8], from: usize, direction: Direction) -> Option<usize> {
        let mut walk = self.walk(from, direction);
        let mut steps = 0;
        while let Some(item) = walk.next() {
            if item.equals(value) {
                return match direction {
                    Direction::Forward => Some(from + steps),
                    Direction::Backward => Some(from - steps),
                };
            }
            steps += 1;
        }
        None
    }

    /// The first or last node, taken out of the tree if it is there.
    #[inline]
    fn end_node(&mut self, end: Direction) -> Option<&mut Arc<Node>> {
        let (own, other, index) = match end {
            Direction::Forward => (&mut self.front, &mut self.back, 0),
            Direction::Backward => {
                let last = self.middle.sum().elements.wrapping_sub(1);
                (&mut self.back, &mut self.front, last)
            }
        };
        if own.is_some() {
            return own.as_mut();
        }
        if self.middle.is_empty() {
            return other.as_mut();
        }
        Some(own.insert(self.middle.remove(index)))
    }

    /// Adds an element at an end.
    #[inline]
    pub(crate) fn push(&mut self, end: Direction, value: &[u8]) {
        match end {
            Direction::Forward => self.push_front(value),
            Direction::Backward => self.push_back(value),
        }
    }

    #[inline]
    pub(crate) fn push_front(&mut self, value: &[u8]) {
        let limits = self.limits;
        match self.end_node(Direction::Forward) {
            Some(node) if node.allows(value.len(), limits) => {
                Arc::make_mut(node).push_front(value);
                self.len += 1;
            }
            full => {
                let room = full.map_or(0, |node| node.expanded_len());
                self.push_new_node(Direction::Forward, value, room);
            }
        }
    }

    #[inline]
    pub(crate) fn push_back(&mut self, value: &[u8]) {
        let limits = self.limits;
        match self.end_node(Direction::Backward) {
            Some(node) if node.allows(value.len(), limits) => {
                Arc::make_mut(node).push_back(value);
                self.len += 1;
            }
            full => {
                let room = full.map_or(0, |node| node.expanded_len());
                self.push_new_node(Direction::Backward, value, room);
            }
        }
    }

    /// Pushes a node at an end. It gets the room of the full one there: most lists that have grown
    /// by a node grow by more.
    #[cold]
    fn push_new_node(&mut self, end: Direction, value: &[u8], room: usize) {
        let index = if end == Direction::Forward { 0 } else { self.len };
        self.insert_node(index, Node::with_room(value, self.limits, room, end));
        self.settle(0..0);
    }

    /// Removes the first element; what `read` made of it.
    #[inline]
    pub(crate) fn pop_front_with<R>(&mut self, read: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let node = self.end_node(Direction::Forward)?;
        let outcome = node.with(0, read);
        if node.elements() > 1 {
            Arc::make_mut(node).delete(0, 1);
            self.len -= 1;
        } else {
            self.remove_node(0);
            self.settle(0..0);
        }
        Some(outcome)
    }

    /// Removes the last element; what `read` made of it.
    #[inline]
    pub(crate) fn pop_back_with<R>(&mut self, read: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let node = self.end_node(Direction::Backward)?;
        let last = node.elements() - 1;
        let outcome = node.with(last, read);
        if last > 0 {
            Arc::make_mut(node).delete(last, 1);
            self.len -= 1;
        } else {
            self.remove_node(self.len - 1);
            self.settle(0..0);
        }
        Some(outcome)
    }

    #[cfg(test)]
    fn pop_front(&mut self) -> Option<Vec<u8>> {
        self.pop_front_with(|item| item.to_vec())
    }

    #[cfg(test)]
    fn pop_back(&mut self) -> Option<Vec<u8>> {
        self.pop_back_with(|item| item.to_vec())
    }
}

#[cfg(test)]
mod tests;
