//! Reading ahead: what looks at several elements will read, all at the same time. In a large table
//! each of them waits for memory at every level, and these waits overlap.

use std::hint::black_box;

use super::Table;
use super::node::Node;
use crate::types::FETCHED_MAX;
use crate::types::hashing;

impl<const VALUES: bool> Table<VALUES> {
    /// Reads where these elements stand.
    pub(crate) fn fetch(&self, fields: &[&[u8]]) {
        for fields in fields.chunks(FETCHED_MAX) {
            let mut hashes = [0; FETCHED_MAX];
            for (hash, field) in hashes.iter_mut().zip(fields) {
                *hash = hashing::hash(field);
            }
            self.fetch_hashes(&hashes[..fields.len()]);
        }
    }

    fn fetch_hashes(&self, hashes: &[u64]) {
        let mut nodes = [&*self.root; FETCHED_MAX];
        while let Node::Branch(_) = nodes[0] {
            for (node, hash) in nodes.iter_mut().zip(hashes) {
                *node = node.below(*hash).expect("all segments are at the same depth");
            }
        }
        let mut segments = [None; FETCHED_MAX];
        for ((segment, node), hash) in segments.iter_mut().zip(nodes).zip(hashes) {
            let found = node.segment(*hash);
            found.fetch_columns();
            *segment = Some(found);
        }
        for (segment, hash) in segments.into_iter().flatten().zip(hashes) {
            black_box(segment.first_byte(*hash));
        }
    }
}
