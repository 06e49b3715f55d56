//! The tree above the segments: which one a hash or a rank belongs to, and how it grows and shrinks.
//!
//! A B+ tree by hash, whose nodes know the number of elements below each child. All segments are
//! at the same depth. A node's first child also takes lower hashes than its own first one, so that
//! children can be removed without a change further up.

use std::hint::black_box;
use std::sync::Arc;

use super::charge;
use super::segment::{Element, Segment};
use crate::prefetch::{LINE_BYTES, prefetch};
use crate::types::Freed;
use crate::types::allocation::{self, arc_bytes, vec_bytes};

/// A node with more children is split: what the first write after a snapshot copies.
const CHILDREN_MAX: usize = 32;
/// A node with fewer is merged with a neighbour ...
const CHILDREN_THIN: usize = 8;
/// ... if both together have at most so many.
const CHILDREN_MERGED: usize = 24;
/// Deeper than any tree that memory can hold: a level has at least 16 times the nodes of the one above.
const DEPTH_MAX: usize = 16;

#[derive(Debug)]
pub(super) enum Node<const VALUES: bool> {
    Branch(Vec<Child<VALUES>>),
    Leaf(Vec<Segment<VALUES>>),
}

#[derive(Clone, Debug)]
pub(super) struct Child<const VALUES: bool> {
    /// The lowest hash below it.
    first: u64,
    /// Elements below it.
    len: usize,
    pub(super) node: Arc<Node<VALUES>>,
}

/// What a node consists of.
trait Part {
    fn first(&self) -> u64;
    fn len(&self) -> usize;
}

