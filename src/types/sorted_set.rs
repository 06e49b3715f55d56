//! A sorted set too large for a listpack: members in the order of score and bytes, with ranks.
//!
//! Each member stands once, packed with its score in a leaf of a B+ tree (`leaf`, `tree`). What
//! Redis's hash table is for, an index from the hash of a member to the number of its leaf
//! (`index`, `leaves`) does with eight bytes a member; the leaf has a byte of fingerprint for each.
//! A leaf's split renumbers the members that moved, nothing else, and nothing is ever rebuilt as a
//! whole. All nodes are behind `Arc` and copied on write, so a clone shares everything.
//!
//! Scores are never NaN; zeros of either sign are equal.

mod edit;
mod index;
mod iter;
mod key;
mod leaf;
mod leaves;
mod member;
mod seek;
mod shared;
mod tree;
mod view;

use std::ops::ControlFlow;

pub(crate) use edit::{empty_for, insert, of_ordered, remove, remove_ranks};
pub(crate) use iter::Elements;
pub(crate) use view::SortedSetRef;
use view::{insert_packed, remove_packed};

use super::listpack::Item;
use super::{FETCHED_MAX, Freed};
use index::Index;
use key::Key;
use leaves::Leaves;
use seek::Seek;
use tree::{Parts, Tree};

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    /// The member had another score.
    Moved,
    /// The member had this score.
    Same,
}

#[derive(Clone, Debug)]
pub(crate) struct SortedSet {
    tree: Tree,
    parts: Parts,
    len: usize,
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl SortedSet {
    pub(crate) fn new() -> Self {
        let parts = Parts { leaves: Leaves::new(), index: Index::new() };
        Self { tree: Tree::new(), parts, len: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of a member's leaf, and its position there.
    #[inline]
    fn find(&self, key: &Key<'_>) -> Option<(u32, usize)> {
        let leaves = &self.parts.leaves;
        self.parts.index.find(key.hash, |leaf| Some((leaf, leaves.get(leaf).find(key)?)))
    }

    /// Reads where these members stand, all at the same time.
    pub(crate) fn fetch(&self, members: &[&[u8]]) {
        let Parts { leaves, index } = &self.parts;
        for members in members.chunks(FETCHED_MAX) {
            let mut hashes = [0; FETCHED_MAX];
            for (hash, member) in hashes.iter_mut().zip(members) {
                *hash = Key::new(member).hash;
            }
            let hashes = &hashes[..members.len()];
            index.prefetch(hashes);
            for hash in hashes {
                if let Some(leaf) = index.find(*hash, Some) {
                    leaves.get(leaf).prefetch();
                }
            }
        }
    }

    #[inline]
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        let (leaf, position) = self.find(&Key::new(member))?;
        Some(self.parts.leaves.get(leaf).score(position))
    }

    /// Elements before a member, and its score.
    pub(crate) fn rank_and_score(&self, member: &[u8]) -> Option<(usize, f64)> {
        let (leaf, position) = self.find(&Key::new(member))?;
        Some(self.rank_at(member, leaf, position))
    }

    fn rank_at(&self, member: &[u8], leaf: u32, position: usize) -> (usize, f64) {
        let leaves = &self.parts.leaves;
        let score = leaves.get(leaf).score(position);
        (self.tree.rank_of(&Seek::Element(score, member), position, leaves), score)
    }

    /// The element at a rank.
    pub(crate) fn get(&self, rank: usize) -> Option<(Item<'_>, f64)> {
        if rank >= self.len {
            return None;
        }
        let (leaf, position) = self.tree.at_rank(rank, &self.parts.leaves);
        Some((leaf.member(position), leaf.score(position)))
    }

    /// Adds a member or changes its score, which must be a number.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
        debug_assert!(!score.is_nan(), "a score is a number");
        let key = Key::new(member);
        let Some((number, position)) = self.find(&key) else {
            self.tree.insert(&mut self.parts, &key, score);
            self.len += 1;
            return Inserted::New;
        };
        let leaf = self.parts.leaves.get(number);
        let old = leaf.score(position);
        if old == score {
            return Inserted::Same;
        }
        let stays = position > 0
            && position + 1 < leaf.count()
            && leaf.score(position - 1) < score
            && score < leaf.score(position + 1);
        if stays && self.parts.leaves.change(number, |leaf| leaf.set_score(position, score)) {
            return Inserted::Moved;
        }
        let rank = self.rank_at(member, number, position).0;
        self.tree.remove(&mut self.parts, rank, 1, &mut |_, _| {});
        self.tree.insert(&mut self.parts, &key, score);
        Inserted::Moved
    }

    /// Removes a member and returns its score.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (rank, score) = self.rank_and_score(member)?;
        self.remove_ranks(rank, 1, |_, _| {});
        Some(score)
    }

