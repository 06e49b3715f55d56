//! The log of writes: what a replica is sent, byte for byte, with its offsets.
//!
//! Records are appended under the shard locks of what they changed, so the order of the log is an
//! order in which the commands could have run one by one. While nobody reads it, the log is off
//! and costs one load per write.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Bytes in one block of the backlog.
const BLOCK_BYTES: usize = 64 * 1024;

/// The log with the backlog of its last bytes.
#[derive(Debug)]
pub(crate) struct Log {
    /// Identifies the history that offsets count: 40 hexadecimal digits.
    id: Mutex<String>,
    recording: AtomicBool,
    /// Bytes appended so far; counts from 0.
    offset: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The database that a reader has selected.
    selected: Option<usize>,
    blocks: VecDeque<Vec<u8>>,
    /// Offset of the first byte of the first block.
    first: u64,
    backlog_bytes_max: usize,
}

/// Records to append as one unit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Encoded commands, each with its database and length in bytes.
    records: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a command in a database.
    pub(crate) fn push<'a>(
        &mut self,
        database: usize,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        let before = self.bytes.len();
        encode(&mut self.bytes, args);
        self.records.push((database, self.bytes.len() - before));
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }
}

fn encode<'a>(into: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    write!(into, "*{}\r\n", args.len()).expect("writing to memory");
    for arg in args {
        write!(into, "${}\r\n", arg.len()).expect("writing to memory");
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
}

impl State {
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.len() == BLOCK_BYTES) {
                self.blocks.push_back(Vec::with_capacity(BLOCK_BYTES));
            }
            let block = self.blocks.back_mut().expect("just pushed");
            let take = bytes.len().min(BLOCK_BYTES - block.len());
            block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
        }
        // Whole blocks go when the rest still covers what the backlog must hold.
        let held = |blocks: &VecDeque<Vec<u8>>| blocks.iter().map(Vec::len).sum::<usize>();
        while self.blocks.len() > 1 && held(&self.blocks) - BLOCK_BYTES >= self.backlog_bytes_max {
            self.blocks.pop_front();
            self.first += BLOCK_BYTES as u64;
        }
    }

    fn select(&mut self, database: usize) -> usize {
        if self.selected == Some(database) {
            return 0;
        }
        self.selected = Some(database);
        let mut bytes = Vec::new();
        let index = database.to_string();
        encode(&mut bytes, [&b"SELECT"[..], index.as_bytes()].into_iter());
        self.write(&bytes);
        bytes.len()
    }
}

impl Log {
    /// An empty log that is off.
    pub(crate) fn new(id: String) -> Self {
        Self {
            id: Mutex::new(id),
            recording: AtomicBool::new(false),
            offset: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> String {
        self.id.lock().clone()
    }

    /// Begins another history at the offset there is. Called under all the shard locks.
    pub(crate) fn change_id(&self, id: String) {
        *self.id.lock() = id;
    }

    /// Bytes appended so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    /// Begins to record, keeping at least the last `backlog_bytes_max` bytes. Called under all
    /// the shard locks, so that no write is cut in two.
    #[cfg_attr(not(test), allow(dead_code, reason = "replicas, which come next, read the log"))]
    pub(crate) fn start(&self, backlog_bytes_max: usize) {
        let mut state = self.state.lock();
        state.backlog_bytes_max = backlog_bytes_max;
        state.first = self.offset();
        self.recording.store(true, Ordering::Relaxed);
    }

    /// Keeps at least the last `backlog_bytes_max` bytes from now on.
    pub(crate) fn resize(&self, backlog_bytes_max: usize) {
        self.state.lock().backlog_bytes_max = backlog_bytes_max;
    }

    /// Appends records as one unit: several stand between MULTI and EXEC.
    pub(crate) fn append(&self, batch: &Batch) {
        let mut state = self.state.lock();
        let mut written = 0;
        let unit = batch.records.len() > 1;
        let mut rest = batch.bytes.as_slice();
        for (index, &(database, len)) in batch.records.iter().enumerate() {
            written += state.select(database);
            if unit && index == 0 {
                written += MULTI.len();
                state.write(MULTI);
            }
            let (record, after) = rest.split_at(len);
            state.write(record);
            written += len;
            rest = after;
        }
        if unit {
            state.write(EXEC);
            written += EXEC.len();
        }
        self.offset.fetch_add(written as u64, Ordering::Release);
    }

    /// The bytes from `offset` on, or `None` when the backlog does not hold them (any more).
    #[cfg_attr(not(test), allow(dead_code, reason = "replicas, which come next, read the log"))]
    pub(crate) fn read(&self, offset: u64) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let skip = usize::try_from(offset.checked_sub(state.first)?).ok()?;
        let held: usize = state.blocks.iter().map(Vec::len).sum();
        (skip <= held).then(|| state.blocks.iter().flatten().skip(skip).copied().collect())
    }
}

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: &[(usize, &[&[u8]])]) -> Batch {
        let mut batch = Batch::default();
        for (database, args) in records {
            batch.push(*database, args.iter().copied());
        }
        batch
    }

    #[test]
    fn every_byte_counts_towards_the_offset() {
        let log = Log::new("0".repeat(40));
        log.start(1 << 20);
        log.append(&batch(&[(0, &[b"SET", b"a", b"1"])]));
        log.append(&batch(&[(0, &[b"DEL", b"a"]), (3, &[b"SET", b"b", b"2"])]));
        let bytes = log.read(0).expect("in the backlog");
        let expected =
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
            *1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n\
            *3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n";
        assert_eq!(bytes, expected);
        assert_eq!(log.offset(), expected.len() as u64);
    }

    #[test]
    fn the_backlog_keeps_at_least_what_was_asked_for() {
        let log = Log::new("0".repeat(40));
        log.start(100_000);
        let value = vec![b'v'; 10_000];
        for _ in 0..100 {
            log.append(&batch(&[(0, &[b"SET", b"a", &value])]));
        }
        assert!(log.read(0).is_none());
        assert!(log.read(log.offset() - 100_000).is_some());
        assert_eq!(log.read(log.offset()), Some(Vec::new()));
        assert!(log.read(log.offset() + 1).is_none());
    }
}
