//! Elements of a list one after another, in either direction.

use std::borrow::Cow;

use super::{List, node::Container};
use crate::types::listpack::{Item, Listpack};

/// Towards which end a list is read; or which of its ends something is about: the one where that
/// begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    /// From the front to the back.
    Forward,
    /// From the back to the front.
    Backward,
}

/// A list's elements from some index on. A node that is compressed is expanded while it is read.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    list: &'a List,
    direction: Direction,
    /// The index of the next element; `None` at the end.
    index: Option<usize>,
    /// The node of the next element, if `left` is not 0.
    bytes: Cow<'a, [u8]>,
    container: Container,
    /// Where the next element's entry begins.
    offset: usize,
    /// Elements of this node that are still to come.
    left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(list: &'a List, index: usize, direction: Direction) -> Self {
        Self {
            list,
            direction,
            index: (index < list.len()).then_some(index),
            bytes: Cow::Borrowed(&[]),
            container: Container::Packed,
            offset: 0,
            left: 0,
        }
    }

    /// The next element. It is lent: it may lie in a buffer that the next call replaces.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Item<'_>> {
        let index = self.index?;
        if self.left == 0 {
            self.enter(index)?;
        }
        self.left -= 1;
        self.index = match self.direction {
            Direction::Forward => Some(index + 1),
            Direction::Backward => index.checked_sub(1),
        };
        if self.container == Container::Plain {
            return Some(Item::Bytes(&self.bytes));
        }
        let pack = Listpack::new(&self.bytes);
        let at = self.offset;
        // At the node's end there is no such entry, but then none is left.
        let next = match self.direction {
            Direction::Forward => pack.next(at),
            Direction::Backward => pack.prev(at),
        };
        self.offset = next.unwrap_or(at);
        Some(pack.get(at))
    }

    /// Goes to the element at `index`; `None` at the list's end.
    fn enter(&mut self, index: usize) -> Option<()> {
        let (node, offset) = self.list.find_node(index)?;
        self.bytes = node.read();
        self.container = node.container();
        self.left = match self.direction {
            Direction::Forward => node.elements() - offset,
            Direction::Backward => offset + 1,
        };
        if self.container == Container::Packed {
            let index = i64::try_from(offset).expect("a node has fewer elements than bytes");
            self.offset = Listpack::new(&self.bytes).seek(index)?;
        }
        Some(())
    }
}
