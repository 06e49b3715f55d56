//! Buffers a full resync's RDB bytes between their producer and their senders.
//!
//! One snapshot serves all the replicas that waited for it, each at its own pace. The newest bytes
//! stay in memory, up to a bound; older unread ones go to a file that the outer layer provides, so
//! that a slow receiver, or one that needs to know the length first, costs disk rather than memory.
//!
//! A disk may stall for seconds, and a sender must not. So the producer writes the file and a
//! dedicated thread reads it ([`Spool::fetch_when_due`]), both without the lock under which readers
//! get bytes.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

/// Bytes read from the file at once, and the most that wait in memory for one reader.
const FETCH_BYTES: usize = 256 * 1024;
const FETCHED_BYTES_MAX: usize = 1 << 20;

/// Storage for bytes beyond the memory bound: normally an unnamed file.
pub(crate) trait Overflow: Send + Sync + fmt::Debug {
    /// Writes at a position of the stream; skipped positions are never read.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `into` from a position of the stream.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Opens an [`Overflow`] when it is needed.
pub(crate) type OpenOverflow = Box<dyn Fn() -> io::Result<Box<dyn Overflow>> + Send + Sync>;

/// The bytes and the readers' positions.
pub(crate) struct Spool {
    memory_bytes_max: usize,
    open: OpenOverflow,
    state: Mutex<SpoolState>,
    /// Something may be due for [`Spool::fetch_when_due`].
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SpoolState {
    /// The newest bytes.
    chunks: VecDeque<Bytes>,
    /// Position of the first byte of the first chunk. Earlier bytes were read by all or are in the
    /// overflow.
    first: u64,
    /// Position after the last byte.
    end: u64,
    overflow: Option<Arc<dyn Overflow>>,
    readers: Vec<Option<Reader>>,
    ended: Option<Result<(), String>>,
}

#[derive(Debug, Default)]
struct Reader {
    at: u64,
    /// Its next bytes, fetched from the overflow.
    fetched: VecDeque<Bytes>,
    fetched_bytes: usize,
    failed: Option<String>,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Bytes were appended.
    Bytes,
    /// Nothing yet.
    Later,
    /// Everything was read.
    Done,
    /// The RDB will never be complete.
    Failed(String),
}

/// Where the written bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    InMemory,
    /// Some went to the overflow, for the first time: call [`Spool::fetch_when_due`] from now on,
    /// until it returns false.
    Overflowed,
    /// Some went there before.
    WithOverflow,
}

/// Bytes to fetch from the overflow for a reader.
struct Fetch {
    reader: usize,
    at: u64,
    len: usize,
    overflow: Arc<dyn Overflow>,
}

impl Spool {
    /// Empty; holds at most about `memory_bytes_max` bytes in memory, and some for each reader.
    pub(crate) fn new(memory_bytes_max: usize, open: OpenOverflow) -> Self {
        Self { memory_bytes_max, open, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a reader at the start. All readers are added before the first byte.
    pub(crate) fn attach(&self) -> usize {
        let mut state = self.state.lock();
        state.readers.push(Some(Reader::default()));
        state.readers.len() - 1
    }

    /// Removes a reader.
    pub(crate) fn detach(&self, reader: usize) {
        let mut state = self.state.lock();
        state.readers[reader] = None;
        state.trim();
        drop(state);
        self.changed.notify_all();
    }

    /// Whether anybody still reads.
    pub(crate) fn is_read(&self) -> bool {
        self.state.lock().is_read()
    }

    /// Adds bytes, and calls `added` once readers can get them: before it moves the excess to the
    /// overflow, which blocks.
    ///
    /// # Errors
    /// When the overflow fails.
    pub(crate) fn write(&self, bytes: Bytes, added: impl FnOnce()) -> io::Result<Written> {
        let mut state = self.state.lock();
        state.end += bytes.len() as u64;
        state.chunks.push_back(bytes);
        state.trim();
        drop(state);
        added();
        let mut written = Written::InMemory;
        loop {
            let state = self.state.lock();
            let had_overflow = state.overflow.is_some();
            if written == Written::InMemory && had_overflow {
                written = Written::WithOverflow;
            }
            let (at, overflow) = (state.first, state.overflow.clone());
            let Some(oldest) = state.chunks.front().cloned() else { return Ok(written) };
            if state.held_bytes() <= self.memory_bytes_max {
                return Ok(written);
            }
            drop(state);
            let overflow = match overflow {
                Some(overflow) => overflow,
                None => (self.open)()?.into(),
            };
            overflow.write_at(at, &oldest)?;
            let mut state = self.state.lock();
            if !had_overflow {
                state.overflow = Some(overflow);
                written = Written::Overflowed;
            }
            if state.first == at {
                // Not read by all meanwhile.
                state.first += oldest.len() as u64;
                state.chunks.pop_front();
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Ends the stream: it is complete, or never will be.
    pub(crate) fn end(&self, result: Result<(), String>) {
        self.state.lock().ended = Some(result);
        self.changed.notify_all();
    }

    /// Length of all the bytes, once known.
    pub(crate) fn len(&self) -> Option<Result<u64, String>> {
        let state = self.state.lock();
        state.ended.clone().map(|ended| ended.map(|()| state.end))
    }

    /// Appends a reader's next bytes to `into`, about `bytes_max`. Never waits for the overflow.
    pub(crate) fn read(&self, reader: usize, bytes_max: usize, into: &mut Vec<u8>) -> Next {
        let mut state = self.state.lock();
        if let Some(Err(reason)) = &state.ended {
            return Next::Failed(reason.clone());
        }
        let next = state.read(reader, bytes_max, into);
        drop(state);
        // There is room for more from the overflow.
        self.changed.notify_all();
        next
    }

    /// Fetches some reader's next bytes from the overflow; false if there is nothing to fetch now.
    pub(crate) fn fetch(&self) -> bool {
        let Some(fetch) = self.state.lock().next_fetch() else { return false };
        let mut bytes = vec![0; fetch.len];
        let read = fetch.overflow.read_at(fetch.at, &mut bytes);
        let mut state = self.state.lock();
        if let Some(reader) = &mut state.readers[fetch.reader] {
            match read {
                Ok(()) => {
                    reader.fetched_bytes += bytes.len();
                    reader.fetched.push_back(bytes.into());
                }
                Err(error) => {
                    reader.failed = Some(format!("reading the spooled snapshot: {error}"));
                }
            }
        }
        true
    }

    /// Waits for something to fetch, and fetches it; false if nothing ever will be.
    pub(crate) fn fetch_when_due(&self) -> bool {
        loop {
            if self.fetch() {
                return true;
            }
            let mut state = self.state.lock();
            if state.is_over() {
                // Closing a large file takes time, too.
                let overflow = state.overflow.take();
                drop(state);
                drop(overflow);
                return false;
            }
            if state.next_fetch().is_none() {
                self.changed.wait(&mut state);
            }
        }
    }
}

impl SpoolState {
    fn is_read(&self) -> bool {
        self.readers.iter().any(Option::is_some)
    }

    fn held_bytes(&self) -> usize {
        usize::try_from(self.end - self.first).unwrap_or(usize::MAX)
    }

    /// Whether nothing is left to fetch.
    fn is_over(&self) -> bool {
        let all_in_memory = |reader: &Reader| {
            reader.failed.is_some() || reader.at + reader.fetched_bytes as u64 >= self.first
        };
        match &self.ended {
            Some(Err(_)) => true,
            Some(Ok(())) => self.readers.iter().flatten().all(all_in_memory),
            None => !self.is_read(),
        }
    }

    /// Frees chunks that every reader has passed.
    fn trim(&mut self) {
        let needed = self.readers.iter().flatten().map(|reader| reader.at).min();
        let needed = needed.unwrap_or(self.end);
        while let Some(chunk) = self.chunks.front()
            && self.first + chunk.len() as u64 <= needed
        {
            self.first += chunk.len() as u64;
            self.chunks.pop_front();
        }
    }

    fn read(&mut self, reader: usize, bytes_max: usize, into: &mut Vec<u8>) -> Next {
        let (first, end, has_ended) = (self.first, self.end, self.ended.is_some());
        let reading = self.readers[reader].as_mut();
        let reading = reading.expect("a reader that has gone does not read");
        if let Some(reason) = &reading.failed {
            return Next::Failed(reason.clone());
        }
        if reading.at == end {
            return if has_ended { Next::Done } else { Next::Later };
        }
        if let Some(fetched) = reading.fetched.front_mut() {
            let taken = fetched.split_to(fetched.len().min(bytes_max));
            if fetched.is_empty() {
                reading.fetched.pop_front();
            }
            reading.fetched_bytes -= taken.len();
            reading.at += taken.len() as u64;
            into.extend_from_slice(&taken);
            return Next::Bytes;
        }
        let Some(skip) = reading.at.checked_sub(first) else { return Next::Later };
        let mut skip = usize::try_from(skip).expect("it is in memory");
        let before = into.len();
        for chunk in &self.chunks {
            let from = skip.min(chunk.len());
            skip -= from;
            let take = (chunk.len() - from).min(bytes_max - (into.len() - before));
            into.extend_from_slice(&chunk[from..from + take]);
            if into.len() - before == bytes_max {
                break;
            }
        }
        reading.at += (into.len() - before) as u64;
        self.trim();
        Next::Bytes
    }

    /// The next fetch: for the reader with the fewest fetched bytes.
    fn next_fetch(&self) -> Option<Fetch> {
        if matches!(self.ended, Some(Err(_))) {
            return None;
        }
        let overflow = self.overflow.as_ref()?;
        let lacks = |(index, reader): (usize, &Option<Reader>)| {
            let reader = reader.as_ref().filter(|reader| reader.failed.is_none())?;
            let at = reader.at + reader.fetched_bytes as u64;
            let there = usize::try_from(self.first.checked_sub(at)?).unwrap_or(usize::MAX);
            let room = FETCHED_BYTES_MAX.saturating_sub(reader.fetched_bytes);
            let len = there.min(room).min(FETCH_BYTES);
            (len > 0).then_some((reader.fetched_bytes, index, at, len))
        };
        let (_, reader, at, len) = self.readers.iter().enumerate().filter_map(lacks).min()?;
        Some(Fetch { reader, at, len, overflow: Arc::clone(overflow) })
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
