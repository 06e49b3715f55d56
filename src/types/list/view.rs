//! One view over both ways a list is stored.

use std::ops::ControlFlow;

use super::packed::{self, PackedList};
use super::{Container, Direction, Limits, List, Stored};
use crate::number::parse_i64;
use crate::types::listpack::Item;

/// A list as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ListRef<'a> {
    Packed(PackedList<'a>),
    Large(&'a List),
}

impl<'a> ListRef<'a> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Packed(list) => list.pack.len(),
            Self::Large(list) => list.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Packed(list) => list.pack.is_empty(),
            Self::Large(list) => list.is_empty(),
        }
    }

    /// The limits that it was made with.
    pub(crate) fn limits(self) -> Limits {
        match self {
            Self::Packed(list) => list.limits(),
            Self::Large(list) => list.limits(),
        }
    }

    /// Passes the element at `index` to `read`.
    pub(crate) fn with<R>(self, index: usize, read: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        match self {
            Self::Packed(list) => packed::seek(list.pack, index).map(|at| read(list.pack.get(at))),
            Self::Large(list) => list.with(index, read),
        }
    }

    /// Passes the elements from `index` on, towards either end, to `each`, until that breaks.
    #[inline]
    pub(crate) fn visit(
        self,
        index: usize,
        direction: Direction,
        mut each: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) {
        match self {
            Self::Packed(list) => {
                let pack = list.pack;
                let mut at = packed::seek(pack, index);
                while let Some(offset) = at
                    && each(pack.get(offset)).is_continue()
                {
                    at = match direction {
                        Direction::Forward => pack.next(offset),
                        Direction::Backward => pack.prev(offset),
                    };
                }
            }
            Self::Large(list) => {
                let mut walk = list.walk(index, direction);
                while let Some(item) = walk.next()
                    && each(item).is_continue()
                {}
            }
        }
    }

    /// Passes up to `count` elements from `index` on to `each`.
    #[inline]
    pub(crate) fn visit_some(
        self,
        index: usize,
        direction: Direction,
        count: usize,
        mut each: impl FnMut(Item<'_>),
    ) {
        let mut left = count;
        if left > 0 {
            self.visit(index, direction, |item| {
                each(item);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
    }

    /// Passes, from one end on, how many elements were passed before each one that is `value`, until
    /// `each` breaks; looks at `most` elements.
    pub(crate) fn visit_equal(
        self,
        value: &[u8],
        direction: Direction,
        most: usize,
        mut each: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        let Some(last) = self.len().checked_sub(1) else { return };
        let number = parse_i64(value);
        let mut steps = 0;
        let start = if direction == Direction::Forward { 0 } else { last };
        self.visit(start, direction, |item| {
            if steps == most {
                return ControlFlow::Break(());
            }
            let is_it = match item {
                Item::Int(own) => number == Some(own),
                Item::Bytes(own) => own == value,
            };
            steps += 1;
            if is_it { each(steps - 1) } else { ControlFlow::Continue(()) }
        });
    }

    /// The index of the first element that is `value`.
    pub(crate) fn find(self, value: &[u8]) -> Option<usize> {
        let mut found = None;
        self.visit_equal(value, Direction::Forward, usize::MAX, |index| {
            found = Some(index);
            ControlFlow::Break(())
        });
        found
    }

    /// Into how many nodes Redis would divide it.
    pub(crate) fn node_count(self) -> usize {
        match self {
            Self::Packed(_) => 1,
            Self::Large(list) => list.node_count(),
        }
    }

    /// These nodes in order, as they are saved.
    pub(crate) fn nodes(self) -> impl Iterator<Item = (Container, Stored<'a>)> {
        let (only, list) = match self {
            Self::Packed(list) => {
                (Some((Container::Packed, Stored::Raw(list.pack.as_bytes()))), None)
            }
            Self::Large(list) => (None, Some(list)),
        };
        only.into_iter().chain(list.into_iter().flat_map(List::nodes))
    }
}
