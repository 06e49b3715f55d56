//! Loading into the cache what a batch's commands will read, so that they do not wait for memory one
//! after the other.

use super::raw::reclaim::Inside;
use super::raw::table::{Garbage, Head, Segment};
use super::{Key, Keyspace};

impl Keyspace {
    /// Lets a worker read slots without a lock, to prefetch, until the guard drops.
    #[inline]
    pub(crate) fn prefetching(&self, reader: usize) -> Prefetching<'_> {
        Prefetching { keyspace: self, inside: self.shards.reclaim().enter(reader) }
    }

    /// Fetches the slots of a key that is about to be stored, unless somebody else has the lock.
    pub(crate) fn fetch_slots(&self, database: usize, key: Key<'_>) {
        if let Some(mut held) = self.shards.lock_if_free(key.shard()) {
            held.view().prefetch(self.tables(database), key.hash);
        }
    }

    /// Reads members of a large collection ahead of their use, unless somebody else has the lock.
    pub(crate) fn fetch_members(&self, database: usize, key: Key<'_>, members: &[&[u8]]) {
        if let Some(mut held) = self.shards.lock_if_free(key.shard())
            && let Some(entry) = held.view().get(self.tables(database), key.bytes, key.hash)
            && entry.encoding().is_object()
        {
            entry.value().fetch(members);
        }
    }
}

/// Reads slots without a lock, to load entries into the cache before they are needed.
#[derive(Debug)]
pub(crate) struct Prefetching<'k> {
    keyspace: &'k Keyspace,
    inside: Inside<'k, Garbage>,
}

impl Prefetching<'_> {
    /// First stage, for all the keys of a batch before the second.
    #[inline]
    pub(crate) fn slots(&self, database: usize, hash: u64) -> Option<PrefetchedSlots<'_>> {
        let head = self.keyspace.shards.head((hash >> 56) as usize, self.keyspace.tables(database));
        Some(PrefetchedSlots(head.prefetch_slots(hash, &self.inside)?))
    }
}

/// Prefetched slots.
pub(crate) struct PrefetchedSlots<'i>(&'i Segment);

impl PrefetchedSlots<'_> {
    /// Second stage: prefetches the entry.
    #[inline]
    pub(crate) fn entry(self, hash: u64) {
        Head::prefetch_entry(self.0, hash);
    }
}
