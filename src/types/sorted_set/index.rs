//! From a member's hash to its leaf: segments of up to 512 entries in the order of hashes, below a
//! tree of arrays of up to 64. Never reads a member.
//!
//! An entry is the upper half of a hash and the number of the leaf. Since hashes are spread evenly,
//! the place of one in a segment can be guessed to within a few entries, so segments have no gaps:
//! they grow by the allocator's size classes, and split in two when full. Each branch divides its
//! range of hashes into 64 slots; a child covers one or more of them, a branch exactly one.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::prefetch::prefetch;
use crate::types::Freed;
use crate::types::allocation::{arc_bytes, arc_room};

use super::shared::{is_shared, unshared};

const ENTRIES_MAX: usize = 512;
/// Two segments with at most so many entries become one.
const MERGED_MAX: usize = 256;
const SLOT_BITS: u32 = 6;
const SLOTS: u32 = 1 << SLOT_BITS;

/// Entries in the order of their hashes.
#[derive(Clone, Debug)]
struct Segment {
    cells: Arc<[u64]>,
    len: u32,
}

#[derive(Clone, Debug)]
enum Node {
    Empty,
    Segment(Segment),
    /// The slots where a child begins, as bits, and the children.
    Branch(u64, Arc<[Self]>),
}

/// A range of hashes: its first, and the binary logarithm of the size of a branch's slot in it.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    slot_bits: u32,
}

/// A child of a branch: its position, its first slot and the slot behind its last.
struct Child {
    index: usize,
    first: u32,
    end: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Index {
    root: Node,
    allocated_bytes: usize,
}

fn entry(hash: u32, leaf: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(leaf)
}

#[inline]
fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl Segment {
    /// A copy of entries with room for more, up to the next size class.
    fn new(entries: &[u64], more: usize) -> Self {
        let room = arc_room(8 * (entries.len() + more)) / 8;
        let zeros = std::iter::repeat_n(0, room - entries.len());
        let cells = entries.iter().copied().chain(zeros).collect();
        Self { cells, len: entries.len() as u32 }
    }

    #[inline]
    fn entries(&self) -> &[u64] {
        &self.cells[..(self.len as usize)]
    }

    fn allocated_bytes(&self) -> usize {
        arc_bytes(8 * self.cells.len())
    }

    /// About where a hash stands, in a segment whose range has this first hash and size.
    #[inline]
    fn guess(&self, hash: u32, (first, size): (u32, u64)) -> usize {
        (u64::from(hash - first) * u64::from(self.len) / size) as usize
    }

    /// Position of the first entry whose hash is not less.
    #[inline]
    fn position(&self, hash: u32, covered: (u32, u64)) -> usize {
        let entries = self.entries();
        let target = u64::from(hash) << 32;
        let mut at = self.guess(hash, covered);
        while at > 0 && entries[at - 1] >= target {
            at -= 1;
        }
        while at < entries.len() && entries[at] < target {
            at += 1;
        }
        at
    }

    fn insert(&mut self, at: usize, entry: u64) {
        let len = self.len as usize;
        if len == self.cells.len() || is_shared(&self.cells) {
            *self = Self::new(self.entries(), 1);
        }
        let cells = Arc::get_mut(&mut self.cells).expect("made the only one above");
        cells.copy_within(at..len, at + 1);
        cells[at] = entry;
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        let len = self.len as usize;
        if is_shared(&self.cells) || len * 2 < self.cells.len() {
            *self = Self::new(self.entries(), 0);
        }
        let cells = Arc::get_mut(&mut self.cells).expect("made the only one above");
        cells.copy_within(at + 1..len, at);
        self.len -= 1;
    }
}

impl Node {
    fn touch(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Segment(segment) => segment.cells.first().map_or(0, |entry| *entry as usize),
            Self::Branch(_, nodes) => {
                nodes.first().map_or(0, |node| usize::from(matches!(node, Self::Empty)))
            }
        }
    }

    /// The segment, if its entries are as many as a segment may have.
    fn full(&self) -> Option<&Segment> {
        match self {
            Self::Segment(segment) if segment.len as usize >= ENTRIES_MAX => Some(segment),
            _ => None,
        }
    }
}

impl Range {
    const ALL: Self = Self { first: 0, slot_bits: 32 - SLOT_BITS };

    #[inline]
    fn slot(self, hash: u32) -> u32 {
        (hash - self.first) >> self.slot_bits
    }

