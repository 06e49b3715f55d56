//! Streams: entries by id, and the groups that read them. Knows no keys, clients or commands; times
//! are given by the caller.
//!
//! Entries stand in blocks, which are Redis's listpacks to the byte ([`block`]). All blocks but the
//! last are sealed: of exact size, in an [`OrderedMap`] by the id that each begins with. The last
//! one, the tail, stands beside the map, so that an append finds it at once. The nodes of all maps
//! and the tail are shared with clones until they are written; a node of the map of blocks is copied
//! with its few blocks, unless these are large.

use std::sync::Arc;

use super::Freed;
use super::buffer::Buffer;
use super::listpack::Listpack;

mod block;
mod build;
mod check;
mod counters;
mod entries;
mod groups;
mod id;
mod memory;
mod ordered;
mod radix;
mod trim;

pub(crate) use block::{Block, Entry};
pub(crate) use build::{GroupBuilder, Refusal, StreamBuilder};
pub(crate) use counters::Counters;
pub(crate) use groups::{Consumer, ConsumerNumber, Group, Groups, Pending};
pub(crate) use id::{IdError, NewId, StreamId, parse_end, parse_start};
use memory::Budget;
use ordered::OrderedMap;
pub(crate) use trim::{Precision, Removed, Trim, Until};

/// No block, and no entry, may be longer, in bytes.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// A stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    sealed: OrderedMap<StreamId, Block>,
    /// Bytes allocated for the sealed blocks.
    sealed_bytes: usize,
    /// The last block, if there is any.
    tail: Option<Arc<Tail>>,
    counters: Counters,
    groups: Groups,
}

/// The block that is appended to.
#[derive(Clone, Debug)]
struct Tail {
    first: StreamId,
    pack: Vec<u8>,
}

/// When a block is full: the settings `stream-node-max-bytes` and `stream-node-max-entries`, either
/// 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockLimits {
    pub(crate) bytes: usize,
    /// Deleted entries count.
    pub(crate) entries: u64,
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The id is 0-0, which Redis refuses before it looks at the key.
    Zero,
    /// The last id has been used.
    Exhausted,
    /// The id does not come after the last one.
    NotGreater,
    /// Fields and values are too long.
    TooLarge,
}

impl AppendError {
    /// The reply, without `-ERR `.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Zero => "The ID specified in XADD must be greater than 0-0",
            Self::Exhausted => {
                "The stream has exhausted the last possible ID, unable to add more items"
            }
            Self::NotGreater => {
                "The ID specified in XADD is equal or smaller than the target stream top item"
            }
            Self::TooLarge => "Elements are too large to be stored",
        }
    }
}

impl Stream {
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Entries that are not deleted.
    pub(crate) fn len(&self) -> u64 {
        self.counters.length
    }

    pub(crate) fn last_id(&self) -> StreamId {
        self.counters.last_id
    }

    /// Sets what XSETID sets. The caller checked that no entry has a greater id than the new last
    /// one.
    pub(crate) fn set_last_id(&mut self, id: StreamId) {
        self.counters.last_id = id;
    }

    /// See [`set_last_id`](Self::set_last_id).
    pub(crate) fn set_entries_added(&mut self, entries: u64) {
        self.counters.entries_added = entries;
    }

    /// See [`set_last_id`](Self::set_last_id).
    pub(crate) fn set_max_deleted_id(&mut self, id: StreamId) {
        self.counters.max_deleted_id = id;
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn groups_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }

    /// The id that an entry would get now.
    pub(crate) fn new_id(&self, wanted: NewId, now_ms: u64) -> Result<StreamId, AppendError> {
        if wanted == NewId::Exact(StreamId::MIN) {
            return Err(AppendError::Zero);
        }
        let last = self.counters.last_id;
        let next = last.successor().ok_or(AppendError::Exhausted)?;
        let id = match wanted {
            NewId::Auto if now_ms > last.ms => StreamId::new(now_ms, 0),
            NewId::Auto => next,
            NewId::AutoSequence(ms) if ms == last.ms => next,
            NewId::AutoSequence(ms) => StreamId::new(ms, 0),
            NewId::Exact(id) => id,
        };
        let leaves_ms = matches!(wanted, NewId::AutoSequence(ms) if ms != id.ms);
        if id <= last || leaves_ms { Err(AppendError::NotGreater) } else { Ok(id) }
    }

