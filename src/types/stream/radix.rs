//! How many nodes Redis's radix tree would have, which XINFO STREAM shows. There is no such tree
//! here: the number follows from the keys.
//!
//! In that tree a branch is a node that holds the next byte of each of its children; a run of bytes
//! without a branch is a node; the end of a key is a node.

/// Length of a key in bytes.
const KEY_BYTES: u32 = 16;

/// Counts the nodes of the tree for keys that are given in ascending order.
#[derive(Debug, Default)]
pub(super) struct NodeCount {
    nodes: usize,
    former: Option<u128>,
    /// Depths of the branches above the last key, from the root down.
    branches: Vec<u32>,
}

impl NodeCount {
    pub(super) fn add(&mut self, key: u128) {
        if let Some(former) = self.former {
            let depth = (former ^ key).leading_zeros() / 8;
            let below = close(&mut self.branches, depth, &mut self.nodes);
            if self.branches.last() != Some(&depth) {
                self.branches.push(depth);
                self.nodes += 1;
            }
            self.nodes += run(depth, below);
        }
        self.nodes += 1;
        self.former = Some(key);
    }

    /// The number; a tree without keys has its root.
    pub(super) fn finish(mut self) -> usize {
        if self.former.is_none() {
            return 1;
        }
        let mut below = KEY_BYTES;
        while let Some(branch) = self.branches.pop() {
            self.nodes += run(branch, below);
            below = branch;
        }
        self.nodes + usize::from(below > 0)
    }
}

/// Completes the branches deeper than `depth`; returns the depth of what then is below it.
fn close(branches: &mut Vec<u32>, depth: u32, nodes: &mut usize) -> u32 {
    let mut below = KEY_BYTES;
    while let Some(branch) = branches.pop_if(|branch| *branch > depth) {
        *nodes += run(branch, below);
        below = branch;
    }
    below
}

/// The node, if any, of the bytes between a branch and what is below it. The first is the branch's.
fn run(branch: u32, below: u32) -> usize {
    usize::from(below - branch > 1)
}

#[cfg(test)]
mod tests {
    use super::NodeCount;

    fn nodes(keys: &[u128]) -> usize {
        let mut count = NodeCount::default();
        keys.iter().for_each(|key| count.add(*key));
        count.finish()
    }

    #[test]
    fn nodes_are_counted_as_the_tree_would_have_them() {
        assert_eq!(nodes(&[]), 1);
        assert_eq!(nodes(&[7]), 2);
        // A run of 15 bytes, a branch, two ends.
        assert_eq!(nodes(&[7, 8]), 4);
        // The branch is at the root, with two runs below.
        assert_eq!(nodes(&[7, 1 << 127]), 5);
        // A run of 14, a branch, for one child a run and an end, for the other a branch with two.
        assert_eq!(nodes(&[1, 256, 257]), 1 + 1 + 2 + 3);
    }
}
