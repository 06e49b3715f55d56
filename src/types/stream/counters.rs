//! The numbers that a stream keeps beside its entries, and what can be told from them alone.

use super::StreamId;

/// What a stream counts and remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Entries that are not deleted.
    pub(crate) length: u64,
    /// The greatest id ever added, or set by XSETID.
    pub(crate) last_id: StreamId,
    /// The id of the first entry; 0-0 if there is none.
    pub(crate) first_id: StreamId,
    /// The greatest id that XDEL deleted.
    pub(crate) max_deleted_id: StreamId,
    /// Entries ever added.
    pub(crate) entries_added: u64,
}

impl Counters {
    /// Whether XDEL may have left a gap among the entries from `id` on.
    pub(crate) fn has_tombstone_from(&self, id: StreamId) -> bool {
        self.length > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && id <= self.max_deleted_id
    }

    /// How many of all entries ever added come up to `id`, itself included; `None` if that cannot
    /// be told.
    pub(crate) fn entries_up_to(&self, id: StreamId) -> Option<i64> {
        let (added, length) = (self.entries_added as i64, self.length as i64);
        if added == 0 {
            return Some(0);
        }
        if self.length == 0 && id < self.last_id || id == self.last_id {
            return Some(added);
        }
        if id > self.last_id {
            return None;
        }
        let fragmented =
            self.max_deleted_id != StreamId::MIN && self.max_deleted_id >= self.first_id;
        if fragmented {
            return None;
        }
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less => Some(added.wrapping_sub(length)),
            std::cmp::Ordering::Equal => Some(added.wrapping_sub(length).wrapping_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }
}