    /// Where a slot begins; `None` behind the last hash.
    fn slot_start(self, slot: u32) -> Option<u32> {
        u32::try_from(u64::from(self.first) + (u64::from(slot) << self.slot_bits)).ok()
    }

    /// First hash and size of the range of a child that is a segment.
    #[inline]
    fn of(self, child: &Child) -> (u32, u64) {
        let first = self.first + (child.first << self.slot_bits);
        (first, u64::from(child.end - child.first) << self.slot_bits)
    }

    /// The range of a child that is a branch, or will become one.
    #[inline]
    fn below(self, child: &Child) -> Self {
        Self { first: self.of(child).0, slot_bits: self.slot_bits.saturating_sub(SLOT_BITS) }
    }
}

#[inline]
fn child_at(starts: u64, slot: u32) -> Child {
    let up_to_slot = starts & (u64::MAX >> (SLOTS - 1 - slot));
    let behind = starts & !(u64::MAX >> (SLOTS - 1 - slot));
    Child {
        index: up_to_slot.count_ones() as usize - 1,
        first: up_to_slot.ilog2(),
        end: behind.trailing_zeros(),
    }
}

/// Replaces one child of a branch by others.
fn replace_child(nodes: &mut Arc<[Node]>, index: usize, removed: usize, by: Vec<Node>) {
    let mut moved: Vec<Node> = unshared(nodes, Node::touch)
        .iter_mut()
        .map(|node| std::mem::replace(node, Node::Empty))
        .collect();
    moved.splice(index..index + removed, by);
    *nodes = moved.into();
}

/// What to change about an entry.
#[derive(Clone, Copy)]
enum Change {
    Remove,
    Renumber(u32),
}

impl Index {
    pub(super) fn new() -> Self {
        Self { root: Node::Empty, allocated_bytes: 0 }
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }

    /// The first result for a leaf that may have a member with this hash.
    #[inline]
    pub(super) fn find<R>(&self, hash: u32, mut look: impl FnMut(u32) -> Option<R>) -> Option<R> {
        let (segment, covered) = self.segment(hash)?;
        let entries = &segment.entries()[segment.position(hash, covered)..];
        let equal = entries.iter().take_while(|entry| hash_of(**entry) == hash);
        equal.copied().find_map(|entry| look(entry as u32))
    }

    /// The segment for a hash.
    #[inline]
    fn segment(&self, hash: u32) -> Option<(&Segment, (u32, u64))> {
        let (mut node, mut range) = (&self.root, Range::ALL);
        let mut covered = (0, 1 << 32);
        loop {
            match node {
                Node::Empty => return None,
                Node::Segment(segment) => return Some((segment, covered)),
                Node::Branch(starts, nodes) => {
                    let child = child_at(*starts, range.slot(hash));
                    covered = range.of(&child);
                    range = range.below(&child);
                    node = &nodes[child.index];
                }
            }
        }
    }

    /// Prefetches where the entries with these hashes stand.
    pub(super) fn prefetch(&self, hashes: &[u32]) {
        for hash in hashes {
            if let Some((segment, covered)) = self.segment(*hash) {
                let cells = segment.cells.as_ptr();
                prefetch(cells.wrapping_add(segment.guess(*hash, covered)));
                // To change it, the count of its references is read, which stands in front.
                prefetch(cells.wrapping_sub(1));
            }
        }
    }

    pub(super) fn insert(&mut self, hash: u32, leaf: u32) {
        let bytes = &mut self.allocated_bytes;
        if let Node::Empty = self.root {
            let segment = Segment::new(&[], 1);
            *bytes += segment.allocated_bytes();
            self.root = Node::Segment(segment);
        }
        if let Some(full) = self.root.full() {
            self.root = branch(full, Range::ALL, bytes);
        }
        insert(&mut self.root, Range::ALL, (0, 1 << 32), entry(hash, leaf), bytes);
    }

    pub(super) fn remove(&mut self, hash: u32, leaf: u32) {
        let entry = entry(hash, leaf);
        change(
            &mut self.root,
            Range::ALL,
            (0, 1 << 32),
            entry,
            Change::Remove,
            &mut self.allocated_bytes,
        );
        if let Node::Segment(segment) = &self.root
            && segment.len == 0
        {
            self.allocated_bytes -= segment.allocated_bytes();
            self.root = Node::Empty;
        }
    }

