//! The tree above the leaves: nodes of up to 48 children with their counts, shared with clones.
//!
//! The lowest nodes hold numbers of leaves, the others nodes. Each child has the score of its first
//! element and the number of its first leaf: descending by score compares these, and looks into a
//! leaf only where scores are equal.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use crate::types::Freed;
use crate::types::allocation::{arc_bytes, size_class};
use crate::types::listpack::Item;

use super::index::Index;
use super::key::{self, Key};
use super::leaf::{ELEMENTS_MAX, Leaf, partition};
use super::leaves::Leaves;
use super::seek::Seek;

const FANOUT: usize = 48;
/// A node with fewer children is merged with a neighbour, if both then have at most
/// [`MERGED_MAX`].
const CHILDREN_MIN: usize = FANOUT / 4;
const MERGED_MAX: usize = FANOUT * 3 / 4;
/// A leaf with fewer elements is merged with a neighbour, if that leaves room.
const ELEMENTS_MIN: usize = ELEMENTS_MAX / 4;
const NODE_BYTES: usize = arc_bytes(size_of::<Node>());
const CHILDREN_BYTES: usize = size_class(FANOUT * size_of::<Arc<Node>>());

#[derive(Debug)]
struct Node {
    len: usize,
    firsts: [f64; FANOUT],
    counts: [u64; FANOUT],
    leaves: [u32; FANOUT],
    /// None above leaves; else room for all.
    children: Vec<Arc<Self>>,
}

impl Clone for Node {
    fn clone(&self) -> Self {
        let mut clone = Self { children: Vec::new(), ..*self };
        if !self.children.is_empty() {
            // Fetches all their reference counts at the same time.
            black_box(self.children.iter().fold(0, |sum, child| sum ^ child.len));
            clone.children.reserve_exact(FANOUT);
            clone.children.extend_from_slice(&self.children);
        }
        clone
    }
}

/// A child as its parent describes it.
struct Child {
    first: f64,
    count: u64,
    leaf: u32,
    node: Option<Arc<Node>>,
}

/// What the elements of the tree stand in.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) leaves: Leaves,
    pub(super) index: Index,
}

/// Nodes of both kinds.
#[derive(Clone, Copy, Debug, Default)]
struct Nodes {
    all: usize,
    with_children: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: Arc<Node>,
    nodes: Nodes,
}

/// How a descent ended that was to insert.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Done,
    /// A leaf was split; it is to be descended anew.
    Split,
}

/// Whether a node is the first or the last of its level.
#[derive(Clone, Copy)]
struct Edge {
    left: bool,
    right: bool,
}

fn insert_at<T: Copy>(array: &mut [T; FANOUT], at: usize, len: usize, value: T) {
    array.copy_within(at..len, at + 1);
    array[at] = value;
}

impl Node {
    fn new() -> Self {
        Self {
            len: 0,
            firsts: [0.0; FANOUT],
            counts: [0; FANOUT],
            leaves: [0; FANOUT],
            children: Vec::new(),
        }
    }

    fn count(&self) -> u64 {
        self.counts[..self.len].iter().sum()
    }

    fn child(&self, index: usize) -> Child {
        Child {
            first: self.firsts[index],
            count: self.counts[index],
            leaf: self.leaves[index],
            node: self.children.get(index).map(Arc::clone),
        }
    }

    fn described(node: Arc<Self>) -> Child {
        Child { first: node.firsts[0], count: node.count(), leaf: node.leaves[0], node: Some(node) }
    }

    /// The last child whose first element is before the place, or else the first.
    #[inline]
    fn toward(&self, seek: &Seek<'_>, leaves: &Leaves) -> usize {
        let len = self.len;
        let firsts = &self.firsts[..len];
        let before = match *seek {
            Seek::Score(score) => firsts.partition_point(|first| *first < score),
            Seek::AfterScore(score) => firsts.partition_point(|first| *first <= score),
            Seek::Element(score, member) => {
                let low = firsts.partition_point(|first| *first < score);
                let equal = firsts[low..].iter().take_while(|first| **first == score).count();
                partition(low..low + equal, |index| {
                    self.first(index, leaves).compare_member(0, member).is_lt()
                })
            }
            Seek::Member(member) => partition(0..len, |index| {
                self.first(index, leaves).compare_member(0, member).is_lt()
            }),
            Seek::AfterMember(member) => partition(0..len, |index| {
                self.first(index, leaves).compare_member(0, member).is_le()
            }),
        };
        before.saturating_sub(1)
    }

