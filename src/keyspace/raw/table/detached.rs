//! A whole table outside any shard.

use std::{fmt, ptr};

use super::super::entry::{Entry, EntryRef};
use super::super::reclaim::Reclaim;
use super::Garbage;
use super::segment::{ADDRESS, Directory, SLOTS, Segment};

/// A whole table taken out of its shard, by FLUSHALL or for a snapshot.
#[must_use = "a detached table is freed by `free`"]
pub(crate) struct Detached {
    pub(super) directory: *mut Directory,
    pub(super) keys: usize,
    pub(super) expires: usize,
    pub(super) segments: usize,
    pub(super) places: usize,
}

// SAFETY: it owns its directory, segments and entries; unlocked readers that may still access the
// first two only load atomics.
unsafe impl Send for Detached {}

impl Detached {
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// Iterates over all the segments, each once.
    pub(super) fn segments(&self) -> impl Iterator<Item = *mut Segment> {
        // SAFETY: owned by `self`, or null.
        let directory = unsafe { self.directory.as_ref() };
        let mut last = ptr::null_mut();
        directory
            .into_iter()
            .flat_map(|directory| (0..directory.segments.len()).map(|i| directory.segment(i)))
            .filter(move |&segment| std::mem::replace(&mut last, segment) != segment)
    }

    /// Visits each entry.
    pub(crate) fn for_each(&self, mut each: impl FnMut(EntryRef<'_>)) {
        for segment in self.segments() {
            // SAFETY: owned by `self`.
            let segment = unsafe { &*segment };
            for slot in (0..SLOTS).map(|i| segment.load(i)).filter(|&slot| slot != 0) {
                // SAFETY: entries of a detached table belong to it alone.
                each(unsafe { EntryRef::from_bits(slot & ADDRESS) });
            }
        }
    }

    /// Frees the entries, and the rest when no reader sees it any more.
    pub(crate) fn free(self, reclaim: &Reclaim<Garbage>) {
        for segment in self.segments().collect::<Vec<_>>() {
            // SAFETY: each segment is visited once; unlinked and owned by `self`.
            let segment = unsafe { Box::from_raw(segment) };
            for slot in (0..SLOTS).map(|i| segment.load(i)).filter(|&slot| slot != 0) {
                // SAFETY: unlocked readers do not read entries.
                drop(unsafe { Entry::from_bits(slot & ADDRESS) });
            }
            reclaim.retire(Garbage::Segment(segment));
        }
        if !self.directory.is_null() {
            // SAFETY: owned by `self`, unlinked, made by `Box::into_raw`.
            reclaim.retire(Garbage::Directory(unsafe { Box::from_raw(self.directory) }));
        }
    }
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached").field("keys", &self.keys).finish_non_exhaustive()
    }
}
