//! Reading ahead: what looks at several elements will read, all at the same time. In a large table
//! each of them waits for memory at every level, and these waits overlap.

use super::Table;
use super::node::{Below, Place};
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

    /// In stages, of which each prefetches what the next one reads, for all of them.
    fn fetch_hashes(&self, hashes: &[u64]) {
        let mut places = [Place::root(&self.root); FETCHED_MAX];
        let mut segments = [None; FETCHED_MAX];
        // All segments are at the same depth.
        while segments[0].is_none() {
            for (place, hash) in places.iter().zip(hashes) {
                place.prefetch_parts(*hash);
            }
            for ((place, segment), hash) in places.iter_mut().zip(&mut segments).zip(hashes) {
                match place.below(*hash) {
                    Below::Node(_, below) => {
                        below.prefetch();
                        *place = below;
                    }
                    Below::Segment(_, found) => {
                        found.prefetch_columns();
                        *segment = Some(found);
                    }
                }
            }
        }
        for (segment, hash) in segments.into_iter().flatten().zip(hashes) {
            segment.prefetch_element(*hash);
        }
    }
}
