//! The nodes of a list between its ends: a tree that is shared with snapshots and copied on write,
//! a path at a time.
//!
//! A level has up to [`FANOUT`] children: nodes of the list, or levels. Beside each child stand its
//! elements and allocated bytes, so that an index is found without touching what is skipped. All
//! leaves are equally deep. Levels may be less than half full: a full one that grows at its end or
//! start is left full, since lists grow at their ends, and small neighbours are joined where
//! something was removed.

use std::sync::Arc;

use super::node::Node;
use crate::types::Freed;
use crate::types::allocation::size_class;

/// Children of a level. The first write after a snapshot's cut copies a level per depth, and counts
/// a reference up for each child.
const FANOUT: usize = 32;
/// Levels with fewer children are joined with a neighbour.
const CHILDREN_MIN: usize = FANOUT / 4;
/// Allocated bytes of nodes are counted in these.
const COST_UNIT: usize = 16;
const HERE: &str = "the index is below the level's elements";

#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    root: Option<Arc<Level>>,
    sum: Sum,
}

/// What is below a level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    pub(super) elements: usize,
    /// Bytes allocated.
    pub(super) bytes: usize,
    pub(super) nodes: usize,
}

#[derive(Debug)]
enum Level {
    Nodes(Vec<NodeSlot>),
    Levels(Vec<LevelSlot>),
}

#[derive(Clone, Debug)]
struct NodeSlot {
    node: Arc<Node>,
    elements: u32,
    /// Allocated bytes, in units of [`COST_UNIT`].
    cost: u32,
}

#[derive(Clone, Debug)]
struct LevelSlot {
    level: Arc<Level>,
    sum: Sum,
}

impl NodeSlot {
    fn new(node: Arc<Node>) -> Self {
        let mut slot = Self { node, elements: 0, cost: 0 };
        slot.count();
        slot
    }

    /// Counts elements and bytes anew.
    fn count(&mut self) {
        let (elements, cost) =
            (self.node.elements(), self.node.allocated_bytes().div_ceil(COST_UNIT));
        self.elements = u32::try_from(elements).expect("a node counts its elements in 32 bits");
        self.cost = u32::try_from(cost).expect("a node takes less than 64 GiB");
    }
}

impl LevelSlot {
    fn new(level: Level) -> Self {
        Self { sum: level.sum(), level: Arc::new(level) }
    }

    /// Changes the level, then sums it up anew.
    fn change<R>(&mut self, change: impl FnOnce(&mut Level) -> R) -> R {
        let level = Arc::make_mut(&mut self.level);
        let outcome = change(level);
        self.sum = level.sum();
        outcome
    }
}

impl Clone for Level {
    /// The copy is made to be changed: it has room for all children.
    fn clone(&self) -> Self {
        match self {
            Self::Nodes(slots) => {
                let mut copy = Vec::with_capacity(FANOUT);
                copy.extend_from_slice(slots);
                Self::Nodes(copy)
            }
            Self::Levels(slots) => {
                let mut copy = Vec::with_capacity(FANOUT);
                copy.extend_from_slice(slots);
                Self::Levels(copy)
            }
        }
    }
}

impl Tree {
    pub(super) fn sum(&self) -> Sum {
        self.sum
    }

    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The node that holds the element at `index`, and how many of its elements stand before it.
    pub(super) fn find(&self, mut index: usize) -> Option<(&Arc<Node>, usize)> {
        let mut level = self.root.as_ref()?;
        if index >= self.sum.elements {
            return None;
        }
        loop {
            match &**level {
                Level::Levels(slots) => {
                    let at = position(slots, &mut index, |slot| slot.sum.elements)?;
                    level = &slots[at].level;
                }
                Level::Nodes(slots) => {
                    let at = position(slots, &mut index, |slot| slot.elements as usize)?;
                    return Some((&slots[at].node, index));
                }
            }
        }
    }

    /// Changes the node that holds the element at `index`, which must keep elements.
    ///
    /// # Panics
    /// If there is no such element.
    pub(super) fn edit<R>(
        &mut self,
        index: usize,
        edit: impl FnOnce(&mut Arc<Node>, usize) -> R,
    ) -> R {
        self.change(|level| level.edit(index, edit))
    }

