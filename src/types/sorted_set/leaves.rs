//! The leaves by number: a tree of arrays of up to 64, shared with clones. A number stays with its
//! leaf until it is taken, then it goes to another.

use std::sync::Arc;

use crate::types::Freed;
use crate::types::allocation::arc_bytes;

use super::leaf::Leaf;
use super::shared::unshared;

const FANOUT_BITS: u32 = 6;
const FANOUT: usize = 1 << FANOUT_BITS;
const SLOTS_MIN: usize = 4;

#[derive(Clone, Debug)]
enum Slot {
    /// And the next free one.
    Free(Option<u32>),
    Used(Leaf),
}

#[derive(Clone, Debug)]
enum Node {
    Empty,
    Slots(Arc<[Slot]>),
    Inner(Arc<[Self]>),
}

impl Node {
    fn touch(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Slots(slots) => {
                slots.first().map_or(0, |slot| usize::from(matches!(slot, Slot::Used(_))))
            }
            Self::Inner(nodes) => {
                nodes.first().map_or(0, |node| usize::from(matches!(node, Self::Empty)))
            }
        }
    }
}

impl Slot {
    fn touch(&self) -> usize {
        match self {
            Self::Free(_) => 0,
            Self::Used(leaf) => leaf.touch(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Leaves {
    root: Node,
    /// Levels above the slots.
    height: u32,
    /// Numbers below this were given to leaves.
    next: u32,
    free: Option<u32>,
    allocated_bytes: usize,
}

impl Leaves {
    pub(super) fn new() -> Self {
        Self { root: Node::Empty, height: 0, next: 0, free: None, allocated_bytes: 0 }
    }

    /// Bytes allocated, leaves included.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> &Leaf {
        let mut node = &self.root;
        let mut shift = FANOUT_BITS * self.height;
        loop {
            let index = (number >> shift) as usize % FANOUT;
            match node {
                Node::Inner(nodes) => node = &nodes[index],
                Node::Slots(slots) => match &slots[index] {
                    Slot::Used(leaf) => return leaf,
                    Slot::Free(_) => panic!("leaf {number} was taken"),
                },
                Node::Empty => panic!("leaf {number} was never added"),
            }
            shift = shift.wrapping_sub(FANOUT_BITS);
        }
    }

    /// Changes a leaf.
    pub(super) fn change<R>(&mut self, number: u32, change: impl FnOnce(&mut Leaf) -> R) -> R {
        match slot(&mut self.root, self.height, number) {
            Slot::Free(_) => panic!("leaf {number} was taken"),
            Slot::Used(leaf) => {
                let before = leaf.allocated_bytes();
                let result = change(leaf);
                self.allocated_bytes = self.allocated_bytes + leaf.allocated_bytes() - before;
                result
            }
        }
    }

    /// Adds a leaf and returns its number.
    pub(super) fn add(&mut self, leaf: Leaf) -> u32 {
        self.allocated_bytes += leaf.allocated_bytes();
        let number = match self.free {
            Some(number) => number,
            None => self.extend(),
        };
        let slot = slot(&mut self.root, self.height, number);
        if let Slot::Free(next) = std::mem::replace(slot, Slot::Used(leaf)) {
            self.free = next;
        }
        number
    }

    /// Takes a leaf; its number becomes free.
    pub(super) fn take(&mut self, number: u32) {
        let slot = slot(&mut self.root, self.height, number);
        if let Slot::Used(leaf) = std::mem::replace(slot, Slot::Free(self.free)) {
            self.allocated_bytes -= leaf.allocated_bytes();
        }
        self.free = Some(number);
    }

    /// Makes a slot for one more number.
    fn extend(&mut self) -> u32 {
        let number = self.next;
        self.next = number.checked_add(1).expect("memory ends before numbers do");
        if u64::from(number) >> (FANOUT_BITS * (self.height + 1)) != 0 {
            let below = std::mem::replace(&mut self.root, Node::Empty);
            let nodes: Arc<[Node]> = Arc::from([below]);
            self.allocated_bytes += arc_bytes(size_of_val(&*nodes));
            self.root = Node::Inner(nodes);
            self.height += 1;
        }
        extend(&mut self.root, self.height, number, &mut self.allocated_bytes);
        number
    }

    /// Frees a leaf or a node from the end; `None` when nothing is left.
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
                Node::Slots(slots) => {
                    let leaves = slots.iter().map(|slot| match slot {
                        Slot::Free(_) => 0,
                        Slot::Used(leaf) => leaf.allocated_bytes(),
                    });
                    arc_bytes(size_of_val(&**slots)) + leaves.sum::<usize>()
                }
                Node::Inner(nodes) => {
                    arc_bytes(size_of_val(&**nodes)) + nodes.iter().map(count).sum::<usize>()
                }
            }
        }
        count(&self.root)
    }
}