    /// Appends an entry of one or more fields.
    pub(crate) fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        limits: BlockLimits,
    ) -> Result<(), AppendError> {
        if id <= self.counters.last_id {
            return Err(AppendError::NotGreater);
        }
        let bytes: usize = fields.clone().map(|(field, value)| field.len() + value.len()).sum();
        if bytes > BLOCK_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        if self.tail.as_ref().is_some_and(|tail| tail.is_full(bytes, limits)) {
            self.seal_tail();
        }
        match &mut self.tail {
            Some(tail) => {
                let tail = Arc::make_mut(tail);
                block::append(&mut tail.pack, tail.first, id, fields);
            }
            None => self.tail = Some(Arc::new(Tail { first: id, pack: block::begin(fields) })),
        }
        let counters = &mut self.counters;
        counters.length += 1;
        // A file may have claimed any number.
        counters.entries_added = counters.entries_added.wrapping_add(1);
        counters.last_id = id;
        if counters.length == 1 {
            counters.first_id = id;
        }
        Ok(())
    }

    fn seal_tail(&mut self) {
        let Some(tail) = self.tail.take() else { return };
        let Tail { first, pack } = Arc::unwrap_or_clone(tail);
        let block = Block::seal(pack);
        self.sealed_bytes += block.allocated_bytes();
        self.sealed.insert(first, block);
    }

    // Blocks.

    /// Blocks, which XINFO calls keys of the radix tree.
    pub(crate) fn blocks_len(&self) -> usize {
        self.sealed.len() + usize::from(self.tail.is_some())
    }

    /// All blocks with their first ids, as RDB stores them.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        let sealed = self.sealed.iter().map(|(first, block)| (*first, block.pack().as_bytes()));
        sealed.chain(self.tail.iter().map(|tail| (tail.first, &tail.pack[..])))
    }

    /// Nodes that Redis's radix tree would have for these blocks. Walks them all, though not their
    /// entries.
    pub(crate) fn radix_nodes(&self) -> usize {
        let mut count = radix::NodeCount::default();
        self.sealed.each_key(|first| count.add(first.bits()));
        self.tail.iter().for_each(|tail| count.add(tail.first.bits()));
        count.finish()
    }

    fn first_block(&self) -> Option<(StreamId, Listpack<'_>)> {
        self.block_from(StreamId::MIN)
    }

    /// The first block that begins with this id or a greater one.
    fn block_from(&self, id: StreamId) -> Option<(StreamId, Listpack<'_>)> {
        let sealed = self.sealed.ascend(&id).next();
        let sealed = sealed.map(|(first, block)| (*first, block.pack()));
        sealed.or_else(|| self.tail_view().filter(|(first, _)| *first >= id))
    }

    /// The last block that begins with this id or a smaller one.
    fn block_up_to(&self, id: StreamId) -> Option<(StreamId, Listpack<'_>)> {
        let tail = self.tail_view().filter(|(first, _)| *first <= id);
        let sealed = || self.sealed.descend(&id).next();
        tail.or_else(|| sealed().map(|(first, block)| (*first, block.pack())))
    }

    fn tail_view(&self) -> Option<(StreamId, Listpack<'_>)> {
        self.tail.as_deref().map(|tail| (tail.first, Listpack::new(&tail.pack)))
    }

    /// Changes the block that begins with this id.
    fn change_block<R>(
        &mut self,
        first: StreamId,
        change: impl FnOnce(&mut dyn Buffer) -> R,
    ) -> Option<R> {
        match &mut self.tail {
            Some(tail) if tail.first == first => Some(change(&mut Arc::make_mut(tail).pack)),
            _ => {
                let sealed_bytes = &mut self.sealed_bytes;
                self.sealed.update(&first, |block| {
                    *sealed_bytes -= block.allocated_bytes();
                    let outcome = change(block.buffer());
                    *sealed_bytes += block.allocated_bytes();
                    outcome
                })
            }
        }
    }

    /// Removes the block that begins with this id; returns it for the caller to free.
    fn remove_block(&mut self, first: StreamId) -> Option<Block> {
        if let Some(tail) = self.tail.take_if(|tail| tail.first == first) {
            // What is now the last block is appended to, as it is in Redis.
            if let Some((first, block)) = self.sealed.pop_last() {
                self.sealed_bytes -= block.allocated_bytes();
                self.tail = Some(Arc::new(Tail { first, pack: block.unseal() }));
            }
            return Some(Block::seal(Arc::unwrap_or_clone(tail).pack));
        }
        let block = self.sealed.remove(&first)?;
        self.sealed_bytes -= block.allocated_bytes();
        Some(block)
    }

    // Memory.

    /// Bytes allocated for the stream besides itself, those shared with clones included.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let tail = self.tail.as_ref();
        let tail = tail.map_or(0, |tail| memory::shared::<Tail>() + memory::vector(&tail.pack));
        self.sealed.node_bytes() + self.sealed_bytes + tail + self.groups.allocated_bytes()
    }

    /// Frees part of the stream, at most about `most`; nothing at the end. The rest can only be
    /// freed as well.
    pub(crate) fn free_some(&mut self, most: Freed) -> Freed {
        let mut budget = Budget::new(most);
        if let Some(tail) = self.tail.take() {
            let bytes = memory::shared::<Tail>() + memory::vector(&tail.pack);
            let is_shared = Arc::strong_count(&tail) > 1;
            budget.count(Freed { bytes: if is_shared { 0 } else { bytes }, objects: 2 });
        }
        if budget.exhaust(|most| self.sealed.free_some(most)) {
            budget.exhaust(|most| self.groups.free_some(most));
        }
        budget.freed()
    }
}

impl Tail {
    /// Whether an entry of so many bytes goes to the next block.
    fn is_full(&self, entry_bytes: usize, limits: BlockLimits) -> bool {
        let bytes_max = match limits.bytes {
            1..BLOCK_BYTES_MAX => limits.bytes,
            _ => BLOCK_BYTES_MAX,
        };
        if self.pack.len() + entry_bytes >= bytes_max {
            return true;
        }
        let entries = || block::Master::entries(Listpack::new(&self.pack));
        limits.entries > 0 && entries() >= limits.entries
    }
}

#[cfg(test)]
mod against_redis;
#[cfg(test)]
mod tests;
