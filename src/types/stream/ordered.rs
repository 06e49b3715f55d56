//! An ordered map whose clones cost nothing: a B+ tree of small nodes behind `Arc`, each copied when
//! it is written while a clone shares it. It counts the bytes of its nodes, and nothing of what keys
//! and values own elsewhere.
//!
//! An inner node keeps a lower bound of the keys of each child but the first, whose bound is never
//! looked at. Nodes do not know their neighbours: an iterator that leaves a leaf descends again from
//! the root, towards the bound that it passed on its way down.

use std::borrow::Borrow;
use std::sync::Arc;

use super::memory::{self, Budget};
use crate::types::Freed;

mod iter;

/// Bytes of a leaf's entries, about.
const NODE_BYTES: usize = 2048;

/// A value of an [`OrderedMap`], which may own much.
pub(crate) trait Value: Clone {
    /// Entries of a leaf at most: fewer where a copy of the value is more than its own bytes.
    const LEAF_ENTRIES_MAX: usize = 64;

    /// Frees part of what the value owns, at most about `most`; nothing at the end.
    fn free_some(&mut self, most: Freed) -> Freed {
        let _ = most;
        Freed::default()
    }
}

impl Value for () {}

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub(crate) struct OrderedMap<K, V> {
    root: Option<Arc<Node<K, V>>>,
    len: usize,
    node_bytes: usize,
}

#[derive(Clone, Debug)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    Inner(Vec<Child<K, V>>),
}

/// A lower bound of a child's keys, and the child.
type Child<K, V> = (K, Arc<Node<K, V>>);

/// What an insertion below a node did.
struct Inserted<K, V> {
    displaced: Option<V>,
    /// The right half of a node that was full.
    split: Option<Child<K, V>>,
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0, node_bytes: 0 }
    }
}

impl<K, V: Value> Node<K, V> {
    const LEAF_MOST: usize = {
        let fit = entries_most(size_of::<(K, V)>());
        if fit < V::LEAF_ENTRIES_MAX { fit } else { V::LEAF_ENTRIES_MAX }
    };
    /// The first write after a clone counts references in all children of a path: fewer of them
    /// cost less than the levels that they add.
    const INNER_MOST: usize = 16;

    fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }

    fn most(&self) -> usize {
        match self {
            Self::Leaf(_) => Self::LEAF_MOST,
            Self::Inner(_) => Self::INNER_MOST,
        }
    }

    /// Bytes allocated for the node alone.
    fn bytes(&self) -> usize {
        memory::shared::<Self>()
            + match self {
                Self::Leaf(entries) => memory::vector(entries),
                Self::Inner(children) => memory::vector(children),
            }
    }
}

const fn entries_most(entry_bytes: usize) -> usize {
    let fit = NODE_BYTES / entry_bytes;
    match fit {
        ..8 => 8,
        64.. => 64,
        _ => fit,
    }
}