impl<const VALUES: bool> Part for Child<VALUES> {
    fn first(&self) -> u64 {
        self.first
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl<const VALUES: bool> Part for Segment<VALUES> {
    fn first(&self) -> u64 {
        self.first
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// The way from the root to an element: the child at each level, and the index in the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    steps: [u8; DEPTH_MAX],
    depth: usize,
    pub(super) index: usize,
}

impl Path {
    fn start() -> Self {
        Self { steps: [0; DEPTH_MAX], depth: 0, index: 0 }
    }

    fn step(&mut self, child: usize) {
        self.steps[self.depth] = child as u8;
        self.depth += 1;
    }

    pub(super) fn steps(&self) -> &[u8] {
        &self.steps[..self.depth]
    }
}

/// A change of one element.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    Add(u64, Element<'a>),
    SetValue(usize, &'a [u8]),
}

/// The hashes that belong below a node.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// The lowest one.
    low: u64,
    /// None is above.
    high: u64,
}

impl Range {
    const ALL: Self = Self { low: 0, high: u64::MAX };

    /// About where a hash among `len` parts belongs: hashes are uniform. The first and the last part
    /// say no more, and would have to be read.
    #[inline]
    fn guess(self, len: usize, hash: u64) -> usize {
        const { assert!(CHILDREN_MAX < 64, "a product of 32 bits") };
        // 26 bits are close enough, and their division takes half the time.
        let short = |distance: u64| (distance >> 38) as u32;
        let width = short(self.high - self.low) + 1;
        (short(hash - self.low) * len as u32 / width) as usize
    }

    /// The hashes below one of the parts.
    #[inline]
    fn below(self, parts: &[impl Part], at: usize) -> Self {
        Self {
            low: if at == 0 { self.low } else { parts[at].first() },
            high: parts.get(at + 1).map_or(self.high, Part::first),
        }
    }
}

/// The part that a hash belongs to.
#[inline]
fn position(parts: &[impl Part], range: Range, hash: u64) -> usize {
    let mut at = range.guess(parts.len(), hash);
    while at > 0 && parts[at].first() > hash {
        at -= 1;
    }
    while parts.get(at + 1).is_some_and(|next| next.first() <= hash) {
        at += 1;
    }
    at
}

/// The same, by bisection.
fn position_among(parts: &[impl Part], hash: u64) -> usize {
    parts.partition_point(|part| part.first() <= hash).saturating_sub(1)
}

/// The part with the element of this rank, which is subtracted to the rank within it.
fn ranked(parts: &[impl Part], rank: &mut usize) -> usize {
    for (at, part) in parts.iter().enumerate() {
        if *rank < part.len() {
            return at;
        }
        *rank -= part.len();
    }
    unreachable!("a rank is less than the number of elements");
}

fn insert_part<T>(parts: &mut Vec<T>, at: usize, part: T, meter: &mut usize) {
    let before = vec_bytes(parts);
    allocation::reserve(parts, 1);
    parts.insert(at, part);
    charge(meter, before, vec_bytes(parts));
}

fn remove_part<T>(parts: &mut Vec<T>, at: usize, meter: &mut usize) -> T {
    let before = vec_bytes(parts);
    let part = parts.remove(at);
    if parts.len() < parts.capacity() / 2 {
        allocation::shrink(parts);
    }
    charge(meter, before, vec_bytes(parts));
    part
}

/// The upper half of too many parts.
fn divide<T>(parts: &mut Vec<T>, meter: &mut usize) -> Option<Vec<T>> {
    if parts.len() <= CHILDREN_MAX {
        return None;
    }
    let before = vec_bytes(parts);
    let upper = parts.split_off(parts.len() / 2);
    allocation::shrink(parts);
    charge(meter, before, vec_bytes(parts) + vec_bytes(&upper));
    Some(upper)
}

fn append<T>(parts: &mut Vec<T>, mut next: Vec<T>, meter: &mut usize) {
    let before = vec_bytes(parts) + vec_bytes(&next);
    allocation::reserve(parts, next.len());
    parts.append(&mut next);
    charge(meter, before, vec_bytes(parts));
}

/// The neighbours that a part may be merged with, each as the first of a pair.
fn pairs(at: usize, parts: usize) -> impl Iterator<Item = usize> {
    [Some(at), at.checked_sub(1)].into_iter().flatten().filter(move |&first| first + 1 < parts)
}

/// Merges a segment that has become thin, or removes an empty one.
fn mend_segments<const V: bool>(parts: &mut Vec<Segment<V>>, at: usize, meter: &mut usize) {
    if parts.len() < 2 || !parts[at].is_thin() {
        return;
    }
    if parts[at].len() == 0 {
        let removed = remove_part(parts, at, meter);
        return charge(meter, removed.allocated_bytes(), 0);
    }
    let pair = pairs(at, parts.len()).find(|&first| parts[first].fits_with(&parts[first + 1]));
    if let Some(first) = pair {
        let next = remove_part(parts, first + 1, meter);
        parts[first].append(&next, meter);
    }
}

/// Likewise a node.
fn mend_children<const V: bool>(parts: &mut Vec<Child<V>>, at: usize, meter: &mut usize) {
    if parts.len() < 2 || parts[at].node.children() >= CHILDREN_THIN {
        return;
    }
    if parts[at].len == 0 {
        let removed = remove_part(parts, at, meter);
        return charge(meter, removed.node.allocated_bytes(), 0);
    }
    let fits = |pair: &[Child<V>]| {
        pair.iter().map(|child| child.node.children()).sum::<usize>() <= CHILDREN_MERGED
    };
    let pair = pairs(at, parts.len()).find(|&first| fits(&parts[first..first + 2]));
    if let Some(first) = pair {
        let next = remove_part(parts, first + 1, meter);
        let child = &mut parts[first];
        child.len += next.len;
        let next_node = Arc::unwrap_or_clone(next.node);
        Arc::make_mut(&mut child.node).append(next_node, next.first, meter);
    }
}

impl<const VALUES: bool> Clone for Node<VALUES> {
    fn clone(&self) -> Self {
        match self {
            Self::Branch(children) => {
                // Reads all counts before the first is written: these reads overlap, writes wait.
                black_box(
                    children.iter().map(|child| Arc::strong_count(&child.node)).sum::<usize>(),
                );
                Self::Branch(allocation::cloned(children))
            }
            Self::Leaf(segments) => {
                black_box(segments.iter().map(Segment::shares).sum::<usize>());
                Self::Leaf(allocation::cloned(segments))
            }
        }
    }
}

impl<const VALUES: bool> Node<VALUES> {
    /// Bytes allocated for a node without its parts.
    pub(super) const BYTES: usize = arc_bytes(size_of::<Self>());

    fn branch(children: Vec<Child<VALUES>>) -> Child<VALUES> {
        let (first, len) = (children[0].first, children.iter().map(|child| child.len).sum());
        Child { first, len, node: Arc::new(Self::Branch(children)) }
    }

    fn leaf(segments: Vec<Segment<VALUES>>) -> Child<VALUES> {
        let (first, len) = (segments[0].first, segments.iter().map(Segment::len).sum());
        Child { first, len, node: Arc::new(Self::Leaf(segments)) }
    }

    /// A root of two halves.
    pub(super) fn root(lower: Arc<Self>, len: usize, upper: Child<VALUES>) -> Arc<Self> {
        let lower = Child { first: 0, len: len - upper.len, node: lower };
        Arc::new(Self::Branch(vec![lower, upper]))
    }

    /// A tree of some segments, at least one.
    pub(super) fn tree(segments: &[Segment<VALUES>]) -> Arc<Self> {
        let leaves = segments.chunks(CHILDREN_MERGED).map(|segments| Self::leaf(segments.to_vec()));
        let mut nodes: Vec<_> = leaves.collect();
        while nodes.len() > 1 {
            let branches = nodes.chunks(CHILDREN_MERGED).map(|nodes| Self::branch(nodes.to_vec()));
            nodes = branches.collect();
        }
        nodes.pop().expect("there is a segment").node
    }

    fn children(&self) -> usize {
        match self {
            Self::Branch(children) => children.len(),
            Self::Leaf(segments) => segments.len(),
        }
    }

    /// Bytes allocated for the node without what is below it.
    pub(super) fn own_bytes(&self) -> usize {
        Self::BYTES
            + match self {
                Self::Branch(children) => vec_bytes(children),
                Self::Leaf(segments) => vec_bytes(segments),
            }
    }

    /// Bytes allocated for the node and all below it, counted.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.own_bytes()
            + match self {
                Self::Branch(children) => {
                    children.iter().map(|child| child.node.allocated_bytes()).sum::<usize>()
                }
                Self::Leaf(segments) => segments.iter().map(Segment::allocated_bytes).sum(),
            }
    }

    /// The segment that a hash belongs to.
    #[inline]
    pub(super) fn segment(&self, hash: u64) -> &Segment<VALUES> {
        let mut place = Place::root(self);
        loop {
            match place.below(hash) {
                Below::Node(_, below) => place = below,
                Below::Segment(_, segment) => return segment,
            }
        }
    }

    /// The way to a field, and whether it is there.
    pub(super) fn find(&self, hash: u64, field: &[u8]) -> (Path, bool) {
        let (mut place, mut path) = (Place::root(self), Path::start());
        loop {
            match place.below(hash) {
                Below::Node(at, below) => {
                    path.step(at);
                    place = below;
                }
                Below::Segment(at, segment) => {
                    path.step(at);
                    let index = segment.find(hash, field);
                    path.index = index.unwrap_or_default();
                    return (path, index.is_some());
                }
            }
        }
    }

    /// The way to the element of a rank, which is less than their number, and its segment.
    pub(super) fn find_rank(&self, mut rank: usize) -> (Path, &Segment<VALUES>) {
        let (mut node, mut path) = (self, Path::start());
        loop {
            match node {
                Self::Branch(children) => {
                    let at = ranked(children, &mut rank);
                    path.step(at);
                    node = &children[at].node;
                }
                Self::Leaf(segments) => {
                    let at = ranked(segments, &mut rank);
                    path.step(at);
                    path.index = rank;
                    return (path, &segments[at]);
                }
            }
        }
    }

    /// Changes one element; returns the upper half if the node had to be split.
    pub(super) fn change(
        node: &mut Arc<Self>,
        steps: &[u8],
        change: Change<'_>,
        meter: &mut usize,
    ) -> Option<Child<VALUES>> {
        let (&at, below) = steps.split_first().expect("a path ends at a segment");
        let at = usize::from(at);
        let upper = match Arc::make_mut(node) {
            Self::Branch(children) => {
                let child = &mut children[at];
                let upper = Self::change(&mut child.node, below, change, meter);
                child.len += usize::from(matches!(change, Change::Add(..)));
                let upper = upper?;
                child.len -= upper.len;
                child.first = child.first.min(upper.first);
                insert_part(children, at + 1, upper, meter);
                Self::branch(divide(children, meter)?)
            }
            Self::Leaf(segments) => {
                let segment = &mut segments[at];
                match change {
                    Change::Add(hash, element) => segment.push(hash, element, meter),
                    Change::SetValue(index, value) => segment.set_value(index, value, meter),
                }
                let upper = segment.split(meter)?;
                insert_part(segments, at + 1, upper, meter);
                Self::leaf(divide(segments, meter)?)
            }
        };
        charge(meter, 0, Self::BYTES);
        Some(upper)
    }

    /// Removes one element.
    pub(super) fn remove(node: &mut Arc<Self>, steps: &[u8], index: usize, meter: &mut usize) {
        let (&at, below) = steps.split_first().expect("a path ends at a segment");
        let at = usize::from(at);
        match Arc::make_mut(node) {
            Self::Branch(children) => {
                let child = &mut children[at];
                Self::remove(&mut child.node, below, index, meter);
                child.len -= 1;
                mend_children(children, at, meter);
            }
            Self::Leaf(segments) => {
                segments[at].remove(index, meter);
                mend_segments(segments, at, meter);
            }
        }
    }

    /// Appends the parts of the next node, which `first` is the lowest hash below.
    fn append(&mut self, next: Self, first: u64, meter: &mut usize) {
        match (self, next) {
            (Self::Branch(children), Self::Branch(mut next)) => {
                next[0].first = first;
                append(children, next, meter);
            }
            (Self::Leaf(segments), Self::Leaf(mut next)) => {
                next[0].first = first;
                append(segments, next, meter);
            }
            _ => unreachable!("all segments are at the same depth"),
        }
        charge(meter, Self::BYTES, 0);
    }

    /// The only child of a branch, which can take its place.
    pub(super) fn only_child(&self) -> Option<&Arc<Self>> {
        match self {
            Self::Branch(children) if children.len() == 1 => Some(&children[0].node),
            _ => None,
        }
    }

    /// The parts from a hash on: the node below to continue with, and those after it.
    pub(super) fn branch_from(children: &[Child<VALUES>], hash: u64) -> &[Child<VALUES>] {
        &children[position_among(children, hash)..]
    }

    pub(super) fn leaf_from(segments: &[Segment<VALUES>], hash: u64) -> &[Segment<VALUES>] {
        &segments[position_among(segments, hash)..]
    }

    /// The number of elements below, after checking that each is where it belongs: from `first`
    /// on and before `end`, at one depth.
    #[cfg(test)]
    pub(super) fn count_checked(&self, first: u64, end: Option<u64>) -> usize {
        use crate::types::hashing::hash;
        let next = |parts: &[u64], at: usize| parts.get(at + 1).copied().or(end);
        let from = |parts: &[u64], at: usize| if at == 0 { first } else { parts[at] };
        assert!((1..=CHILDREN_MAX).contains(&self.children()));
        match self {
            Self::Branch(children) => {
                let firsts: Vec<u64> = children.iter().map(|child| child.first).collect();
                assert!(firsts.is_sorted());
                let counts = children.iter().enumerate().map(|(at, child)| {
                    let len = child.node.count_checked(from(&firsts, at), next(&firsts, at));
                    assert_eq!(len, child.len);
                    len
                });
                counts.sum()
            }
            Self::Leaf(segments) => {
                let firsts: Vec<u64> = segments.iter().map(|segment| segment.first).collect();
                assert!(firsts.is_sorted());
                for (at, segment) in segments.iter().enumerate() {
                    assert_eq!(segment.iter().count(), segment.len());
                    for hash in segment.iter().map(|(field, _)| hash(field)) {
                        assert!(from(&firsts, at) <= hash);
                        assert!(next(&firsts, at).is_none_or(|end| hash < end));
                    }
                }
                segments.iter().map(Segment::len).sum()
            }
        }
    }

    /// Whether nothing is left to free.
    pub(super) fn is_freed(&self) -> bool {
        matches!(self, Self::Leaf(segments) if segments.is_empty())
    }

    /// Frees part of what is below, from the end, at most about what is left of `most`; whether
    /// it was all, so that the node itself was freed, too.
    pub(super) fn free_some(node: &mut Arc<Self>, most: Freed, freed: &mut Freed) -> bool {
        if let Some(node) = Arc::get_mut(node) {
            let own_bytes = node.own_bytes();
            let freed_all = match node {
                Self::Branch(children) => free_parts(children, most, freed, |child, freed| {
                    Self::free_some(&mut child.node, most, freed)
                }),
                Self::Leaf(segments) => free_parts(segments, most, freed, |segment, freed| {
                    segment.free_some(most, freed)
                }),
            };
            if !freed_all {
                return false;
            }
            *node = Self::Leaf(Vec::new());
            freed.bytes += own_bytes;
        }
        freed.objects += 1;
        true
    }
}

/// A node on the way down from the root, with the hashes that belong there.
#[derive(Debug)]
pub(super) struct Place<'n, const VALUES: bool> {
    node: &'n Node<VALUES>,
    range: Range,
}