    /// Inserts a node before the one that begins with the element at `index`, or behind all.
    ///
    /// # Panics
    /// If no node begins there.
    pub(super) fn insert(&mut self, index: usize, node: Arc<Node>) {
        if self.root.is_none() {
            let mut slots = Vec::with_capacity(FANOUT);
            slots.push(NodeSlot::new(node));
            let root = LevelSlot::new(Level::Nodes(slots));
            (self.root, self.sum) = (Some(root.level), root.sum);
            return;
        }
        let Some(right) = self.change(|level| level.insert(index, node)) else {
            return;
        };
        let left = self.root.take().expect("the root has just split");
        let mut slots = Vec::with_capacity(FANOUT);
        slots.push(LevelSlot { level: left, sum: self.sum });
        slots.push(LevelSlot::new(right));
        let root = LevelSlot::new(Level::Levels(slots));
        (self.root, self.sum) = (Some(root.level), root.sum);
    }

    /// Takes the node out that holds the element at `index`.
    ///
    /// # Panics
    /// If there is no such element.
    pub(super) fn remove(&mut self, index: usize) -> Arc<Node> {
        let node = self.change(|level| level.remove(index));
        self.lower();
        node
    }

    /// Takes the nodes out that hold `count` elements from `start`, all of which go. The result is
    /// only to be freed.
    ///
    /// # Panics
    /// If not both ends of the range are ends of nodes.
    pub(super) fn cut(&mut self, start: usize, count: usize) -> Self {
        if count == 0 {
            return Self::default();
        }
        let mut cut = Vec::new();
        self.change(|level| level.cut(start, count, &mut cut));
        self.lower();
        let root = LevelSlot::new(Level::Levels(cut));
        Self { root: Some(root.level), sum: root.sum }
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Level) -> R) -> R {
        let root = self.root.as_mut().expect("the tree has what is to be changed");
        let level = Arc::make_mut(root);
        let outcome = change(level);
        self.sum = level.sum();
        outcome
    }

    /// Removes levels at the root that do not branch.
    fn lower(&mut self) {
        while let Some(root) = &self.root {
            match &**root {
                Level::Levels(slots) if slots.len() == 1 => {
                    let LevelSlot { level, sum } = slots[0].clone();
                    (self.root, self.sum) = (Some(level), sum);
                }
                level if level.is_empty() => (self.root, self.sum) = (None, Sum::default()),
                _ => return,
            }
        }
    }

    /// Frees nodes from the end, until about `most` is freed.
    pub(super) fn free_some(&mut self, most: Freed, freed: &mut Freed) {
        if let Some(root) = &mut self.root
            && free_level(root, most, freed)
        {
            (self.root, self.sum) = (None, Sum::default());
        }
    }
}

/// The slot that holds the element at `index`, which becomes the index within it.
#[inline]
fn position<T>(slots: &[T], index: &mut usize, elements: impl Fn(&T) -> usize) -> Option<usize> {
    slots.iter().position(|slot| {
        let elements = elements(slot);
        let is_here = *index < elements;
        if !is_here {
            *index -= elements;
        }
        is_here
    })
}

/// The first slot that ends at `index` or beyond, where a node can be inserted.
fn position_to_insert(slots: &[LevelSlot], index: &mut usize) -> usize {
    let mut at = 0;
    while *index > slots[at].sum.elements {
        *index -= slots[at].sum.elements;
        at += 1;
    }
    at
}

impl Level {
    /// Bytes allocated for the level itself.
    fn own_bytes(&self) -> usize {
        let slots = match self {
            Self::Nodes(slots) => slots.capacity() * size_of::<NodeSlot>(),
            Self::Levels(slots) => slots.capacity() * size_of::<LevelSlot>(),
        };
        size_class(size_of::<Self>() + 2 * size_of::<usize>()) + size_class(slots)
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum { elements: 0, bytes: self.own_bytes(), nodes: 0 };
        match self {
            Self::Nodes(slots) => {
                sum.nodes = slots.len();
                for slot in slots {
                    sum.elements += slot.elements as usize;
                    sum.bytes += slot.cost as usize * COST_UNIT;
                }
            }
            Self::Levels(slots) => {
                for slot in slots {
                    sum.elements += slot.sum.elements;
                    sum.bytes += slot.sum.bytes;
                    sum.nodes += slot.sum.nodes;
                }
            }
        }
        sum
    }

