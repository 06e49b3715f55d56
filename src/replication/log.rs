//! The log of writes: the exact bytes that replicas are sent, with their offsets; and beside them
//! the append only file, which gets what this node has done.
//!
//! Records are appended under the shard locks of what they changed, so the order of the log is a
//! valid serial order of the commands. While nobody reads it, the log is off and costs one load per
//! write.
//!
//! The two sinks are apart: only what goes to the backlog counts in offsets. A replica's backlog has
//! its master's bytes, its file the effects of what it applied.
//!
//! The backlog and the bytes pending for replicas share memory: a block is freed when it is neither
//! part of the backlog nor needed by any reader.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::batch::{Batch, Target, encode};
use super::file::{FileSink, RecordTime};
use crate::aof::Aof;

/// Bytes in one block of the backlog.
const BLOCK_BYTES: usize = 16 * 1024;
/// The list of blocks may have room for so many more than it needs.
const SPARE_BLOCKS: usize = 64;

/// The log with the backlog of its last bytes.
#[derive(Debug)]
pub(crate) struct Log {
    /// See [`Log::sinks`].
    sinks: AtomicU8,
    pub(super) file: OnceLock<Arc<Aof>>,
    /// Replicas wait for what the file has not released.
    pub(super) starved: AtomicBool,
    /// Bytes appended so far.
    offset: AtomicU64,
    pub(super) state: Mutex<LogState>,
}

#[derive(Debug)]
pub(super) struct LogState {
    ids: Ids,
    /// The database that a reader has selected.
    selected: Option<usize>,
    blocks: VecDeque<Vec<u8>>,
    /// Offset of the first byte of the first block.
    first: u64,
    /// Offset after the last byte.
    pub(super) end: u64,
    backlog_bytes_max: usize,
    readers: Vec<Reader>,
    next_reader: u64,
    pub(super) file: FileSink,
}

/// Who gets what is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sinks(u8);

impl Sinks {
    const BACKLOG: u8 = 1;
    pub(super) const FILE: u8 = 1 << 1;

    /// Whether the effects of what this node does are collected.
    #[inline]
    pub(crate) fn collect(self, is_replica: impl FnOnce() -> bool) -> bool {
        self.0 != 0 && (self.has_file() || !is_replica())
    }

    #[inline]
    pub(crate) fn has_backlog(self) -> bool {
        self.0 & Self::BACKLOG != 0
    }

    #[inline]
    pub(crate) fn has_file(self) -> bool {
        self.0 & Self::FILE != 0
    }
}

/// The histories that this log's bytes belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    /// 40 hexadecimal digits.
    pub(crate) id: String,
    /// The history before a role changed, and the offset up to which this one is the same.
    pub(crate) earlier: Option<(String, u64)>,
}

/// A replica's position in the log.
#[derive(Debug)]
struct Reader {
    key: u64,
    at: u64,
}

/// How a replica with a given history and offset continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resync {
    /// From its offset.
    Partial,
    /// It has another history.
    UnknownHistory,
    /// The history is the earlier one, but the replica has more of it than is shared.
    BeyondShared,
    /// The bytes it lacks are not in the backlog.
    OutsideBacklog,
}

/// What the backlog holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) bytes_max: usize,
    /// Offset of the first byte held.
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Bytes of memory.
    pub(crate) held_bytes: usize,
}

impl LogState {
    fn write(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.len() == BLOCK_BYTES) {
                self.trim();
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
            }
            let block = self.blocks.back_mut().expect("just pushed");
            let take = bytes.len().min(BLOCK_BYTES - block.len());
            block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
        }
    }

    /// Frees whole blocks that nobody needs: the rest still covers the backlog and all readers.
    fn trim(&mut self) {
        let backlog = self.end.saturating_sub(self.backlog_bytes_max as u64);
        let needed = self.readers.iter().map(|reader| reader.at).fold(backlog, u64::min);
        while self.blocks.len() > 1 && self.first + BLOCK_BYTES as u64 <= needed {
            self.blocks.pop_front();
            self.first += BLOCK_BYTES as u64;
        }
        let few = 2 * self.blocks.len();
        if self.blocks.capacity() > 2 * few + SPARE_BLOCKS {
            self.blocks.shrink_to(few);
        }
    }

    /// Bytes of memory.
    fn held_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES + self.blocks.capacity() * size_of::<Vec<u8>>()
    }

    /// Begins a backlog at an offset. It has its first block, so that the first write, which may come
    /// with memory at its limit, needs none.
    fn begin_at(&mut self, offset: u64) {
        self.empty_at(offset);
        self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
    }

    /// Restarts at an offset, holding nothing.
    fn empty_at(&mut self, offset: u64) {
        self.blocks = VecDeque::new();
        (self.first, self.end) = (offset, offset);
        self.selected = None;
        self.file.forget_boundaries();
    }

    /// Copies up to `bytes_max` bytes from `at` on.
    fn copy(&self, at: u64, bytes_max: usize, into: &mut Vec<u8>) {
        let mut skip = usize::try_from(at - self.first).expect("the backlog fits memory");
        let mut left = bytes_max;
        let block = skip / BLOCK_BYTES;
        skip %= BLOCK_BYTES;
        for block in self.blocks.iter().skip(block) {
            let take = (block.len() - skip).min(left);
            into.extend_from_slice(&block[skip..skip + take]);
            left -= take;
            skip = 0;
            if left == 0 {
                break;
            }
        }
    }
}

