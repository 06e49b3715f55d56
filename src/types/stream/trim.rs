//! Removal of entries: single ones, and the oldest beyond a length or before an id.

use super::block::{self, Block, Cursor};
use super::memory::Budget;
use super::ordered::Value;
use super::{Stream, StreamId};
use crate::types::Freed;

/// What XTRIM and XADD are asked to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    pub(crate) until: Until,
    pub(crate) precision: Precision,
    /// Entries to remove at most, in whole blocks; 0 for no limit.
    pub(crate) limit: u64,
}

/// Which entries may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// So many, the newest.
    Length(u64),
    /// Those with this id or a greater one.
    Id(StreamId),
}

/// Whether blocks are removed as a whole only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Exact,
    Approximate,
}

/// What trimming did.
#[derive(Debug, Default)]
pub(crate) struct Trimmed {
    /// Entries removed.
    pub(crate) entries: u64,
    pub(crate) removed: Removed,
}

/// Blocks that trimming removed, for the caller to free where it suits.
#[derive(Debug, Default)]
pub(crate) struct Removed(Vec<Block>);

impl Removed {
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.0.iter().map(Block::allocated_bytes).sum()
    }

    /// Blocks.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Frees part of them, at most about `most`; nothing at the end.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut budget = Budget::new(most);
        while let Some(block) = self.0.last_mut() {
            if !budget.exhaust(|most| block.free_some(most)) {
                break;
            }
            self.0.pop();
        }
        budget.freed()
    }
}

impl Trim {
    /// The limit of an approximate trim that gives none, by the setting `stream-node-max-entries`.
    pub(crate) fn default_limit(node_entries_max: u64) -> u64 {
        match node_entries_max.saturating_mul(100) {
            0 => 10_000,
            limit => limit.min(1_000_000),
        }
    }
}

impl Stream {
    /// Deletes an entry; returns whether there was one with this id.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        let at = entry.at;
        let Some((first, pack)) = self.block_up_to(id) else { return false };
        if block::Master::read(pack).live == 1 {
            self.remove_block(first);
        } else {
            self.change_block(first, |pack| block::delete(pack, at));
        }
        let counters = &mut self.counters;
        counters.length -= 1;
        counters.max_deleted_id = counters.max_deleted_id.max(id);
        if counters.first_id == id || counters.length == 0 {
            self.find_first_id();
        }
        true
    }

    fn find_first_id(&mut self) {
        self.counters.first_id = self.first_entry().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Removes the oldest entries. Removes blocks as a whole where it can, and marks entries as
    /// deleted in at most one.
    pub(crate) fn trim(&mut self, trim: Trim) -> Trimmed {
        let mut trimmed = Trimmed::default();
        while let Some((first, pack)) = self.first_block() {
            let mut cursor = Cursor::new(first, pack);
            let (length, live) = (self.counters.length, cursor.master.live as u64);
            if matches!(trim.until, Until::Length(most) if length <= most)
                || trim.limit > 0 && trimmed.entries + live > trim.limit
            {
                break;
            }
            let is_whole = match trim.until {
                Until::Length(most) => length - live >= most,
                Until::Id(id) => cursor.next_back().is_none_or(|last| last.id < id),
            };
            if is_whole {
                trimmed.removed.0.extend(self.remove_block(first));
                self.counters.length -= live;
                trimmed.entries += live;
                continue;
            }
            if trim.precision == Precision::Exact && self.begins_before(trim.until) {
                trimmed.entries += self.trim_block(first, trim.until);
                return trimmed;
            }
            break;
        }
        if trimmed.entries > 0 || self.counters.length == 0 {
            self.find_first_id();
        }
        trimmed
    }

    /// Whether the first entry may not stay. If it may, a shared block need not be copied.
    fn begins_before(&self, until: Until) -> bool {
        match until {
            Until::Length(most) => self.counters.length > most,
            Until::Id(least) => self.first_entry().is_some_and(|entry| entry.id < least),
        }
    }

    /// Marks the oldest entries of the first block as deleted; returns how many.
    fn trim_block(&mut self, first: StreamId, until: Until) -> u64 {
        let length = self.counters.length;
        let keep = |id: StreamId, deleted: u64| match until {
            Until::Length(most) => length - deleted <= most,
            Until::Id(least) => id >= least,
        };
        let deleted = self.change_block(first, |pack| block::delete_first(pack, first, keep));
        let deleted = deleted.expect("the first block is there");
        self.counters.length -= deleted.entries;
        match deleted.first {
            Some(first) => self.counters.first_id = first,
            None => self.find_first_id(),
        }
        deleted.entries
    }
}