fn slot(node: &mut Node, height: u32, number: u32) -> &mut Slot {
    let index = (number >> (FANOUT_BITS * height)) as usize % FANOUT;
    match node {
        Node::Inner(nodes) => slot(&mut unshared(nodes, Node::touch)[index], height - 1, number),
        Node::Slots(slots) => &mut unshared(slots, Slot::touch)[index],
        Node::Empty => panic!("leaf {number} was never added"),
    }
}

fn extend(node: &mut Node, height: u32, number: u32, allocated_bytes: &mut usize) {
    let index = (number >> (FANOUT_BITS * height)) as usize % FANOUT;
    match node {
        Node::Empty if height > 0 => *node = Node::Inner(Arc::from([])),
        Node::Empty => *node = Node::Slots(Arc::from([])),
        _ => {}
    }
    match node {
        Node::Inner(nodes) => {
            lengthen(nodes, index, Node::touch, || Node::Empty, allocated_bytes);
            extend(&mut unshared(nodes, Node::touch)[index], height - 1, number, allocated_bytes);
        }
        Node::Slots(slots) => {
            lengthen(slots, index, Slot::touch, || Slot::Free(None), allocated_bytes);
        }
        Node::Empty => {}
    }
}

/// Lengthens an array so that it has an item `index`.
fn lengthen<T: Clone>(
    items: &mut Arc<[T]>,
    index: usize,
    touch: impl Fn(&T) -> usize,
    filler: impl Fn() -> T + Clone,
    allocated_bytes: &mut usize,
) {
    if index < items.len() {
        return;
    }
    let old_bytes = if items.is_empty() { 0 } else { arc_bytes(size_of_val(&**items)) };
    let len = (2 * items.len()).clamp(SLOTS_MIN, FANOUT);
    let old = unshared(items, touch);
    let moved: Vec<T> = old.iter_mut().map(|item| std::mem::replace(item, filler())).collect();
    let added = len - moved.len();
    *items = moved.into_iter().chain(std::iter::repeat_with(filler).take(added)).collect();
    *allocated_bytes = *allocated_bytes + arc_bytes(size_of_val(&**items)) - old_bytes;
}

fn free_last(node: &mut Node) -> Option<Freed> {
    let freed = match node {
        Node::Empty => return None,
        Node::Slots(slots) => {
            let bytes = arc_bytes(size_of_val(&**slots));
            match Arc::get_mut(slots) {
                None => Freed { bytes: 0, objects: 1 },
                Some(items) => {
                    let last = items.iter_mut().rev().find(|slot| matches!(slot, Slot::Used(_)));
                    if let Some(Slot::Used(leaf)) =
                        last.map(|slot| std::mem::replace(slot, Slot::Free(None)))
                    {
                        let (objects, alone) = leaf.objects();
                        let bytes = if alone { leaf.allocated_bytes() } else { 0 };
                        return Some(Freed { bytes, objects });
                    }
                    Freed { bytes, objects: 1 }
                }
            }
        }
        Node::Inner(nodes) => {
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