    fn first<'a>(&self, index: usize, leaves: &'a Leaves) -> &'a Leaf {
        leaves.get(self.leaves[index])
    }

    /// The child with the element at a rank, and its rank there; ranks behind the end are in the
    /// last child.
    #[inline]
    fn at_rank(&self, mut rank: u64) -> (usize, u64) {
        for index in 0..self.len.saturating_sub(1) {
            if rank < self.counts[index] {
                return (index, rank);
            }
            rank -= self.counts[index];
        }
        (self.len.saturating_sub(1), rank)
    }

    /// Describes a child anew after it has changed.
    fn refresh(&mut self, index: usize) {
        let node = &self.children[index];
        (self.firsts[index], self.leaves[index]) = (node.firsts[0], node.leaves[0]);
        self.counts[index] = node.count();
    }

    fn remove(&mut self, index: usize) {
        self.firsts.copy_within(index + 1..self.len, index);
        self.counts.copy_within(index + 1..self.len, index);
        self.leaves.copy_within(index + 1..self.len, index);
        if !self.children.is_empty() {
            self.children.remove(index);
        }
        self.len -= 1;
    }

    fn put(&mut self, index: usize, child: Child) {
        insert_at(&mut self.firsts, index, self.len, child.first);
        insert_at(&mut self.counts, index, self.len, child.count);
        insert_at(&mut self.leaves, index, self.len, child.leaf);
        if let Some(node) = child.node {
            if self.children.capacity() == 0 {
                self.children.reserve_exact(FANOUT);
            }
            self.children.insert(index, node);
        }
        self.len += 1;
    }

    /// Inserts a child. A full node is split: at its end if it grows there, so that it stays full.
    fn insert(
        &mut self,
        index: usize,
        child: Child,
        edge: Edge,
        nodes: &mut Nodes,
    ) -> Option<Arc<Self>> {
        if self.len < FANOUT {
            self.put(index, child);
            return None;
        }
        let at = match index {
            FANOUT if edge.right => FANOUT,
            0 if edge.left => 1,
            _ => FANOUT / 2,
        };
        nodes.all += 1;
        nodes.with_children += usize::from(!self.children.is_empty());
        let mut right = Self::new();
        right.take_from(self, at..FANOUT);
        if index <= at && at < FANOUT {
            self.put(index, child);
        } else {
            right.put(index - at, child);
        }
        Some(Arc::new(right))
    }

    /// Appends children of another node, which loses them.
    fn take_from(&mut self, other: &mut Self, run: Range<usize>) {
        for index in run.clone() {
            self.put(self.len, other.child(index));
        }
        other.len -= run.len();
        other.children.truncate(other.len);
    }
}

/// Gives the elements of a run of a leaf to another one.
fn renumber(parts: &mut Parts, leaf: u32, run: Range<usize>, from: u32, to: u32) {
    let leaf = parts.leaves.get(leaf);
    let mut hashes = [0; ELEMENTS_MAX];
    let hashes = &mut hashes[..run.len()];
    for (hash, index) in hashes.iter_mut().zip(run) {
        *hash = key::hash(leaf.member(index));
    }
    parts.index.prefetch(hashes);
    for hash in hashes {
        parts.index.renumber(*hash, from, to);
    }
}

/// Inserts an element, or splits a leaf to make room for it. Returns a new right neighbour of the
/// node, if it was split.
fn insert(
    node: &mut Arc<Node>,
    edge: Edge,
    (parts, nodes): (&mut Parts, &mut Nodes),
    key: &Key<'_>,
    score: f64,
) -> (Step, Option<Arc<Node>>) {
    let node = Arc::make_mut(node);
    let seek = Seek::Element(score, key.bytes);
    let index = node.toward(&seek, &parts.leaves);
    let edge = Edge { left: edge.left && index == 0, right: edge.right && index + 1 == node.len };
    if let Some(child) = node.children.get_mut(index) {
        let (step, neighbour) = insert(child, edge, (parts, nodes), key, score);
        node.refresh(index);
        let neighbour = neighbour.map(Node::described);
        return (step, neighbour.and_then(|new| node.insert(index + 1, new, edge, nodes)));
    }
    let number = node.leaves[index];
    let leaf = parts.leaves.get(number);
    leaf.prefetch();
    let at = leaf.bound(&seek);
    let count = node.counts[index];
    if parts.leaves.change(number, |leaf| leaf.insert(at, key, score)) {
        parts.index.insert(key.hash, number);
        node.counts[index] += 1;
        if at == 0 {
            node.firsts[index] = score;
        }
        return (Step::Done, None);
    }
    if edge.right && at as u64 == count || edge.left && at == 0 {
        // Elements that come in order leave full leaves behind.
        let leaf = parts.leaves.add(Leaf::new(key, score));
        parts.index.insert(key.hash, leaf);
        let child = Child { first: score, count: 1, leaf, node: None };
        let place = if at == 0 { index } else { index + 1 };
        return (Step::Done, node.insert(place, child, edge, nodes));
    }
    let keep = count as usize / 2;
    let right = parts.leaves.change(number, |leaf| leaf.split_off(keep));
    let (first, moved) = (right.score(0), right.count());
    let leaf = parts.leaves.add(right);
    renumber(parts, leaf, 0..moved, number, leaf);
    node.counts[index] = keep as u64;
    let child = Child { first, count: moved as u64, leaf, node: None };
    (Step::Split, node.insert(index + 1, child, edge, nodes))
}