    /// Changes the leaf of a member.
    pub(super) fn renumber(&mut self, hash: u32, leaf: u32, new: u32) {
        let entry = entry(hash, leaf);
        let new = Change::Renumber(new);
        change(&mut self.root, Range::ALL, (0, 1 << 32), entry, new, &mut self.allocated_bytes);
    }

    /// Visits hashes and leaves from a hash on, in order, until told to stop.
    pub(super) fn visit_from<B>(
        &self,
        hash: u32,
        mut each: impl FnMut(u32, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        visit(&self.root, Range::ALL, (0, 1 << 32), hash, &mut each)
    }

    /// How many entries each segment has.
    pub(super) fn segment_lens(&self) -> Vec<usize> {
        fn gather(node: &Node, lens: &mut Vec<usize>) {
            match node {
                Node::Empty => {}
                Node::Segment(segment) => lens.push(segment.len as usize),
                Node::Branch(_, nodes) => nodes.iter().for_each(|node| gather(node, lens)),
            }
        }
        let mut lens = Vec::new();
        gather(&self.root, &mut lens);
        lens
    }

    /// Frees a segment or a branch from the end; `None` when nothing is left.
    pub(super) fn free_last(&mut self) -> Option<Freed> {
        let freed = free_last(&mut self.root)?;
        self.allocated_bytes = self.allocated_bytes.saturating_sub(freed.bytes);
        Some(freed)
    }

    #[cfg(test)]
    pub(super) fn recounted_bytes(&self) -> usize {
        fn count(node: &Node) -> usize {
            match node {
                Node::Empty => 0,
                Node::Segment(segment) => segment.allocated_bytes(),
                Node::Branch(_, nodes) => {
                    arc_bytes(size_of_val(&**nodes)) + nodes.iter().map(count).sum::<usize>()
                }
            }
        }
        count(&self.root)
    }
}

/// Two segments of the entries of a full one: those with hashes below `middle`, and the others.
fn halves(full: &Segment, middle: u32, bytes: &mut usize) -> [Node; 2] {
    let entries = full.entries();
    let at = entries.partition_point(|entry| hash_of(*entry) < middle);
    let (left, right) = (Segment::new(&entries[..at], 1), Segment::new(&entries[at..], 1));
    *bytes = *bytes + left.allocated_bytes() + right.allocated_bytes() - full.allocated_bytes();
    [Node::Segment(left), Node::Segment(right)]
}

/// A branch of the entries of a full segment.
fn branch(full: &Segment, range: Range, bytes: &mut usize) -> Node {
    let middle = range.slot_start(SLOTS / 2).expect("the middle is not behind the end");
    let nodes: Arc<[Node]> = Arc::from(halves(full, middle, bytes));
    *bytes += arc_bytes(size_of_val(&*nodes));
    Node::Branch(1 | 1 << (SLOTS / 2), nodes)
}

/// `covered` is the first hash and the size of the node's range, if that is a segment.
fn insert(node: &mut Node, range: Range, covered: (u32, u64), entry: u64, bytes: &mut usize) {
    let hash = hash_of(entry);
    match node {
        Node::Empty => {}
        Node::Segment(segment) => {
            let before = segment.allocated_bytes();
            segment.insert(segment.position(hash, covered), entry);
            *bytes = *bytes + segment.allocated_bytes() - before;
        }
        Node::Branch(starts, nodes) => {
            let mut child = child_at(*starts, range.slot(hash));
            if let Some(full) = nodes[child.index].full() {
                divide(full.clone(), &child, range, (starts, nodes), bytes);
                child = child_at(*starts, range.slot(hash));
            }
            let below = &mut unshared(nodes, Node::touch)[child.index];
            insert(below, range.below(&child), range.of(&child), entry, bytes);
        }
    }
}

/// Makes two children of a full one, or a branch if it covers only one slot.
fn divide(
    full: Segment,
    child: &Child,
    range: Range,
    (starts, nodes): (&mut u64, &mut Arc<[Node]>),
    bytes: &mut usize,
) {
    if child.end - child.first > 1 {
        let slot = child.first.midpoint(child.end);
        let middle = range.slot_start(slot).expect("a slot within a branch");
        *bytes -= arc_bytes(size_of_val(&**nodes));
        replace_child(nodes, child.index, 1, halves(&full, middle, bytes).into());
        *bytes += arc_bytes(size_of_val(&**nodes));
        *starts |= 1 << slot;
    } else if range.slot_bits >= SLOT_BITS {
        unshared(nodes, Node::touch)[child.index] = branch(&full, range.below(child), bytes);
    }
    // Otherwise more members than fit in one have nearly the same hash: the segment grows on.
}

fn change(
    node: &mut Node,
    range: Range,
    covered: (u32, u64),
    old: u64,
    change_to: Change,
    bytes: &mut usize,
) {
    let hash = hash_of(old);
    match node {
        Node::Empty => panic!("every member has its entry"),
        Node::Segment(segment) => {
            let mut at = segment.position(hash, covered);
            while segment.entries()[at] != old {
                at += 1;
            }
            let before = segment.allocated_bytes();
            match change_to {
                Change::Remove => segment.remove(at),
                Change::Renumber(leaf) => {
                    Arc::make_mut(&mut segment.cells)[at] = entry(hash, leaf);
                }
            }
            *bytes = *bytes + segment.allocated_bytes() - before;
        }
        Node::Branch(starts, nodes) => {
            let child = child_at(*starts, range.slot(hash));
            let below = &mut unshared(nodes, Node::touch)[child.index];
            change(below, range.below(&child), range.of(&child), old, change_to, bytes);
            if let Change::Remove = change_to
                && merge(starts, nodes, &child, bytes)
            {
                *bytes -= arc_bytes(size_of_val(&**nodes));
                *node = std::mem::replace(&mut unshared(nodes, Node::touch)[0], Node::Empty);
            }
        }
    }
}

/// Merges a small segment with a neighbour; true if it then is the only child of its branch.
fn merge(starts: &mut u64, nodes: &mut Arc<[Node]>, child: &Child, bytes: &mut usize) -> bool {
    let left =
        if child.index + 1 < nodes.len() { child.index } else { child.index.saturating_sub(1) };
    if let [Node::Segment(one), Node::Segment(two), ..] = &nodes[left..]
        && (one.len as usize + two.len as usize) <= MERGED_MAX
    {
        let merged = Segment::new(&[one.entries(), two.entries()].concat(), 1);
        *bytes += merged.allocated_bytes();
        *bytes -= one.allocated_bytes() + two.allocated_bytes() + arc_bytes(size_of_val(&**nodes));
        // The bit of the second of the two.
        let mut bits = *starts;
        (0..=left).for_each(|_| bits &= bits - 1);
        *starts &= !(bits & bits.wrapping_neg());
        replace_child(nodes, left, 2, vec![Node::Segment(merged)]);
        *bytes += arc_bytes(size_of_val(&**nodes));
    }
    matches!(**nodes, [Node::Segment(_)])
}

fn visit<B>(
    node: &Node,
    range: Range,
    covered: (u32, u64),
    from: u32,
    each: &mut impl FnMut(u32, u32) -> ControlFlow<B>,
) -> ControlFlow<B> {
    match node {
        Node::Empty => {}
        Node::Segment(segment) => {
            let at = if from > covered.0 { segment.position(from, covered) } else { 0 };
            for entry in &segment.entries()[at..] {
                each(hash_of(*entry), *entry as u32)?;
            }
        }
        Node::Branch(starts, nodes) => {
            let mut slot = range.slot(from.max(range.first));
            while slot < SLOTS {
                let child = child_at(*starts, slot);
                let below = &nodes[child.index];
                visit(below, range.below(&child), range.of(&child), from, each)?;
                slot = child.end;
            }
        }
    }
    ControlFlow::Continue(())
}

fn free_last(node: &mut Node) -> Option<Freed> {
    let freed = match node {
        Node::Empty => return None,
        Node::Segment(segment) => {
            let alone = Arc::strong_count(&segment.cells) == 1;
            Freed { bytes: if alone { segment.allocated_bytes() } else { 0 }, objects: 1 }
        }
        Node::Branch(_, nodes) => {
            let bytes = arc_bytes(size_of_val(&**nodes));
            match Arc::get_mut(nodes) {
                None => Freed { bytes: 0, objects: 1 },
                Some(items) => match items.iter_mut().rev().find_map(free_last) {
                    Some(freed) => return Some(freed),
                    None => Freed { bytes, objects: 1 },
                },
            }
        }
    };
    *node = Node::Empty;
    Some(freed)
}