    fn len(&self) -> usize {
        match self {
            Self::Nodes(slots) => slots.len(),
            Self::Levels(slots) => slots.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn edit<R>(&mut self, mut index: usize, edit: impl FnOnce(&mut Arc<Node>, usize) -> R) -> R {
        match self {
            Self::Levels(slots) => {
                let at = position(slots, &mut index, |slot| slot.sum.elements).expect(HERE);
                slots[at].change(|level| level.edit(index, edit))
            }
            Self::Nodes(slots) => {
                let at = position(slots, &mut index, |slot| slot.elements as usize).expect(HERE);
                let outcome = edit(&mut slots[at].node, index);
                slots[at].count();
                outcome
            }
        }
    }

    /// Inserts a node; returns what then stands to the right of this level, if it was full.
    fn insert(&mut self, mut index: usize, node: Arc<Node>) -> Option<Self> {
        match self {
            Self::Levels(slots) => {
                let at = position_to_insert(slots, &mut index);
                let right = slots[at].change(|level| level.insert(index, node))?;
                insert_slot(slots, at + 1, LevelSlot::new(right)).map(Self::Levels)
            }
            Self::Nodes(slots) => {
                let mut at = 0;
                while index > 0 {
                    index = index
                        .checked_sub(slots[at].elements as usize)
                        .expect("a node is inserted between others");
                    at += 1;
                }
                insert_slot(slots, at, NodeSlot::new(node)).map(Self::Nodes)
            }
        }
    }

    fn remove(&mut self, mut index: usize) -> Arc<Node> {
        match self {
            Self::Levels(slots) => {
                let at = position(slots, &mut index, |slot| slot.sum.elements).expect(HERE);
                let node = slots[at].change(|level| level.remove(index));
                join_small(slots, at);
                node
            }
            Self::Nodes(slots) => {
                let at = position(slots, &mut index, |slot| slot.elements as usize).expect(HERE);
                slots.remove(at).node
            }
        }
    }

    /// Moves the nodes that hold `count` elements from `start` to `cut`, as levels.
    fn cut(&mut self, start: usize, count: usize, cut: &mut Vec<LevelSlot>) {
        let end = start + count;
        let mut begins = 0;
        match self {
            Self::Nodes(slots) => {
                let is_cut = |slot: &mut NodeSlot| {
                    let here = begins;
                    begins += slot.elements as usize;
                    start <= here && begins <= end
                };
                let nodes: Vec<_> = slots.extract_if(.., is_cut).collect();
                cut.push(LevelSlot::new(Self::Nodes(nodes)));
            }
            Self::Levels(slots) => {
                let mut kept = Vec::with_capacity(FANOUT);
                for mut slot in slots.drain(..) {
                    let ends = begins + slot.sum.elements;
                    let (from, to) = (start.max(begins), end.min(ends));
                    if from == begins && to == ends {
                        cut.push(slot);
                    } else {
                        if from < to {
                            slot.change(|level| level.cut(from - begins, to - from, cut));
                        }
                        kept.push(slot);
                    }
                    begins = ends;
                }
                *slots = kept;
                for at in (0..slots.len()).rev() {
                    join_small(slots, at);
                }
            }
        }
    }

    /// Appends the children of a level of the same depth.
    fn append(&mut self, next: Self) {
        match (self, next) {
            (Self::Nodes(own), Self::Nodes(next)) => own.extend(next),
            (Self::Levels(own), Self::Levels(next)) => own.extend(next),
            _ => unreachable!("all leaves are equally deep"),
        }
    }

    /// Frees children from the end, until about `most` is freed; whether all are.
    fn free_some(&mut self, most: Freed, freed: &mut Freed) -> bool {
        let is_enough = |freed: &Freed| freed.bytes >= most.bytes || freed.objects >= most.objects;
        match self {
            Self::Nodes(slots) => {
                while !is_enough(freed)
                    && let Some(slot) = slots.pop()
                {
                    free_node(slot.node, freed);
                }
            }
            Self::Levels(slots) => {
                while !is_enough(freed)
                    && let Some(slot) = slots.last_mut()
                {
                    if free_level(&mut slot.level, most, freed) {
                        slots.pop();
                    }
                }
            }
        }
        self.is_empty()
    }
}

/// Frees a node, or leaves it to a snapshot that shares it.
pub(super) fn free_node(node: Arc<Node>, freed: &mut Freed) {
    freed.objects += 1;
    if let Some(node) = Arc::into_inner(node) {
        // The node's bytes are an allocation of their own.
        freed.objects += 1;
        freed.bytes += node.allocated_bytes();
    }
}

/// Frees nodes of a level, or leaves all to a snapshot that shares it; whether the level can go.
fn free_level(level: &mut Arc<Level>, most: Freed, freed: &mut Freed) -> bool {
    let mut own_bytes = 0;
    if let Some(level) = Arc::get_mut(level) {
        if !level.free_some(most, freed) {
            return false;
        }
        own_bytes = level.own_bytes();
    }
    freed.bytes += own_bytes;
    freed.objects += 1;
    true
}

/// Inserts a slot; returns what then stands to the right of these slots, if they were full.
fn insert_slot<T>(slots: &mut Vec<T>, at: usize, slot: T) -> Option<Vec<T>> {
    if slots.len() < FANOUT {
        slots.insert(at, slot);
        return None;
    }
    let mut right = Vec::with_capacity(FANOUT);
    if at == FANOUT {
        right.push(slot);
    } else if at == 0 {
        right.push(slot);
        std::mem::swap(slots, &mut right);
    } else {
        right.extend(slots.drain(FANOUT / 2..));
        match at.checked_sub(FANOUT / 2) {
            Some(at) => right.insert(at, slot),
            None => slots.insert(at, slot),
        }
    }
    Some(right)
}

/// Removes the level at `at` if it is empty, and joins it with a neighbour if it is small.
fn join_small(slots: &mut Vec<LevelSlot>, at: usize) {
    let len = slots[at].level.len();
    if len == 0 {
        slots.remove(at);
        return;
    }
    let left = at.saturating_sub(1);
    if len < CHILDREN_MIN
        && let Some(right) = slots.get(left + 1)
        && slots[left].level.len() + right.level.len() <= FANOUT
    {
        let right = Arc::unwrap_or_clone(slots.remove(left + 1).level);
        slots[left].change(|level| level.append(right));
    }
}

#[cfg(test)]
impl Tree {
    /// The sum, counted from the nodes up; checks every level on the way.
    pub(super) fn recount(&self) -> Option<Sum> {
        let (sum, _) = recount(self.root.as_ref()?);
        Some(sum)
    }
}

#[cfg(test)]
fn recount(level: &Level) -> (Sum, usize) {
    let mut sum = Sum { bytes: level.own_bytes(), ..Sum::default() };
    let mut depth = 0;
    assert!((1..=FANOUT).contains(&level.len()));
    match level {
        Level::Nodes(slots) => {
            for slot in slots {
                assert_eq!(slot.elements as usize, slot.node.elements());
                sum.elements += slot.node.elements();
                sum.bytes += slot.node.allocated_bytes();
                sum.nodes += 1;
            }
        }
        Level::Levels(slots) => {
            for slot in slots {
                let (below, depth_below) = recount(&slot.level);
                assert_eq!(slot.sum, below);
                assert!(depth == 0 || depth == depth_below + 1, "all leaves are equally deep");
                depth = depth_below + 1;
                sum.elements += below.elements;
                sum.bytes += below.bytes;
                sum.nodes += below.nodes;
            }
        }
    }
    (sum, depth)
}
