//! Walking along the elements of a large sorted set, in either direction.

use crate::types::listpack::Item;

use super::SortedSet;
use super::leaf::Leaf;

#[derive(Clone, Copy, Debug)]
enum Direction {
    Forward,
    Backward,
}

/// Members and scores in order, or backwards.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    set: &'a SortedSet,
    direction: Direction,
    /// Elements before the next one to give (`Forward`), or up to it (`Backward`).
    rank: usize,
    leaf: Option<&'a Leaf>,
    /// Position in the leaf that corresponds to the rank.
    position: usize,
}

impl<'a> Elements<'a> {
    pub(super) fn forward(set: &'a SortedSet, rank: usize) -> Self {
        let rank = rank.min(set.len);
        Self { set, direction: Direction::Forward, rank, leaf: None, position: 0 }
    }

    pub(super) fn backward(set: &'a SortedSet, rank: usize) -> Self {
        Self { direction: Direction::Backward, ..Self::forward(set, rank) }
    }

    /// Goes to the leaf with the element at a rank, and returns its position there.
    fn enter(&mut self, rank: usize) -> usize {
        let set = self.set;
        let (leaf, position) = set.tree.at_rank(rank, &set.parts.leaves);
        if self.leaf.replace(leaf).is_some() {
            // The walk has come from another leaf: it will take most of this one.
            leaf.prefetch();
        }
        position
    }

    fn left(&self) -> usize {
        match self.direction {
            Direction::Forward => self.set.len - self.rank,
            Direction::Backward => self.rank,
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left() == 0 {
            return None;
        }
        let position = match self.direction {
            Direction::Forward => {
                if self.leaf.is_none_or(|leaf| self.position == leaf.count()) {
                    self.position = self.enter(self.rank);
                }
                self.rank += 1;
                self.position += 1;
                self.position - 1
            }
            Direction::Backward => {
                self.rank -= 1;
                if self.leaf.is_none() || self.position == 0 {
                    self.position = self.enter(self.rank) + 1;
                }
                self.position -= 1;
                self.position
            }
        };
        let leaf = self.leaf?;
        Some((leaf.member(position), leaf.score(position)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left(), Some(self.left()))
    }
}

impl ExactSizeIterator for Elements<'_> {}
