//! The log of writes: the exact bytes that replicas are sent, with their offsets.
//!
//! Records are appended under the shard locks of what they changed, so the order of the log is a
//! valid serial order of the commands. While nobody reads it, the log is off and costs one load per
//! write.
//!
//! The backlog and the bytes pending for replicas share memory: a block is freed when it is neither
//! part of the backlog nor needed by any reader.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Bytes in one block of the backlog.
const BLOCK_BYTES: usize = 64 * 1024;

/// The log with the backlog of its last bytes.
#[derive(Debug)]
pub(crate) struct Log {
    recording: AtomicBool,
    /// Bytes appended so far.
    offset: AtomicU64,
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    ids: Ids,
    /// The database that a reader has selected.
    selected: Option<usize>,
    blocks: VecDeque<Vec<u8>>,
    /// Offset of the first byte of the first block.
    first: u64,
    /// Offset after the last byte.
    end: u64,
    backlog_bytes_max: usize,
    readers: Vec<Reader>,
    next_reader: u64,
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
        // Do not keep the memory of one huge command.
        self.bytes.shrink_to(1 << 20);
    }
}

fn encode<'a>(into: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let line = |mark: u8, len: usize, into: &mut Vec<u8>| {
        into.push(mark);
        // Most lengths are one digit.
        match u8::try_from(len) {
            Ok(digit @ 0..10) => into.push(b'0' + digit),
            _ => write!(into, "{len}").expect("writing to memory"),
        }
        into.extend_from_slice(b"\r\n");
    };
    line(b'*', args.len(), into);
    for arg in args {
        line(b'$', arg.len(), into);
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
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
    }

    fn select(&mut self, database: usize) {
        if self.selected != Some(database) {
            self.selected = Some(database);
            let mut bytes = Vec::new();
            let index = database.to_string();
            encode(&mut bytes, [&b"SELECT"[..], index.as_bytes()].into_iter());
            self.write(&bytes);
        }
    }

    /// Restarts at an offset, holding nothing.
    fn empty_at(&mut self, offset: u64) {
        self.blocks.clear();
        (self.first, self.end) = (offset, offset);
        self.selected = None;
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
            recording: AtomicBool::new(false),
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

    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    /// Starts recording, keeping at least the last `backlog_bytes_max` bytes. Called under all the
    /// shard locks, so that no write is split.
    pub(crate) fn start(&self, backlog_bytes_max: usize) {
        let mut state = self.state.lock();
        if self.is_recording() {
            return;
        }
        state.backlog_bytes_max = backlog_bytes_max;
        let offset = state.end;
        state.empty_at(offset);
        self.recording.store(true, Ordering::Relaxed);
    }

    /// Stops recording and frees the backlog. Later writes belong to another history, so the caller
    /// passes a new id. Called under all the shard locks.
    pub(crate) fn stop(&self, new_id: String) {
        let mut state = self.state.lock();
        let offset = state.end;
        state.empty_at(offset);
        state.ids = Ids { id: new_id, earlier: None };
        self.recording.store(false, Ordering::Relaxed);
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
        state.empty_at(offset);
        // The bytes they lack are of the other history, even if an offset fits.
        state.readers.clear();
        self.offset.store(offset, Ordering::Release);
        self.recording.store(true, Ordering::Relaxed);
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

    /// Appends records as one unit: several stand between MULTI and EXEC.
    pub(crate) fn append(&self, batch: &Batch) {
        let mut state = self.state.lock();
        let unit = batch.records.len() > 1;
        let mut rest = batch.bytes.as_slice();
        for (index, &(database, len)) in batch.records.iter().enumerate() {
            state.select(database);
            if unit && index == 0 {
                state.write(MULTI);
            }
            let (record, after) = rest.split_at(len);
            state.write(record);
            rest = after;
        }
        if unit {
            state.write(EXEC);
        }
        self.offset.store(state.end, Ordering::Release);
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
        state.selected = Some(selected);
        state.write(bytes);
        self.offset.store(state.end, Ordering::Release);
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
        if self.is_recording() && (state.first..=state.end).contains(&have) {
            Resync::Partial
        } else {
            Resync::OutsideBacklog
        }
    }

    /// Adds a reader at an offset: later bytes are kept until it has read them. `None` if the bytes
    /// are not held.
    pub(crate) fn attach(&self, at: u64) -> Option<u64> {
        let mut state = self.state.lock();
        if !self.is_recording() || !(state.first..=state.end).contains(&at) {
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

    /// Appends a reader's next bytes to `into`, at most `bytes_max`; returns its new offset. `None`
    /// if the log was restarted and has lost its position.
    pub(crate) fn read(&self, reader: u64, bytes_max: usize, into: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.state.lock();
        let index = state.readers.iter().position(|other| other.key == reader)?;
        let at = state.readers[index].at;
        if !(state.first..=state.end).contains(&at) {
            return None;
        }
        let before = into.len();
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
            held_bytes: state.blocks.iter().map(Vec::capacity).sum(),
        }
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

    fn id(digit: &str) -> String {
        digit.repeat(40)
    }

    #[test]
    fn every_byte_counts_towards_the_offset() {
        let log = Log::new(id("0"));
        log.start(1 << 20);
        log.append(&batch(&[(0, &[b"SET", b"a", b"1"])]));
        log.append(&batch(&[(0, &[b"DEL", b"a"]), (3, &[b"SET", b"b", b"2"])]));
        log.append_bare(&[b"PING"]);
        let bytes = log.bytes_from(0).expect("in the backlog");
        let expected =
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n\
            *1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n\
            *3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(bytes, expected);
        assert_eq!(log.offset(), expected.len() as u64);
    }

    #[test]
    fn lengths_of_several_digits_are_written_whole() {
        let log = Log::new(id("0"));
        log.start(1 << 20);
        log.append_bare(&[&[b'x'; 12], b""]);
        let expected = b"*2\r\n$12\r\nxxxxxxxxxxxx\r\n$0\r\n\r\n";
        assert_eq!(log.bytes_from(0).expect("in the backlog"), expected);
    }

    #[test]
    fn the_backlog_keeps_at_least_what_was_asked_for() {
        let log = Log::new(id("0"));
        log.start(100_000);
        let value = vec![b'v'; 10_000];
        for _ in 0..100 {
            log.append(&batch(&[(0, &[b"SET", b"a", &value])]));
        }
        assert!(log.bytes_from(0).is_none());
        assert!(log.bytes_from(log.offset() - 100_000).is_some());
        assert_eq!(log.bytes_from(log.offset()), Some(Vec::new()));
        assert!(log.bytes_from(log.offset() + 1).is_none());
        let held = log.window();
        assert!(held.held_bytes < 100_000 + 3 * BLOCK_BYTES, "{held:?}");
    }

    #[test]
    fn what_a_reader_lacks_is_kept_until_it_has_read_it() {
        let log = Log::new(id("0"));
        log.start(1);
        let reader = log.attach(0).expect("nothing is written yet");
        let value = vec![b'v'; 50_000];
        for _ in 0..10 {
            log.append(&batch(&[(0, &[b"SET", b"a", &value])]));
        }
        let (mut read, end) = (Vec::new(), log.offset());
        while (read.len() as u64) < end {
            let at = log.read(reader, 30_000, &mut read).expect("its place is kept");
            assert_eq!(at, read.len() as u64);
        }
        assert!(read.ends_with(b"\r\n"));
        log.detach(reader);
        assert!(log.window().first > 0, "with the last reader gone, the rest goes");
    }

    #[test]
    fn partial_resync_ends_where_the_backlog_or_the_shared_history_ends() {
        let log = Log::new(id("a"));
        log.start(1 << 20);
        log.append_bare(&[b"PING"]);
        assert_eq!(log.resync(id("a").as_bytes(), 14), Resync::Partial);
        assert_eq!(log.resync(id("a").as_bytes(), 15), Resync::OutsideBacklog);
        assert_eq!(log.resync(id("b").as_bytes(), 14), Resync::UnknownHistory);
        log.continue_history(id("b"));
        log.append_bare(&[b"PING"]);
        assert_eq!(log.resync(id("a").as_bytes(), 14), Resync::Partial);
        assert_eq!(log.resync(id("a").as_bytes(), 15), Resync::BeyondShared);
        assert_eq!(log.resync(id("b").as_bytes(), 28), Resync::Partial);
        log.stop(id("c"));
        assert_eq!(log.resync(id("b").as_bytes(), 28), Resync::UnknownHistory);
        assert_eq!(log.resync(id("c").as_bytes(), 28), Resync::OutsideBacklog);
    }

    #[test]
    fn a_reader_of_the_earlier_id_gets_nothing_of_the_later_one() {
        let log = Log::new(id("a"));
        log.start(1 << 20);
        let earlier = log.attach(0).expect("nothing is written yet");
        log.continue_history(id("b"));
        let later = log.attach(0).expect("nothing is written yet");
        log.append_bare(&[b"PING"]);
        assert_eq!(log.read(earlier, 100, &mut Vec::new()), None);
        assert_eq!(log.read(later, 100, &mut Vec::new()), Some(14));
    }

    #[test]
    fn a_log_begun_anew_loses_its_readers_places() {
        let log = Log::new(id("a"));
        log.start(1 << 20);
        let reader = log.attach(0).expect("nothing is written yet");
        log.adopt(Ids { id: id("b"), earlier: None }, 500, 1 << 20);
        assert_eq!(log.read(reader, 10, &mut Vec::new()), None);
        assert_eq!((log.offset(), log.window().first), (500, 500));
    }
}