impl<K: Ord + Clone, V: Value> OrderedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated for the tree, those shared with clones included.
    pub(crate) fn node_bytes(&self) -> usize {
        self.node_bytes
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(own, _)| own.borrow().cmp(key)).ok()?;
                    return Some(&entries[at].1);
                }
                Node::Inner(children) => node = &children[child_of(children, key)].1,
            }
        }
    }

    /// Changes the value of a key, if there is one.
    pub(crate) fn update<Q, R>(&mut self, key: &Q, change: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        // Only a key that is there is worth a copy of shared nodes.
        self.get(key)?;
        let mut node = self.root.as_mut()?;
        loop {
            self.node_bytes -= node.bytes();
            let own = Arc::make_mut(node);
            self.node_bytes += own.bytes();
            match own {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|(own, _)| own.borrow().cmp(key)).ok()?;
                    return Some(change(&mut entries[at].1));
                }
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    node = &mut children[at].1;
                }
            }
        }
    }

    /// Inserts or replaces; returns the value that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            let mut entries = Vec::new();
            insert_at(&mut entries, 0, (key, value), Node::<K, V>::LEAF_MOST, true);
            let root = Node::Leaf(entries);
            (self.len, self.node_bytes) = (1, root.bytes());
            self.root = Some(Arc::new(root));
            return None;
        };
        let inserted = insert_below(root, key, value, true, &mut self.node_bytes);
        self.len += usize::from(inserted.displaced.is_none());
        if let Some(right) = inserted.split {
            // The first child's bound is never looked at.
            let left = (right.0.clone(), Arc::clone(root));
            let mut children = Vec::with_capacity(4);
            children.extend([left, right]);
            let node = Node::Inner(children);
            self.node_bytes += node.bytes();
            *root = Arc::new(node);
        }
        inserted.displaced
    }

    /// Removes a key; returns its value.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.get(key)?;
        let root = self.root.as_mut()?;
        let removed = remove_below(root, key, &mut self.node_bytes);
        self.len -= 1;
        self.lower();
        removed
    }

    /// Removes levels that the tree no longer needs.
    fn lower(&mut self) {
        while let Some(root) = &mut self.root {
            let only = match &**root {
                Node::Leaf(entries) if entries.is_empty() => None,
                Node::Inner(children) if children.is_empty() => None,
                Node::Inner(children) if children.len() == 1 => Some(Arc::clone(&children[0].1)),
                _ => return,
            };
            self.node_bytes -= root.bytes();
            self.root = only;
        }
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    pub(crate) fn last(&self) -> Option<(&K, &V)> {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => return entries.last().map(|(key, value)| (key, value)),
                Node::Inner(children) => node = &children.last()?.1,
            }
        }
    }

    /// Shows all keys, in less time than an iterator.
    pub(crate) fn each_key(&self, mut see: impl FnMut(&K)) {
        if let Some(root) = &self.root {
            each_key_below(root, &mut see);
        }
    }

    pub(crate) fn pop_last(&mut self) -> Option<(K, V)> {
        let key = self.last()?.0.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// Frees part of the map from its end, at most about `most`; nothing at the end. The rest can
    /// only be freed as well.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut budget = Budget::new(most);
        if let Some(root) = &mut self.root
            && free_below(root, &mut budget)
        {
            self.root = None;
        }
        budget.freed()
    }
}

fn each_key_below<K, V>(node: &Node<K, V>, see: &mut impl FnMut(&K)) {
    match node {
        Node::Leaf(entries) => entries.iter().for_each(|(key, _)| see(key)),
        Node::Inner(children) => {
            children.iter().for_each(|(_, child)| each_key_below(child, see));
        }
    }
}

/// The child that a key belongs to.
fn child_of<K, V, Q>(children: &[Child<K, V>], key: &Q) -> usize
where
    K: Borrow<Q>,
    Q: Ord + ?Sized,
{
    children.partition_point(|(bound, _)| bound.borrow() <= key).saturating_sub(1)
}

/// Inserts below a node; `last` says that no node of its level follows.
fn insert_below<K: Ord + Clone, V: Value>(
    node: &mut Arc<Node<K, V>>,
    key: K,
    value: V,
    last: bool,
    bytes: &mut usize,
) -> Inserted<K, V> {
    *bytes -= node.bytes();
    let inserted = match Arc::make_mut(node) {
        Node::Leaf(entries) => match entries.binary_search_by(|(own, _)| own.cmp(&key)) {
            Ok(at) => {
                let displaced = std::mem::replace(&mut entries[at].1, value);
                Inserted { displaced: Some(displaced), split: None }
            }
            Err(at) => {
                let right = insert_at(entries, at, (key, value), Node::<K, V>::LEAF_MOST, last);
                let split = right.map(|right| (right[0].0.clone(), Arc::new(Node::Leaf(right))));
                Inserted { displaced: None, split }
            }
        },
        Node::Inner(children) => {
            let at = child_of(children, &key);
            let last_child = last && at + 1 == children.len();
            let below = insert_below(&mut children[at].1, key, value, last_child, bytes);
            let right = below.split.and_then(|child| {
                insert_at(children, at + 1, child, Node::<K, V>::INNER_MOST, last)
            });
            let split = right.map(|right| (right[0].0.clone(), Arc::new(Node::Inner(right))));
            Inserted { displaced: below.displaced, split }
        }
    };
    *bytes += node.bytes() + inserted.split.as_ref().map_or(0, |(_, right)| right.bytes());
    inserted
}