impl<const VALUES: bool> Clone for Place<'_, VALUES> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const VALUES: bool> Copy for Place<'_, VALUES> {}

/// What a hash belongs to below a node, and its position there.
#[derive(Debug)]
pub(super) enum Below<'n, const VALUES: bool> {
    Node(usize, Place<'n, VALUES>),
    Segment(usize, &'n Segment<VALUES>),
}

impl<'n, const VALUES: bool> Place<'n, VALUES> {
    #[inline]
    pub(super) fn root(node: &'n Node<VALUES>) -> Self {
        Self { node, range: Range::ALL }
    }

    /// A step down.
    #[inline]
    pub(super) fn below(self, hash: u64) -> Below<'n, VALUES> {
        match self.node {
            Node::Branch(children) => {
                let at = position(children, self.range, hash);
                let range = self.range.below(children, at);
                Below::Node(at, Place { node: &children[at].node, range })
            }
            Node::Leaf(segments) => {
                let at = position(segments, self.range, hash);
                Below::Segment(at, &segments[at])
            }
        }
    }

    /// Prefetches what a step down from here first reads of the node.
    #[inline]
    pub(super) fn prefetch(self) {
        prefetch(self.node);
    }

    /// Prefetches what it then reads.
    #[inline]
    pub(super) fn prefetch_parts(self, hash: u64) {
        match self.node {
            Node::Branch(children) => self.prefetch_guessed(children, hash),
            Node::Leaf(segments) => self.prefetch_guessed(segments, hash),
        }
    }

    #[inline]
    fn prefetch_guessed<T>(self, parts: &[T], hash: u64) {
        let guessed = parts.as_ptr().wrapping_add(self.range.guess(parts.len(), hash));
        prefetch(guessed);
        // The part after it is read as well, or the one before.
        prefetch(guessed.wrapping_byte_add(LINE_BYTES));
        prefetch(guessed.wrapping_byte_sub(LINE_BYTES));
    }
}

/// Frees parts from the end while more may be freed; whether it was all.
fn free_parts<T>(
    parts: &mut Vec<T>,
    most: Freed,
    freed: &mut Freed,
    mut free: impl FnMut(&mut T, &mut Freed) -> bool,
) -> bool {
    while let Some(last) = parts.last_mut() {
        if freed.bytes >= most.bytes || freed.objects >= most.objects || !free(last, freed) {
            return false;
        }
        parts.pop();
    }
    true
}
