//! Iterators over an ordered map, upwards and downwards from any key.

use std::borrow::Borrow;
use std::slice;

use super::{Child, Node, OrderedMap, Value};

/// Entries in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct Ascend<'a, K, V> {
    root: Option<&'a Node<K, V>>,
    leaf: slice::Iter<'a, (K, V)>,
    /// A lower bound of what follows the leaf.
    beyond: Option<&'a K>,
}

/// Entries in descending order.
#[derive(Clone, Debug)]
pub(crate) struct Descend<'a, K, V> {
    root: Option<&'a Node<K, V>>,
    leaf: slice::Iter<'a, (K, V)>,
    /// What precedes the leaf is smaller.
    beyond: Option<&'a K>,
}

/// A leaf, and the bounds of its neighbours.
struct Spot<'a, K, V> {
    entries: &'a [(K, V)],
    lower: Option<&'a K>,
    upper: Option<&'a K>,
}

impl<K: Ord + Clone, V: Value> OrderedMap<K, V> {
    /// All entries.
    pub(crate) fn iter(&self) -> Ascend<'_, K, V> {
        Ascend::new(self.root.as_deref(), |_| false, |_| false)
    }

    /// The entries from a key on.
    pub(crate) fn ascend<Q>(&self, from: &Q) -> Ascend<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let root = self.root.as_deref();
        Ascend::new(root, |bound| bound.borrow() <= from, |key| key.borrow() < from)
    }

    /// The entries from a key downwards.
    pub(crate) fn descend<Q>(&self, from: &Q) -> Descend<'_, K, V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let root = self.root.as_deref();
        Descend::new(root, |bound| bound.borrow() <= from, |key| key.borrow() <= from)
    }
}

/// Descends to the last child whose bound is `within`, or else to the first.
fn seek<'a, K, V>(mut node: &'a Node<K, V>, within: impl Fn(&K) -> bool) -> Spot<'a, K, V> {
    let (mut lower, mut upper) = (None, None);
    loop {
        match node {
            Node::Leaf(entries) => return Spot { entries, lower, upper },
            Node::Inner(children) => {
                let bound = |child: &'a Child<K, V>| &child.0;
                let at = children.partition_point(|(key, _)| within(key)).saturating_sub(1);
                upper = children.get(at + 1).map(bound).or(upper);
                lower = if at > 0 { children.get(at).map(bound) } else { lower };
                node = &children[at].1;
            }
        }
    }
}

impl<'a, K: Ord, V> Ascend<'a, K, V> {
    fn new(
        root: Option<&'a Node<K, V>>,
        within: impl Fn(&K) -> bool,
        skip: impl Fn(&K) -> bool,
    ) -> Self {
        let Some(node) = root else {
            return Self { root, leaf: [].iter(), beyond: None };
        };
        let spot = seek(node, within);
        let at = spot.entries.partition_point(|(key, _)| skip(key));
        Self { root, leaf: spot.entries[at..].iter(), beyond: spot.upper }
    }
}

impl<'a, K: Ord, V> Descend<'a, K, V> {
    fn new(
        root: Option<&'a Node<K, V>>,
        within: impl Fn(&K) -> bool,
        keep: impl Fn(&K) -> bool,
    ) -> Self {
        let Some(node) = root else {
            return Self { root, leaf: [].iter(), beyond: None };
        };
        let spot = seek(node, within);
        let at = spot.entries.partition_point(|(key, _)| keep(key));
        Self { root, leaf: spot.entries[..at].iter(), beyond: spot.lower }
    }
}

impl<'a, K: Ord, V> Iterator for Ascend<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            let bound = self.beyond?;
            *self = Self::new(self.root, |key| key <= bound, |key| key < bound);
        }
    }
}

impl<'a, K: Ord, V> Iterator for Descend<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next_back() {
                return Some((key, value));
            }
            let bound = self.beyond?;
            *self = Self::new(self.root, |key| key < bound, |key| key < bound);
        }
    }
}
