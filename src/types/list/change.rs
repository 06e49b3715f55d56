//! Changes of a list anywhere but at its ends, and the nodes that they add, merge and remove.

use std::ops::Range;
use std::sync::Arc;

use super::node::{Container, Node};
use super::{Direction, List, NODE_BYTES_MAX, Side, elements};
use crate::types::listpack::encoded_len;

/// Nodes that one change may add, and so move others away from their end.
const NODES_ADDED_MAX: usize = 2;

impl List {
    /// Replaces the element at `index`; false if there is none.
    pub(crate) fn set(&mut self, index: usize, value: &[u8]) -> bool {
        let limits = self.limits;
        let Some((node, _)) = self.find_node(index) else {
            return false;
        };
        let fits =
            node.elements() == 1 || node.expanded_len() + encoded_len(value) <= NODE_BYTES_MAX;
        match (node.container(), limits.is_plain(value.len())) {
            (Container::Packed, false) if fits => {
                self.edit_node(index, |node, offset| node.replace(offset, value));
            }
            (Container::Plain, true) => {
                self.edit_node(index, |node, _| *node = Node::of_element(value, limits));
            }
            _ => {
                self.insert(index, Side::After, value);
                self.remove(index);
            }
        }
        self.settle(index..index + 1);
        true
    }

    /// Inserts an element beside the one at `index`; false if there is none. Which node takes it,
    /// and whether one is split or others are merged, follows Redis's `_quicklistInsert`.
    pub(crate) fn insert(&mut self, index: usize, side: Side, value: &[u8]) -> bool {
        let limits = self.limits;
        let Some((node, offset)) = self.find_node(index) else {
            return false;
        };
        let (start, count) = (index - offset, node.elements());
        let place = if side == Side::Before { offset } else { offset + 1 };
        if node.allows(value.len(), limits) {
            self.edit_node(index, |node, _| node.insert(place, value));
            self.len += 1;
            self.settle(index..index + 1);
            return true;
        }
        let beyond = match side {
            Side::Before => index.checked_sub(1),
            Side::After => Some(index + 1),
        };
        if place > 0 && place < count {
            self.insert_splitting(start, place, side, value);
        } else if let Some(beyond) = beyond
            && self.find_node(beyond).is_some_and(|(node, _)| node.allows(value.len(), limits))
        {
            self.edit_node(beyond, |node, _| match side {
                Side::Before => node.push_back(value),
                Side::After => node.push_front(value),
            });
            self.len += 1;
        } else {
            self.insert_node(start + place, Node::of_element(value, limits));
        }
        self.settle(start.saturating_sub(1)..start + count + 2);
        true
    }

    /// Splits the node that begins at `start` behind its first `place` elements, and inserts an
    /// element between the parts: into the part that it is not beside, or alone in its node.
    fn insert_splitting(&mut self, start: usize, place: usize, side: Side, value: &[u8]) {
        let limits = self.limits;
        let is_plain = limits.is_plain(value.len());
        let (left, right) = self.edit_node(start, |node, _| {
            let mut right = node.split_off(place);
            match side {
                _ if is_plain => {}
                Side::Before => node.push_back(value),
                Side::After => right.push_front(value),
            }
            (node.elements(), right)
        });
        let (border, end) = (start + left, start + left + right.elements());
        self.len = self.len + usize::from(!is_plain) - right.elements();
        self.insert_node(border, right);
        if is_plain {
            self.insert_node(border, Node::of_element(value, limits));
            return;
        }
        match side {
            Side::Before => self.merge_around(border, end),
            Side::After => self.merge_around(start, border),
        }
    }

    /// Merges nodes around the one from `start` to `end` where the limits allow, in Redis's order.
    fn merge_around(&mut self, start: usize, end: usize) {
        let before = start.checked_sub(1).and_then(|last| {
            let (_, offset) = self.find_node(last)?;
            Some(last - offset)
        });
        let after = self.find_node(end).map(|(node, _)| end + node.elements());
        for border in [before, after, Some(start), Some(end)].into_iter().flatten() {
            self.merge_at(border);
        }
    }

