//! Walking over a table: all of it, or from a scan's cursor on.

use std::slice;

use super::node::{Child, Node};
use super::segment::{Element, Elements, Segment};
use super::{CURSOR_SHIFT, Table, hashing};

/// The segments from a hash on.
#[derive(Clone, Debug)]
struct Segments<'a, const VALUES: bool> {
    /// What is left of each branch on the way.
    branches: Vec<slice::Iter<'a, Child<VALUES>>>,
    segments: slice::Iter<'a, Segment<VALUES>>,
}

impl<'a, const VALUES: bool> Segments<'a, VALUES> {
    fn new(root: &'a Node<VALUES>, hash: u64) -> Self {
        let mut walk = Self { branches: Vec::new(), segments: [].iter() };
        walk.descend(root, hash);
        walk
    }

    fn descend(&mut self, mut node: &'a Node<VALUES>, hash: u64) {
        loop {
            match node {
                Node::Branch(children) => {
                    let mut children = Node::branch_from(children, hash).iter();
                    node = &children.next().expect("a hash has its place").node;
                    self.branches.push(children);
                }
                Node::Leaf(segments) => {
                    self.segments = Node::leaf_from(segments, hash).iter();
                    return;
                }
            }
        }
    }
}

impl<'a, const VALUES: bool> Iterator for Segments<'a, VALUES> {
    type Item = &'a Segment<VALUES>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(segment) = self.segments.next() {
                return Some(segment);
            }
            match self.branches.last_mut()?.next() {
                Some(child) => self.descend(&child.node, 0),
                None => self.branches.truncate(self.branches.len() - 1),
            }
        }
    }
}

impl<const VALUES: bool> Table<VALUES> {
    /// How many elements each segment has.
    pub(crate) fn segment_lens(&self) -> impl Iterator<Item = usize> {
        Segments::new(&self.root, 0).map(Segment::len)
    }
}

/// The elements of a table.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a, const VALUES: bool> {
    segments: Segments<'a, VALUES>,
    elements: Option<Elements<'a, VALUES>>,
    left: usize,
}

impl<'a, const VALUES: bool> Iterator for Iter<'a, VALUES> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = self.elements.as_mut().and_then(Iterator::next) {
                self.left -= 1;
                return Some(element);
            }
            self.elements = Some(self.segments.next()?.iter());
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<const VALUES: bool> ExactSizeIterator for Iter<'_, VALUES> {}

impl<const VALUES: bool> Table<VALUES> {
    /// The elements, by ranges of hashes; those of one segment are in no particular order.
    pub(crate) fn iter(&self) -> Iter<'_, VALUES> {
        Iter { segments: Segments::new(&self.root, 0), elements: None, left: self.len }
    }

    /// Continues a scan: visits `count` elements, if there are so many (more only where elements
    /// have the same cursor), and returns the cursor to continue from: the top 48 bits of a hash,
    /// 0 at the beginning and at the end.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> u64 {
        // No scan returns such a number.
        if cursor > u64::MAX >> CURSOR_SHIFT {
            return 0;
        }
        let mut left = count.max(1);
        let mut last = None;
        let mut elements: Vec<(u64, Element<'_>)> = Vec::with_capacity(64);
        for segment in Segments::new(&self.root, cursor << CURSOR_SHIFT) {
            let hashed = segment
                .iter()
                .map(|(field, value)| (hashing::hash(field) >> CURSOR_SHIFT, (field, value)));
            elements.clear();
            elements.extend(hashed.filter(|&(prefix, _)| prefix >= cursor));
            elements.sort_unstable_by_key(|&(prefix, _)| prefix);
            for &(prefix, (field, value)) in &elements {
                if left == 0 && last != Some(prefix) {
                    return prefix;
                }
                each(field, value);
                left = left.saturating_sub(1);
                last = Some(prefix);
            }
        }
        0
    }
}