/// Inserts into a node's vector of at most `most`, or returns the right half of one that was full.
fn insert_at<T>(items: &mut Vec<T>, at: usize, item: T, most: usize, last: bool) -> Option<Vec<T>> {
    let len = items.len();
    if len < most {
        reserve(items, 1, most);
        items.insert(at, item);
        return None;
    }
    // Ascending keys leave full nodes behind.
    let middle = if last && at == len { len } else { len / 2 };
    let mut right = Vec::new();
    reserve(&mut right, len - middle + 1, most);
    right.extend(items.drain(middle..));
    if at > middle || middle == len {
        right.insert(at - middle, item);
    } else {
        items.insert(at, item);
    }
    Some(right)
}

/// Makes room for `more` items: doubles, but never beyond a full node.
fn reserve<T>(items: &mut Vec<T>, more: usize, most: usize) {
    let needed = items.len() + more;
    if needed > items.capacity() {
        let capacity = needed.max(2 * items.len()).min(most);
        items.reserve_exact(capacity - items.len());
    }
}

/// Removes a key that is below a node.
fn remove_below<K: Ord + Clone + Borrow<Q>, V: Value, Q: Ord + ?Sized>(
    node: &mut Arc<Node<K, V>>,
    key: &Q,
    bytes: &mut usize,
) -> Option<V> {
    *bytes -= node.bytes();
    let removed = match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = entries.binary_search_by(|(own, _)| own.borrow().cmp(key));
            at.ok().map(|at| entries.remove(at).1)
        }
        Node::Inner(children) => {
            let at = child_of(children, key);
            let removed = remove_below(&mut children[at].1, key, bytes);
            balance(children, at, bytes);
            removed
        }
    };
    *bytes += node.bytes();
    removed
}

/// Removes a child that has become empty, or joins a small one with a neighbour.
fn balance<K: Ord + Clone, V: Value>(
    children: &mut Vec<Child<K, V>>,
    at: usize,
    bytes: &mut usize,
) {
    let (len, most) = (children[at].1.len(), children[at].1.most());
    if len == 0 {
        *bytes -= children[at].1.bytes();
        children.remove(at);
    } else if len <= most / 4 {
        let fits = |left: &usize| {
            let pair = children.get(*left..*left + 2);
            pair.is_some_and(|pair| pair[0].1.len() + pair[1].1.len() <= most * 3 / 4)
        };
        if let Some(left) = [at, at.saturating_sub(1)].into_iter().find(fits) {
            join(children, left, bytes);
        }
    }
}

/// Moves the entries of the child behind `left` into `left`.
fn join<K: Ord + Clone, V: Value>(children: &mut Vec<Child<K, V>>, left: usize, bytes: &mut usize) {
    let (bound, right) = children.remove(left + 1);
    let left = &mut children[left].1;
    *bytes -= left.bytes() + right.bytes();
    match (Arc::make_mut(left), Arc::unwrap_or_clone(right)) {
        (Node::Leaf(left), Node::Leaf(right)) => {
            reserve(left, right.len(), Node::<K, V>::LEAF_MOST);
            left.extend(right);
        }
        (Node::Inner(left), Node::Inner(mut right)) => {
            // As the first child's, this bound may have been too high.
            right[0].0 = bound;
            reserve(left, right.len(), Node::<K, V>::INNER_MOST);
            left.extend(right);
        }
        _ => unreachable!("the children of a node are of one level"),
    }
    *bytes += left.bytes();
}

/// Frees from the end of a node; returns whether nothing of it is left but itself.
fn free_below<K, V: Value>(node: &mut Arc<Node<K, V>>, budget: &mut Budget) -> bool {
    let Some(node) = Arc::get_mut(node) else {
        // A clone keeps it: only a reference goes.
        budget.count(Freed { bytes: 0, objects: 1 });
        return true;
    };
    match node {
        Node::Leaf(entries) => {
            while let Some((_, value)) = entries.last_mut() {
                if !budget.exhaust(|most| value.free_some(most)) {
                    return false;
                }
                entries.pop();
            }
        }
        Node::Inner(children) => {
            while let Some((_, child)) = children.last_mut() {
                if budget.is_spent() || !free_below(child, budget) {
                    return false;
                }
                children.pop();
            }
        }
    }
    budget.count(Freed { bytes: node.bytes(), objects: 2 });
    true
}

#[cfg(test)]
mod tests;