    /// Removes up to `count` elements from a rank on, and tells of each before it goes.
    pub(crate) fn remove_ranks(
        &mut self,
        start: usize,
        count: usize,
        mut each: impl FnMut(Item<'_>, f64),
    ) {
        let count = count.min(self.len.saturating_sub(start));
        self.tree.remove(&mut self.parts, start, count, &mut each);
        self.len -= count;
    }

    /// Elements whose score is less: the rank of the first that has at least this score.
    pub(crate) fn rank_of_score(&self, score: f64) -> usize {
        self.tree.rank(&Seek::Score(score), &self.parts.leaves)
    }

    /// Elements whose score is not greater: the rank of the first that has a greater one.
    pub(crate) fn rank_after_score(&self, score: f64) -> usize {
        self.tree.rank(&Seek::AfterScore(score), &self.parts.leaves)
    }

    /// The rank of the first member that is not less, if all scores are equal; else some rank.
    pub(crate) fn rank_of_member(&self, member: &[u8]) -> usize {
        self.tree.rank(&Seek::Member(member), &self.parts.leaves)
    }

    /// The rank of the first member that is greater, if all scores are equal; else some rank.
    pub(crate) fn rank_after_member(&self, member: &[u8]) -> usize {
        self.tree.rank(&Seek::AfterMember(member), &self.parts.leaves)
    }

    /// Elements from a rank on.
    pub(crate) fn iter_from(&self, rank: usize) -> Elements<'_> {
        Elements::forward(self, rank)
    }

    /// The elements before a rank, from the last to the first.
    pub(crate) fn iter_before(&self, rank: usize) -> Elements<'_> {
        Elements::backward(self, rank)
    }

    /// Continues a scan, which begins and ends with cursor 0: visits at least `count` elements, if
    /// there are so many, and returns the cursor to continue from.
    ///
    /// Members are visited in the order of their hashes, and the cursor is the hash of the next one
    /// to visit: a member that is present throughout is visited exactly once, whatever changes
    /// meanwhile.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut each: impl FnMut(Item<'_>, f64),
    ) -> u64 {
        let Ok(from) = u32::try_from(cursor) else { return 0 };
        let mut visited = 0;
        let mut current = None;
        // The leaves with members of the current hash, which may stand in one together.
        let mut looked_into: Vec<u32> = Vec::new();
        let stopped = self.parts.index.visit_from(from, |hash, number| {
            if current != Some(hash) {
                if visited >= count.max(1) {
                    return ControlFlow::Break(u64::from(hash));
                }
                current = Some(hash);
                looked_into.clear();
            }
            if !looked_into.contains(&number) {
                looked_into.push(number);
                let leaf = self.parts.leaves.get(number);
                for position in leaf.with_fingerprint(key::fingerprint(hash)) {
                    let member = leaf.member(position);
                    if key::hash(member) == hash {
                        each(member, leaf.score(position));
                        visited += 1;
                    }
                }
            }
            ControlFlow::Continue(())
        });
        stopped.break_value().unwrap_or(0)
    }

    /// How many members each segment of the index has.
    pub(crate) fn index_segment_lens(&self) -> Vec<usize> {
        self.parts.index.segment_lens()
    }

    /// Bytes allocated, what is shared with clones included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let Parts { leaves, index } = &self.parts;
        self.tree.allocated_bytes() + leaves.allocated_bytes() + index.allocated_bytes()
    }

    /// Frees part of the set, at most about `most`; returns how much, nothing at the end. The rest
    /// can only be freed as well.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut freed = Freed::default();
        while freed.bytes < most.bytes && freed.objects < most.objects {
            let Parts { leaves, index } = &mut self.parts;
            let Some(part) =
                leaves.free_last().or_else(|| index.free_last()).or_else(|| self.tree.free_last())
            else {
                break;
            };
            freed.bytes += part.bytes;
            freed.objects += part.objects;
        }
        freed
    }
}

#[cfg(test)]
mod tests;