impl Log {
    /// An empty log that is off.
    pub(crate) fn new(id: String) -> Self {
        Self {
            sinks: AtomicU8::new(0),
            file: OnceLock::new(),
            starved: AtomicBool::new(false),
            offset: AtomicU64::new(0),
            state: Mutex::new(LogState {
                ids: Ids { id, earlier: None },
                selected: None,
                blocks: VecDeque::new(),
                first: 0,
                end: 0,
                backlog_bytes_max: 0,
                readers: Vec::new(),
                next_reader: 0,
                file: FileSink::default(),
            }),
        }
    }

    pub(crate) fn ids(&self) -> Ids {
        self.state.lock().ids.clone()
    }

    /// Bytes appended so far.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Who gets what is appended. Changes under all the shard locks.
    #[inline]
    pub(crate) fn sinks(&self) -> Sinks {
        Sinks(self.sinks.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn has_backlog(&self) -> bool {
        self.sinks().has_backlog()
    }

    pub(super) fn set_sink(&self, sink: u8, on: bool) {
        if on {
            self.sinks.fetch_or(sink, Ordering::Relaxed);
        } else {
            self.sinks.fetch_and(!sink, Ordering::Relaxed);
        }
    }

    /// Starts the backlog, which keeps at least the last `backlog_bytes_max` bytes. Called under all the
    /// shard locks, so that no write is split.
    pub(crate) fn start(&self, backlog_bytes_max: usize) {
        let mut state = self.state.lock();
        if self.has_backlog() {
            return;
        }
        state.backlog_bytes_max = backlog_bytes_max;
        let offset = state.end;
        state.begin_at(offset);
        self.set_sink(Sinks::BACKLOG, true);
    }

    /// Ends and frees the backlog. Later writes belong to another history, so the caller
    /// passes a new id. Called under all the shard locks.
    pub(crate) fn stop(&self, new_id: String) {
        let mut state = self.state.lock();
        let offset = state.end;
        state.empty_at(offset);
        state.ids = Ids { id: new_id, earlier: None };
        self.set_sink(Sinks::BACKLOG, false);
    }

    /// Begins another history at the current offset. Called under all the shard locks.
    pub(crate) fn begin_history(&self, id: String) {
        self.state.lock().ids = Ids { id, earlier: None };
    }

    /// Begins another history that shares all bytes so far with the last one: on a promotion, or
    /// when the master announces one. Called under all the shard locks.
    pub(crate) fn continue_history(&self, id: String) {
        let mut state = self.state.lock();
        let offset = state.end;
        let earlier = std::mem::replace(&mut state.ids.id, id);
        state.ids.earlier = Some((earlier, offset));
        // Their replicas are being disconnected, and know the earlier id alone. Bytes from here on
        // would be of the new history, and make a full resync of each.
        state.readers.clear();
    }

    /// Takes over a history at an offset, after a full resync or from a file, with an empty
    /// backlog. Called under all the shard locks.
    pub(crate) fn adopt(&self, ids: Ids, offset: u64, backlog_bytes_max: usize) {
        let mut state = self.state.lock();
        state.ids = ids;
        state.backlog_bytes_max = backlog_bytes_max;
        state.begin_at(offset);
        // The bytes they lack are of the other history, even if an offset fits.
        state.readers.clear();
        self.offset.store(offset, Ordering::Release);
        self.set_sink(Sinks::BACKLOG, true);
    }

    /// Makes the next record select its database, whatever was selected before.
    pub(crate) fn forget_selected(&self) {
        self.state.lock().selected = None;
    }

    /// The database that the last record selected.
    pub(crate) fn selected(&self) -> Option<usize> {
        self.state.lock().selected
    }

    /// Sets the database that readers have selected, if it came with the data.
    pub(crate) fn set_selected(&self, database: Option<usize>) {
        self.state.lock().selected = database;
    }

    /// Keeps at least the last `backlog_bytes_max` bytes from now on.
    pub(crate) fn resize(&self, backlog_bytes_max: usize) {
        let mut state = self.state.lock();
        state.backlog_bytes_max = backlog_bytes_max;
        state.trim();
    }

    /// Appends records as one unit: several stand between MULTI and EXEC. On a replica they are for
    /// the file alone. `now` is asked for the file.
    pub(crate) fn append(&self, batch: &Batch, is_replica: bool, now: impl FnOnce() -> RecordTime) {
        let mut state = self.state.lock();
        let (sinks, from) = (self.sinks(), state.end);
        if sinks.has_backlog() && !is_replica {
            let mut selected = state.selected;
            batch.write(Target::Replicas, &mut selected, |bytes| state.write(bytes));
            state.selected = selected;
            self.offset.store(state.end, Ordering::Release);
        }
        if let Some(file) = self.file_if_on(sinks) {
            state.file.append(file, batch, now());
            if state.end > from {
                state.file.hold_back(file, from);
            }
        }
    }

    /// Appends a command that concerns no database: a PING, a GETACK.
    pub(crate) fn append_bare(&self, args: &[&[u8]]) {
        let mut bytes = Vec::new();
        encode(&mut bytes, args.iter().copied());
        let mut state = self.state.lock();
        state.write(&bytes);
        self.offset.store(state.end, Ordering::Release);
    }

    /// Appends bytes from a master, which left `selected` selected.
    pub(crate) fn append_verbatim(&self, bytes: &[u8], selected: usize) {
        let mut state = self.state.lock();
        let from = state.end;
        state.selected = Some(selected);
        state.write(bytes);
        self.offset.store(state.end, Ordering::Release);
        if let Some(file) = self.file_if_on(self.sinks()) {
            state.file.hold_back(file, from);
        }
    }

    /// How a replica with the first `have` bytes of history `id` continues.
    pub(crate) fn resync(&self, id: &[u8], have: u64) -> Resync {
        let state = self.state.lock();
        let same = id.eq_ignore_ascii_case(state.ids.id.as_bytes());
        let earlier = state.ids.earlier.as_ref().filter(|(known, _)| known.as_bytes() == id);
        match earlier {
            _ if same => {}
            None => return Resync::UnknownHistory,
            Some((_, shared)) if have > *shared => return Resync::BeyondShared,
            Some(_) => {}
        }
        if self.has_backlog() && (state.first..=state.end).contains(&have) {
            Resync::Partial
        } else {
            Resync::OutsideBacklog
        }
    }

    /// Adds a reader at an offset: later bytes are kept until it has read them. `None` if the bytes
    /// are not held.
    pub(crate) fn attach(&self, at: u64) -> Option<u64> {
        let mut state = self.state.lock();
        if !self.has_backlog() || !(state.first..=state.end).contains(&at) {
            return None;
        }
        state.next_reader += 1;
        let key = state.next_reader;
        state.readers.push(Reader { key, at });
        Some(key)
    }

    pub(crate) fn detach(&self, reader: u64) {
        let mut state = self.state.lock();
        state.readers.retain(|other| other.key != reader);
        state.trim();
    }

    /// Appends a reader's next bytes to `into`, at most `bytes_max` and up to [`Log::feedable`];
    /// returns its new offset. `None`
    /// if the log was restarted and has lost its position.
    pub(crate) fn read(&self, reader: u64, bytes_max: usize, into: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.state.lock();
        let index = state.readers.iter().position(|other| other.key == reader)?;
        let at = state.readers[index].at;
        if !(state.first..=state.end).contains(&at) {
            return None;
        }
        let before = into.len();
        let (end, file) = (state.end, self.file.get());
        let held_back = state.file.feedable(file, end, &self.starved).saturating_sub(at);
        let bytes_max = bytes_max.min(usize::try_from(held_back).unwrap_or(usize::MAX));
        state.copy(at, bytes_max, into);
        let at = at + (into.len() - before) as u64;
        state.readers[index].at = at;
        Some(at)
    }

    /// The bytes from `offset` on, or `None` when they are not held (any more).
    #[cfg(test)]
    pub(crate) fn bytes_from(&self, offset: u64) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let mut bytes = Vec::new();
        (state.first..=state.end).contains(&offset).then(|| {
            state.copy(offset, usize::MAX, &mut bytes);
            bytes
        })
    }

    pub(crate) fn window(&self) -> Window {
        let state = self.state.lock();
        Window {
            bytes_max: state.backlog_bytes_max,
            first: state.first,
            end: state.end,
            held_bytes: state.held_bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