    /// Merges the nodes before and behind this border, if there are two and the limits allow.
    fn merge_at(&mut self, border: usize) {
        let Some(last) = border.checked_sub(1) else {
            return;
        };
        let (Some((left, _)), Some((right, _))) = (self.find_node(last), self.find_node(border))
        else {
            return;
        };
        if left.allows_merge(right, self.limits) {
            let right = self.remove_node(border);
            self.edit_node(last, |left, _| left.append(&right));
            self.len += right.elements();
        }
    }

    /// Removes the element at `index`; false if there is none.
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        let Some((node, _)) = self.find_node(index) else {
            return false;
        };
        if node.elements() == 1 {
            self.remove_node(index);
            self.settle(0..0);
        } else {
            self.delete_within(index, 1);
            self.settle(index.saturating_sub(1)..index + 1);
        }
        true
    }

    /// Removes up to `most` elements that are `value`, those towards the start of `direction` first.
    /// Returns how many.
    pub(crate) fn remove_equal(
        &mut self,
        value: &[u8],
        most: usize,
        direction: Direction,
    ) -> usize {
        let mut removed = 0;
        let mut at = if direction == Direction::Forward { 0 } else { self.len };
        while removed < most {
            let index = match direction {
                Direction::Forward => Some(at),
                Direction::Backward => at.checked_sub(1),
            };
            let Some((index, (node, offset))) =
                index.and_then(|at| Some((at, self.find_node(at)?)))
            else {
                break;
            };
            let (start, before) = (index - offset, node.elements());
            let mut left = before;
            if node.holds(value) {
                let here = self.remove_equal_within(start, value, most - removed, direction);
                removed += here;
                left -= here;
            }
            at = if direction == Direction::Forward { start + left } else { start };
        }
        removed
    }

    /// Does so in the node of the element at `index`.
    fn remove_equal_within(
        &mut self,
        index: usize,
        value: &[u8],
        most: usize,
        direction: Direction,
    ) -> usize {
        let (mut removed, is_last_too) = self.edit_node(index, |node, _| {
            node.delete_equal(value, most, direction == Direction::Backward)
        });
        self.len -= removed;
        if is_last_too {
            self.remove_node(index);
            removed += 1;
        }
        self.settle(index..index + 1);
        removed
    }

    /// Removes up to `count` elements from `start` on. Returns what was removed as whole nodes,
    /// which may be much: to be freed in parts, by [`free_some`](Self::free_some).
    pub(crate) fn remove_range(&mut self, start: usize, count: usize) -> Self {
        let mut removed = Self::new(self.limits);
        let mut left = count.min(self.len.saturating_sub(start));
        // The end of the first node, the start of the last one, and all nodes between them.
        if left > 0
            && let Some((node, offset)) = self.find_node(start)
            && offset > 0
        {
            let part = left.min(node.elements() - offset);
            self.delete_within(start, part);
            left -= part;
        }
        if left > 0
            && let Some((node, offset)) = self.find_node(start + left - 1)
            && offset + 1 < node.elements()
        {
            left -= offset + 1;
            self.delete_within(start + left, offset + 1);
        }
        if left > 0 {
            self.cut_nodes(start, left, &mut removed);
        }
        self.settle(start.saturating_sub(1)..start + 1);
        removed
    }

    /// Deletes elements of one node, but not all of them.
    fn delete_within(&mut self, index: usize, count: usize) {
        self.edit_node(index, |node, offset| node.delete(offset, count));
        self.len -= count;
    }

    /// Moves nodes, which hold `count` elements from `start`, to `removed`.
    fn cut_nodes(&mut self, start: usize, count: usize, removed: &mut Self) {
        let mut left = count;
        if start == 0 {
            removed.front = self.front.take();
            left -= elements(removed.front.as_ref());
        }
        let from = start - elements(self.front.as_ref());
        let in_middle = left.min(self.middle.sum().elements.saturating_sub(from));
        removed.middle = self.middle.cut(from, in_middle);
        if left > in_middle {
            removed.back = self.back.take();
        }
        self.len -= count;
        removed.len = count;
    }

    /// Inserts a node before the one that begins with the element at `index`, or behind all.
    pub(super) fn insert_node(&mut self, index: usize, node: Node) {
        let added = node.elements();
        let node = Arc::new(node);
        if index == 0 {
            if let Some(mut old) = self.front.replace(node) {
                Node::fit(&mut old);
                self.middle.insert(0, old);
            }
        } else if index == self.len {
            if let Some(mut old) = self.back.replace(node) {
                Node::fit(&mut old);
                self.middle.insert(self.middle.sum().elements, old);
            }
        } else {
            self.middle.insert(index - elements(self.front.as_ref()), node);
        }
        self.len += added;
    }

    /// Takes the node of the element at `index` out.
    pub(super) fn remove_node(&mut self, index: usize) -> Arc<Node> {
        let front = elements(self.front.as_ref());
        let node = match index.checked_sub(front) {
            None => self.front.take(),
            Some(index) if index < self.middle.sum().elements => Some(self.middle.remove(index)),
            Some(_) => self.back.take(),
        };
        let node = node.expect("the index is below the list's length");
        self.len -= node.elements();
        node
    }

    /// Changes the node of the element at `index`, which must keep elements; expands it for that.
    fn edit_node<R>(&mut self, index: usize, change: impl FnOnce(&mut Node, usize) -> R) -> R {
        self.edit(index, |node, offset| {
            let is_compressed = node.is_compressed();
            node.expand();
            let outcome = change(node, offset);
            if is_compressed {
                node.compress();
            }
            outcome
        })
    }

    fn edit<R>(&mut self, index: usize, change: impl FnOnce(&mut Node, usize) -> R) -> R {
        let front = elements(self.front.as_ref());
        let (node, offset) = match index.checked_sub(front) {
            None => (&mut self.front, index),
            Some(index) if index < self.middle.sum().elements => {
                return self.middle.edit(index, |node, offset| change(Arc::make_mut(node), offset));
            }
            Some(index) => (&mut self.back, index - self.middle.sum().elements),
        };
        change(Arc::make_mut(node.as_mut().expect("the index is below the list's length")), offset)
    }

    /// Compresses the nodes that a change has moved away from the ends or that hold the elements of
    /// `changed`, and expands those that it has moved to the ends.
    #[inline]
    pub(super) fn settle(&mut self, changed: Range<usize>) {
        let depth = self.limits.compress_depth();
        if depth > 0 {
            self.settle_nodes(depth, changed);
        }
    }

    fn settle_nodes(&mut self, depth: usize, changed: Range<usize>) {
        let nodes = self.node_count();
        let inner = nodes.saturating_sub(2 * depth);
        // The elements of the nodes that are compressed.
        let (mut start, mut end) = (0, self.len);
        for _ in 0..depth.min(nodes) {
            start = self.settle_node(start, Form::Expanded).end;
            end = self.settle_node(end - 1, Form::Expanded).start;
        }
        if inner == 0 {
            return;
        }
        let (mut moved_start, mut moved_end) = (start, end);
        for _ in 0..inner.min(NODES_ADDED_MAX) {
            moved_start = self.settle_node(moved_start, Form::Compressed).end;
            moved_end = self.settle_node(moved_end - 1, Form::Compressed).start;
        }
        let mut at = changed.start.max(start);
        while at < changed.end.min(end) {
            at = self.settle_node(at, Form::Compressed).end;
        }
    }

    /// Puts the node of the element at `index` into this form, if it is not worthless. Returns the
    /// indexes of its elements.
    fn settle_node(&mut self, index: usize, form: Form) -> Range<usize> {
        let (node, offset) = self.find_node(index).expect("the index is below the list's length");
        let elements = index - offset..index - offset + node.elements();
        match form {
            Form::Compressed if !node.is_compressed() => {
                self.edit(index, |node, _| node.compress());
            }
            Form::Expanded if node.is_compressed() => self.edit(index, |node, _| node.expand()),
            Form::Compressed | Form::Expanded => {}
        }
        elements
    }
}

/// What a node is to become.
#[derive(Clone, Copy, Debug)]
enum Form {
    Expanded,
    Compressed,
}
