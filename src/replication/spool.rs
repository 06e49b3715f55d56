//! A full resync's RDB bytes between the one who makes them and those who send them.
//!
//! One snapshot serves all the replicas that waited for it, each at its own pace. Bytes stay in
//! memory until the slowest has read them; beyond a bound they go to a file that the outer layer
//! gives, so that a slow receiver, or one that needs to know the length first, costs disk rather
//! than memory.

use std::collections::VecDeque;
use std::fmt;
use std::io;

use parking_lot::Mutex;

/// Where bytes go that memory shall not hold: a file without a name, as a rule.
pub(crate) trait Overflow: Send + fmt::Debug {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Fills `into` from a position.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Opens an [`Overflow`] when it is needed.
pub(crate) type OpenOverflow = Box<dyn Fn() -> io::Result<Box<dyn Overflow>> + Send + Sync>;

/// The bytes, and where each reader is.
pub(crate) struct Spool {
    memory_bytes_max: usize,
    open: OpenOverflow,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    /// Position of the first byte of the first chunk.
    first: u64,
    /// Position behind the last byte.
    end: u64,
    /// Position of the overflow's first byte; with one, there are no chunks.
    overflow: Option<(u64, Box<dyn Overflow>)>,
    readers: Vec<Option<u64>>,
    ended: Option<Result<(), String>>,
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Bytes, which were added to what was handed in.
    Bytes,
    /// Nothing yet.
    Later,
    /// Everything was read.
    Done,
    /// It will never be whole.
    Failed(String),
}

impl Spool {
    /// Empty; holds at most about `memory_bytes_max` bytes in memory.
    pub(crate) fn new(memory_bytes_max: usize, open: OpenOverflow) -> Self {
        Self { memory_bytes_max, open, state: Mutex::default() }
    }

    /// Adds a reader at the start. All readers are added before the first byte.
    pub(crate) fn attach(&self) -> usize {
        let mut state = self.state.lock();
        state.readers.push(Some(0));
        state.readers.len() - 1
    }

    /// A reader has gone.
    pub(crate) fn detach(&self, reader: usize) {
        let mut state = self.state.lock();
        state.readers[reader] = None;
        state.trim();
    }

    /// Whether anybody still reads.
    pub(crate) fn is_read(&self) -> bool {
        self.state.lock().readers.iter().any(Option::is_some)
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When the overflow fails.
    pub(crate) fn write(&self, bytes: Vec<u8>) -> io::Result<()> {
        let mut state = self.state.lock();
        state.end += bytes.len() as u64;
        if let Some((_, overflow)) = &mut state.overflow {
            return overflow.append(&bytes);
        }
        state.chunks.push_back(bytes);
        state.trim();
        if usize::try_from(state.end - state.first).unwrap_or(usize::MAX) > self.memory_bytes_max {
            let mut overflow = (self.open)()?;
            for chunk in std::mem::take(&mut state.chunks) {
                overflow.append(&chunk)?;
            }
            state.overflow = Some((state.first, overflow));
        }
        Ok(())
    }

    /// Says that there are no more bytes, or that there never will be.
    pub(crate) fn end(&self, result: Result<(), String>) {
        self.state.lock().ended = Some(result);
    }

    /// Length of all the bytes, once they are known.
    pub(crate) fn len(&self) -> Option<Result<u64, String>> {
        let state = self.state.lock();
        state.ended.clone().map(|ended| ended.map(|()| state.end))
    }

    /// Gives a reader its next bytes, about `bytes_max` of them.
    pub(crate) fn read(&self, reader: usize, bytes_max: usize, into: &mut Vec<u8>) -> Next {
        let mut state = self.state.lock();
        if let Some(Err(reason)) = &state.ended {
            return Next::Failed(reason.clone());
        }
        let at = state.readers[reader].expect("a reader that has gone does not read");
        if at == state.end {
            return if state.ended.is_some() { Next::Done } else { Next::Later };
        }
        let before = into.len();
        if let Some((first, overflow)) = &state.overflow {
            let left = usize::try_from(state.end - at).unwrap_or(usize::MAX).min(bytes_max);
            into.resize(before + left, 0);
            if let Err(error) = overflow.read_at(at - first, &mut into[before..]) {
                into.truncate(before);
                return Next::Failed(format!("reading the spooled snapshot: {error}"));
            }
        } else {
            let mut skip = usize::try_from(at - state.first).expect("it is in memory");
            for chunk in &state.chunks {
                let from = skip.min(chunk.len());
                skip -= from;
                let take = (chunk.len() - from).min(bytes_max - (into.len() - before));
                into.extend_from_slice(&chunk[from..from + take]);
            }
        }
        state.readers[reader] = Some(at + (into.len() - before) as u64);
        state.trim();
        Next::Bytes
    }
}

impl State {
    /// Frees chunks that every reader is past.
    fn trim(&mut self) {
        let needed = self.readers.iter().flatten().copied().min().unwrap_or(self.end);
        while let Some(chunk) = self.chunks.front()
            && self.first + chunk.len() as u64 <= needed
        {
            self.first += chunk.len() as u64;
            self.chunks.pop_front();
        }
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct InMemory(Vec<u8>);

    impl Overflow for InMemory {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
            let at = usize::try_from(at).expect("small");
            into.copy_from_slice(&self.0[at..at + into.len()]);
            Ok(())
        }
    }

    fn spool(memory_bytes_max: usize) -> Spool {
        Spool::new(memory_bytes_max, Box::new(|| Ok(Box::new(InMemory::default()))))
    }

    /// Reads until there is nothing more for now.
    fn drain(spool: &Spool, reader: usize, into: &mut Vec<u8>) -> Next {
        loop {
            match spool.read(reader, 7, into) {
                Next::Bytes => {}
                next => return next,
            }
        }
    }

    #[test]
    fn each_reader_gets_every_byte_at_its_own_pace() {
        for memory_bytes_max in [0, 10, 25, 1000] {
            let spool = spool(memory_bytes_max);
            let (fast, slow) = (spool.attach(), spool.attach());
            let (mut by_fast, mut by_slow, mut all) = (Vec::new(), Vec::new(), Vec::new());
            for i in 0..20_u8 {
                all.extend_from_slice(&[i; 5]);
                spool.write(vec![i; 5]).expect("memory does not fail");
                assert_eq!(drain(&spool, fast, &mut by_fast), Next::Later);
                assert_eq!(by_fast, all);
            }
            spool.end(Ok(()));
            assert_eq!(spool.len(), Some(Ok(100)));
            assert_eq!(drain(&spool, slow, &mut by_slow), Next::Done);
            assert_eq!(by_slow, all, "with {memory_bytes_max} bytes of memory");
        }
    }

    #[test]
    fn memory_is_freed_when_the_slowest_has_read() {
        let spool = spool(100);
        let (one, two) = (spool.attach(), spool.attach());
        for _ in 0..100 {
            spool.write(vec![0; 10]).expect("memory does not fail");
            drain(&spool, one, &mut Vec::new());
            drain(&spool, two, &mut Vec::new());
        }
        assert!(spool.state.lock().overflow.is_none());
        assert!(spool.state.lock().chunks.is_empty());
        spool.detach(one);
        assert!(spool.is_read());
        spool.detach(two);
        assert!(!spool.is_read());
    }

    #[test]
    fn readers_learn_that_it_failed() {
        let spool = spool(100);
        let reader = spool.attach();
        spool.write(vec![0; 10]).expect("memory does not fail");
        spool.end(Err("no more memory".into()));
        assert_eq!(spool.read(reader, 5, &mut Vec::new()), Next::Failed("no more memory".into()));
    }
}