/// Removes a run of elements from one leaf, and tells of each. Returns how many there were.
fn remove(
    node: &mut Arc<Node>,
    (parts, nodes): (&mut Parts, &mut Nodes),
    (rank, most): (u64, usize),
    each: &mut impl FnMut(Item<'_>, f64),
) -> usize {
    let node = Arc::make_mut(node);
    let (index, rank) = node.at_rank(rank);
    let removed;
    if let Some(child) = node.children.get_mut(index) {
        removed = remove(child, (parts, nodes), (rank, most), each);
        if child.len == 0 {
            nodes.all -= 1;
            nodes.with_children -= usize::from(child.children.capacity() > 0);
            node.remove(index);
        } else {
            node.refresh(index);
            merge_nodes(node, index, nodes);
        }
    } else {
        let number = node.leaves[index];
        let leaf = parts.leaves.get(number);
        let start = rank as usize;
        let run = start..leaf.count().min(start.saturating_add(most));
        removed = run.len();
        if removed == 1 {
            fetch_next(leaf, start, &parts.index);
        }
        for index in run.clone() {
            each(leaf.member(index), leaf.score(index));
            parts.index.remove(key::hash(leaf.member(index)), number);
        }
        if removed == leaf.count() {
            parts.leaves.take(number);
            node.remove(index);
        } else {
            parts.leaves.change(number, |leaf| leaf.remove(run));
            node.counts[index] -= removed as u64;
            node.firsts[index] = parts.leaves.get(number).score(0);
            merge_leaves(node, index, parts);
        }
    }
    removed
}

/// Elements that are removed one by one from an end of a leaf, as a priority queue does it, wait for
/// their entries in the index; those of the next few are fetched at the same time.
#[inline]
fn fetch_next(leaf: &Leaf, start: usize, index: &Index) {
    const AHEAD: usize = 8;
    let count = leaf.count();
    let run = match start {
        _ if !count.is_multiple_of(AHEAD) => return,
        0 => 0..AHEAD.min(count),
        _ if start + 1 == count => count.saturating_sub(AHEAD)..count,
        _ => return,
    };
    let mut hashes = [0; AHEAD];
    let hashes = &mut hashes[..run.len()];
    for (hash, at) in hashes.iter_mut().zip(run) {
        *hash = key::hash(leaf.member(at));
    }
    index.prefetch(hashes);
}

/// Merges a leaf that became small with a neighbour below the same node.
fn merge_leaves(node: &mut Node, index: usize, parts: &mut Parts) {
    if node.counts[index] >= ELEMENTS_MIN as u64 || node.len < 2 {
        return;
    }
    let left = index.min(node.len - 2);
    let (one, two) = (node.leaves[left], node.leaves[left + 1]);
    let (leaf, other) = (parts.leaves.get(one), parts.leaves.get(two));
    if !leaf.can_absorb(other) {
        return;
    }
    let (first, second) = (leaf.count(), other.count());
    let merged = Leaf::gathered(&[(leaf, 0..first), (other, 0..second)]);
    // The number stays whose leaf has more elements.
    let (kept, gone, moved) =
        if first >= second { (one, two, first..first + second) } else { (two, one, 0..first) };
    parts.leaves.change(kept, |leaf| *leaf = merged);
    parts.leaves.take(gone);
    renumber(parts, kept, moved, gone, kept);
    node.leaves[left] = kept;
    node.counts[left] += node.counts[left + 1];
    node.remove(left + 1);
}

/// Merges a node that became small with a neighbour below the same node.
fn merge_nodes(node: &mut Node, index: usize, nodes: &mut Nodes) {
    if node.children[index].len >= CHILDREN_MIN || node.len < 2 {
        return;
    }
    let left = index.min(node.len - 2);
    if node.children[left].len + node.children[left + 1].len > MERGED_MAX {
        return;
    }
    let mut right = Arc::clone(&node.children[left + 1]);
    node.remove(left + 1);
    let right = Arc::make_mut(&mut right);
    nodes.all -= 1;
    nodes.with_children -= usize::from(!right.children.is_empty());
    let len = right.len;
    Arc::make_mut(&mut node.children[left]).take_from(right, 0..len);
    node.refresh(left);
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { root: Arc::new(Node::new()), nodes: Nodes { all: 1, with_children: 0 } }
    }

    /// Bytes allocated for the nodes.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.nodes.all * NODE_BYTES + self.nodes.with_children * CHILDREN_BYTES
    }

    /// Elements before a place.
    #[inline]
    pub(super) fn rank(&self, seek: &Seek<'_>, leaves: &Leaves) -> usize {
        let mut node = &*self.root;
        let mut rank = 0;
        loop {
            let index = node.toward(seek, leaves);
            rank += node.counts[..index].iter().sum::<u64>() as usize;
            match node.children.get(index) {
                Some(child) => node = child,
                None if node.len == 0 => return 0,
                None => return rank + leaves.get(node.leaves[index]).bound(seek),
            }
        }
    }

    /// Elements before one that is known to stand in a leaf at some position.
    #[inline]
    pub(super) fn rank_of(&self, seek: &Seek<'_>, position: usize, leaves: &Leaves) -> usize {
        let mut node = &*self.root;
        let mut rank = position;
        // The last child that begins before or with the element.
        let toward = |node: &Node| {
            let next = node.toward(seek, leaves) + 1;
            let Seek::Element(score, member) = *seek else { return next - 1 };
            let is_next = next < node.len
                && node.firsts[next] == score
                && node.first(next, leaves).compare_member(0, member).is_eq();
            if is_next { next } else { next - 1 }
        };
        loop {
            let index = toward(node);
            rank += node.counts[..index].iter().sum::<u64>() as usize;
            match node.children.get(index) {
                Some(child) => node = child,
                None => return rank,
            }
        }
    }

    /// The leaf with the element at a rank, and its position there; the rank must be less than
    /// the number of elements.
    #[inline]
    pub(super) fn at_rank<'a>(&self, rank: usize, leaves: &'a Leaves) -> (&'a Leaf, usize) {
        let (mut node, mut rank) = (&*self.root, rank as u64);
        loop {
            let index;
            (index, rank) = node.at_rank(rank);
            match node.children.get(index) {
                Some(child) => node = child,
                None => return (leaves.get(node.leaves[index]), rank as usize),
            }
        }
    }

    /// Inserts an element that is not there.
    pub(super) fn insert(&mut self, parts: &mut Parts, key: &Key<'_>, score: f64) {
        if self.root.len == 0 {
            let leaf = parts.leaves.add(Leaf::new(key, score));
            parts.index.insert(key.hash, leaf);
            Arc::make_mut(&mut self.root)
                .put(0, Child { first: score, count: 1, leaf, node: None });
            return;
        }
        loop {
            let edge = Edge { left: true, right: true };
            let root = &mut self.root;
            let (step, neighbour) = insert(root, edge, (parts, &mut self.nodes), key, score);
            if let Some(right) = neighbour {
                let mut above = Node::new();
                above.put(0, Node::described(Arc::clone(root)));
                above.put(1, Node::described(right));
                *root = Arc::new(above);
                self.nodes.all += 1;
                self.nodes.with_children += 1;
            }
            if step == Step::Done {
                return;
            }
        }
    }

    /// Removes elements from a rank on and tells of each; there must be so many.
    pub(super) fn remove(
        &mut self,
        parts: &mut Parts,
        rank: usize,
        mut count: usize,
        each: &mut impl FnMut(Item<'_>, f64),
    ) {
        while count > 0 {
            let places = (parts as &mut Parts, &mut self.nodes);
            count -= remove(&mut self.root, places, (rank as u64, count), each);
            if self.root.len == 0 {
                *self = Self::new();
            }
            while self.root.children.len() == 1 {
                self.root = Arc::clone(&self.root.children[0]);
                self.nodes.all -= 1;
                self.nodes.with_children -= 1;
            }
        }
    }

    /// Frees a node from the end; `None` when nothing is left.
    pub(super) fn free_last(&mut self) -> Option<Freed> {
        fn free(node: &mut Arc<Node>) -> Option<Freed> {
            let alone = Arc::get_mut(node)?;
            let child = alone.children.last_mut()?;
            if let Some(freed) = free(child) {
                return Some(freed);
            }
            let bytes = match Arc::get_mut(child) {
                Some(child) if child.children.capacity() > 0 => NODE_BYTES + CHILDREN_BYTES,
                Some(_) => NODE_BYTES,
                None => 0,
            };
            alone.children.pop();
            Some(Freed { bytes, objects: 1 })
        }
        free(&mut self.root)
    }

    #[cfg(test)]
    pub(super) fn recounted_bytes(&self) -> usize {
        fn count(node: &Node) -> usize {
            NODE_BYTES
                + size_class(8 * node.children.capacity())
                + node.children.iter().map(|child| count(child)).sum::<usize>()
        }
        count(&self.root)
    }
}
